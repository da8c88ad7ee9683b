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
    /// SHA-256 over Loc-RIB with all candidates, the services and the peers. What goes to other organisations is
    /// left out: it depends on a secret that recordings do not hold.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let state = &self.state;
        let mut hash = Hash(Sha256::new());
        for (key, best) in state.table.loc_rib() {
            hash.field(state.table.text(key.service).as_bytes());
            hash.field(state.table.text(key.origin).as_bytes());
            hash.field(state.table.text(best.best).as_bytes());
            hash.field(best.next.map_or("", |n| state.table.text(n)).as_bytes());
            for (neighbour, route) in state.table.candidates(key) {
                hash.field(state.table.text(neighbour).as_bytes());
                hash.field(route.attrs.as_ref());
                hash.number(u64::from(route.rank.eligible));
            }
        }
        for service in state.services.values() {
            hash.field(service.label.as_str().as_bytes());
            hash.field(service.protocol.as_str().as_bytes());
        }
        for peer in state.peers.values() {
            hash.field(peer.config.name.as_str().as_bytes());
            hash.number(peer.session.map_or(0, |s| s.0 + 1));
            hash.number(peer.routes as u64);
            hash.number(peer.bytes as u64);
        }
        hash.0.finalize().into()
    }
}
