//! A digest of the state: two runs with the same events have the same one.

use catalyst_route_table::Store;
use sha2::{Digest as _, Sha256};

use crate::core::Core;

struct Hash(Sha256);

impl Hash {
    /// Length first, so that neighbouring fields cannot run into each other.
    fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn number(&mut self, n: u64) {
        self.0.update(n.to_le_bytes());
    }
}

impl<S: Store> Core<S> {
    /// SHA-256 over Adj-RIB-In, Loc-RIB, the services, the rules and the peers, all in the order of their names:
    /// the numbers of names depend on when the shell drained what. What goes to other organisations is left out:
    /// it depends on a secret that recordings do not hold.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let state = &self.state;
        let mut hash = Hash(Sha256::new());
        for row in state.route_rows() {
            for text in [&row.service, &row.origin, &row.via, &row.standing, &row.protocol] {
                hash.field(text.as_bytes());
            }
            hash.number(u64::from(row.local_pref));
            let attrs = self.attrs_of(&row.service, &row.origin, &row.via);
            hash.field(attrs.unwrap_or_default());
        }
        if state.draining {
            hash.field(b"draining");
        }
        for service in state.services.values() {
            hash.field(service.label.as_str().as_bytes());
            hash.field(service.protocol.as_str().as_bytes());
        }
        for list in [state.exports(), state.imports()] {
            hash.number(list.rules().len() as u64);
            for rule in list.rules() {
                hash.field(alloc::format!("{rule:?}").as_bytes());
            }
        }
        for peer in state.peers.values() {
            hash.field(peer.config.name.as_str().as_bytes());
            hash.number(peer.session.map_or(0, |s| s.0.wrapping_add(1)));
            hash.number(peer.routes as u64);
            hash.number(peer.bytes as u64);
            hash.number(u64::from(peer.refused.count()));
            hash.number(u64::from(peer.generation));
            hash.number(peer.stale.as_ref().map_or(0, |stale| 1 + stale.phase as u64));
        }
        hash.0.finalize().into()
    }

    /// The attributes of a route as they came in.
    fn attrs_of(&self, service: &str, origin: &str, via: &str) -> Option<&[u8]> {
        let table = &self.state.table;
        let key = table.key(service, origin)?;
        table.route(key, table.store().find(via)?).map(|r| r.attrs.as_ref())
    }
}
