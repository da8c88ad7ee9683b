//! What the engine does with the list of revoked nodes: states it, takes it from neighbours, cuts off whom it names.

use catalyst_control::Event;
use catalyst_names::NodeName;
use catalyst_route_table::Store as RouteStore;
use catalyst_wire::Trust;
use tracing::{info, warn};

use crate::boot;
use crate::engine::Engine;
use crate::mesh::Change;
use crate::revocations::{List, Revocations};
use crate::write::Write;

/// What the core hears of a neighbour that was revoked. An edge has no words of its own for it.
pub(crate) fn revoked(name: &NodeName) -> Event {
    #[cfg(feature = "mesh")]
    return Event::PeerRevoked(name.clone());
    #[cfg(not(feature = "mesh"))]
    Event::PeerRemoved(name.clone())
}

impl<S: RouteStore> Engine<S> {
    /// At the authority: states anew who is revoked, for all nodes to know, and says what to write.
    pub(crate) fn state_revoked(&mut self) -> Write {
        let Some(authority) = &self.authority else { return Write::default() };
        let (org, list): (_, List) = (&self.facts.config.org, authority.revoked().collect());
        if list == self.revocations.list {
            return Write::default();
        }
        let sign = |bytes: &[u8]| authority.sign(Trust::DOMAIN, bytes);
        match self.revocations.next(org, list, self.clocks.now().wall, sign) {
            Ok(next) => {
                self.revocations = next;
                self.feed(&Event::TrustChanged { frame: self.revocations.frame.clone() });
                self.revocations.save().unwrap_or_default()
            }
            Err(why) => {
                warn!(why, "it is in force at this node, but the others are not told");
                Write::default()
            }
        }
    }

    /// A neighbour of the own organisation has handed on a statement.
    pub(crate) fn trust_heard(&mut self, peer: &NodeName, frame: &[u8]) {
        let Some(bundle) = self.facts.trust.bundle(&self.facts.config.org) else { return };
        let newer = match self.revocations.newer(frame, &bundle) {
            Ok(Some(newer)) => newer,
            // The neighbour is behind; it gets ours, or has it by now.
            Ok(None) => return,
            Err(why) => {
                if self.facts.may_log(self.clocks.now().mono) {
                    warn!(%peer, why, "a statement was not taken");
                }
                return;
            }
        };
        if let Some(authority) = &mut self.authority {
            // It was signed here, or where the root is too: the books were lost, or are of an older day. Whom they do not
            // know stays out, and the next list says so.
            let before: List = authority.revoked().collect();
            let write = authority.relearn(&newer.list, newer.epoch, self.clocks.now().wall);
            newer.list.keys().for_each(|name| info!(node = %name, "is revoked, as another node says"));
            let all: List = authority.revoked().collect();
            all.iter().for_each(|(name, except)| drop(self.facts.trust.revoke(name, *except)));
            let learned: Vec<NodeName> =
                all.into_iter().filter(|(n, e)| before.get(n) != Some(e)).map(|(name, _)| name).collect();
            self.revocations = Revocations { list: List::new(), ..newer };
            let write = write.with(self.state_revoked());
            self.unsaved = Some(write);
            // It may have come in before this was known.
            learned.iter().for_each(|name| self.cut(name));
            return;
        }
        info!(%peer, epoch = newer.epoch, nodes = newer.list.len(), "there is a new list of revoked nodes");
        let old = std::mem::replace(&mut self.revocations, newer);
        if let Err(error) = self.facts.trust.set_revoked(self.revocations.list.clone()) {
            warn!(%error, "the list is not in force");
        }
        let changed =
            self.revocations.list.iter().filter(|(name, except)| old.list.get(*name) != Some(*except));
        let changed: Vec<NodeName> = changed.map(|(name, _)| name.clone()).collect();
        changed.iter().for_each(|name| self.cut(name));
        // Who is not named any more may use any key.
        let kept = &self.revocations.list;
        old.list.keys().filter(|name| !kept.contains_key(*name)).for_each(|name| self.tell_neighbour(name));
        self.feed(&Event::TrustChanged { frame: self.revocations.frame.clone() });
        self.unsaved = self.revocations.save();
    }

    /// What was learned from neighbours and is to be written.
    pub(crate) fn trust_to_save(&mut self) -> Option<Write> {
        self.unsaved.take()
    }

    /// Ends all that stands with a neighbour. It stays configured, so that `status` can say why it is not connected.
    fn cut(&mut self, name: &NodeName) {
        let config = &self.facts.config;
        let peer =
            config.peers.iter().find(|p| p.node.as_str() == name.node() && p.org.as_str() == name.org());
        let Some((event, dial)) = peer.map(|peer| boot::neighbour(peer, None)) else { return };
        warn!(peer = %name, "the neighbour was revoked; its sessions are cut");
        self.feed(&revoked(name));
        // The transport would end the session without the word that says why.
        self.act();
        self.transport.remove_peer(name);
        self.feed(&event);
        self.transport.set_peer(dial);
        // Not admitted by who carries flows either, until a session with it stands again.
        self.tables.mesh().tell(Change::Neighbour { peer: name, mesh_address: None, key: None });
    }
}
