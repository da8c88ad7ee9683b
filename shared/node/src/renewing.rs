//! What the engine does about its own certificate: plans the renewal, hands out a try, uses what came of it.

use catalyst_identity::{Credentials, Date};
use catalyst_route_table::Store as RouteStore;
use tracing::{info, warn};

use crate::engine::Engine;
use crate::mesh::Change;
use crate::renewal::{Due, Try, key_of};
use crate::write::Write;

impl<S: RouteStore> Engine<S> {
    /// Plans the renewal, where there is somebody to ask.
    pub(crate) fn plan_renewal(&mut self, spread: u64) {
        self.facts.spread = spread;
        if self.authority.is_some() || self.facts.config.authority.address.is_some() {
            self.renewal.plan(&self.credentials, self.clocks.now().wall, spread, false);
        }
    }

    /// What a try needs, when one is due. The authority serves itself at once.
    pub(crate) fn renewal_due(&mut self, prefer_chacha: bool) -> Option<Due> {
        if !self.renewal.start(self.clocks.now().wall, self.authority.is_some()) {
            return None;
        }
        let config = &self.facts.config;
        if let Some(authority) = &mut self.authority {
            let now = self.clocks.now().wall;
            let renewed =
                key_of(&config.identity.key).and_then(|key| authority.renew_own(&key, &config.node, now));
            return Some(Due::Own(Box::new(renewed)));
        }
        Some(Due::Ask(Box::new(Try {
            address: config.authority.address.as_ref()?.to_string(),
            key: config.identity.key.clone(),
            org: config.org.clone(),
            node: config.node.clone(),
            credentials: self.credentials.clone(),
            verifier: self.verifier.clone(),
            prefer_chacha,
        })))
    }

    /// Uses a new certificate from the next handshake on, and says what to write.
    pub(crate) fn renewed(&mut self, result: Result<Credentials, String>) -> Option<Write> {
        let used = result.and_then(|credentials| {
            let set = self.transport.set_identity(credentials.clone(), self.verifier.clone());
            set.map(|()| credentials).map_err(|e| e.to_string())
        });
        match used {
            Ok(credentials) => {
                let now = self.clocks.now().wall;
                self.renewal.plan(&credentials, now, self.facts.spread, true);
                self.facts.certificate = credentials.validity();
                info!(until = %Date(self.facts.certificate.not_after), "the certificate of this node was renewed");
                let write =
                    Write::default().file(crate::boot::renewed(&self.facts.config), credentials.chain_pem());
                self.tables.mesh().tell(Change::Identity(&credentials));
                self.credentials = credentials;
                Some(write)
            }
            Err(why) => {
                warn!(why, "the certificate of this node was not renewed; trying on");
                self.renewal.failed(why);
                None
            }
        }
    }
}
