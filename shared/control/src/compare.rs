//! Whether both ends agree on a table: a neighbour's digest against what it announced and is held here, and the refresh
//! that heals a difference (RFC 7313 in the frame of DESIGN's anti-entropy).

use catalyst_names::NodeName;
use catalyst_route_table::{RouteKey, Store, Sym};
use catalyst_wire::{Capabilities, Refresh};

use crate::core::Core;
use crate::effect::Notice;
use crate::event::SessionId;
use crate::limits::Limits;
use crate::now::Now;
use crate::state::{Peer, State};
use crate::sum::Sum;

impl Peer {
    /// Whether another route with so many bytes of attributes fits its limits.
    fn has_room(&self, bytes: usize, limits: &Limits) -> bool {
        self.confirmed.0 < self.max_routes(limits)
            && self.confirmed.1.saturating_add(bytes) <= self.max_bytes(limits)
    }

    /// Whether digests of it count: who does not know refreshes has no use for them.
    pub(crate) fn compares(&self) -> bool {
        self.relation.is_some()
            && self.agreed.is_some_and(|agreed| agreed.capabilities & Capabilities::REFRESH != 0)
    }
}

impl<S: Store> State<S> {
    /// By how much the digest of a neighbour changes with this announcement or, without attributes, this withdrawal.
    /// Nothing is to be added where no digests are compared.
    pub(crate) fn difference(
        &self,
        neighbour: Sym,
        key: Option<RouteKey>,
        names: (&str, &str),
        attrs: Option<&[u8]>,
    ) -> Option<Sum> {
        let peer = self.peer_by_sym(neighbour).filter(|peer| peer.compares())?;
        // What the sum began without was told before.
        let old = key.and_then(|key| self.table.route(key, neighbour));
        let old = old.filter(|route| route.generation == peer.generation).map(|route| route.attrs.as_ref());
        if old == attrs {
            return None;
        }
        let mut sum = attrs.map_or(Sum::default(), |attrs| Sum::of_route(names.0, names.1, attrs));
        if let Some(old) = old {
            sum.subtract(Sum::of_route(names.0, names.1, old));
        }
        Some(sum)
    }

    /// What [`State::difference`] foresaw has happened.
    pub(crate) fn recount(&mut self, neighbour: Sym, difference: Option<Sum>) {
        if let Some(peer) = difference.and_then(|sum| Some((sum, self.peer_mut(neighbour)?))) {
            peer.1.compared.sum.add(peer.0);
        }
    }
}

impl<S: Store> Core<S> {
    /// A neighbour said what the digest of its table is.
    pub(crate) fn digest_came(&mut self, session: SessionId, digest: [u8; 16], now: Now) {
        let Some(name) = self.state.by_session.get(&session) else { return };
        let limits = self.state.settings.limits;
        let store = self.state.table.store();
        let (routes, names) = (store.len(), store.names());
        let Some(peer) = self.state.peers.get_mut(name).filter(|p| p.synced) else { return };
        let fits = |bytes| peer.has_room(bytes, &limits);
        let room = peer.compared.has_room(fits, routes, names);
        if peer.compares() && peer.compared.judge(digest, room, now.mono) {
            let name = name.clone();
            self.ask_refresh(session, name);
        }
    }

    fn ask_refresh(&mut self, session: SessionId, name: NodeName) {
        if let Some(link) = self.links.get_mut(&session) {
            link.refresh_due = true;
            self.mark_ready(session);
        }
        self.notice(Notice::RefreshAsked(name));
    }

    /// A neighbour wants our table once more, or begins or ends its own.
    pub(crate) fn refresh_came(&mut self, session: SessionId, refresh: Refresh, now: Now) {
        match refresh {
            Refresh::REQUEST => {
                self.groups.refresh(session);
                self.mark_ready(session);
            }
            Refresh::BEGIN | Refresh::END => {
                let Some(name) = self.state.by_session.get(&session).cloned() else { return };
                if refresh == Refresh::BEGIN {
                    self.refresh_begun(&name, now);
                } else {
                    self.refresh_ended(&name, now);
                    self.tell_refusals(session);
                }
            }
            // Of a later version.
            _ => {}
        }
    }
}

// BEGIN and END.
impl<S: Store> Core<S> {
    /// All of its table follows: what it announces from now on is of a new generation.
    fn refresh_begun(&mut self, name: &NodeName, now: Now) {
        let most = self.state.settings.stale_max_ms.max(Limits::REFRESH_MS);
        // Before its END_OF_RIB it tells its table in any case.
        let Some(peer) = self.state.peers.get_mut(name).filter(|peer| peer.synced) else { return };
        if !mutant!(BeginSameGeneration) {
            peer.next_telling();
        }
        peer.compared.begin_refresh(now.mono.saturating_add(most));
    }

    /// A refresh whose END does not come ends by itself: a route that is not told again is not kept for ever.
    pub(crate) fn end_overdue_refresh(&mut self, session: SessionId, now: Now) {
        let peer = self.state.peer_of(session).filter(|peer| peer.compared.is_overdue(now.mono));
        if let Some(name) = peer.map(|peer| peer.config.name.clone()) {
            self.refresh_ended(&name, now);
        }
    }

    /// That was all: what it did not confirm goes.
    fn refresh_ended(&mut self, name: &NodeName, now: Now) {
        let Some(peer) = self.state.peers.get_mut(name) else { return };
        if peer.compared.end_refresh() && !mutant!(EndSweepsNothing) {
            self.sweep(name, now);
        }
    }
}
