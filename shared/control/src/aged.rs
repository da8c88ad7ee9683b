//! How a route ranks that no session confirms, and the walk over those of a neighbour.

use catalyst_names::{Protocol, check};
use catalyst_route_table::{Rank, Route, Store, Sym};
use catalyst_wire::{Attrs, WellKnown};

use crate::changes::Changes;
use crate::stale::Phase;
use crate::state::{Peer, State};

impl<S: Store> State<S> {
    /// Whether flows of this protocol go to the neighbour beside the tunnel, from mesh port to mesh port.
    fn outlives(&self, peer: &Peer, protocol: Protocol) -> bool {
        protocol != Protocol::Udp
            && !self.settings.mesh_address.is_empty()
            && check::is_host_port(&peer.mesh_address)
    }

    /// The rank of a route that would have this one were it confirmed; `None` when it has to go.
    pub(crate) fn aged(&self, peer: &Peer, route: &Route<S::Attrs>, rank: Rank) -> Option<Rank> {
        let Some(stale) = peer.stale.as_ref().filter(|_| route.generation != peer.generation) else {
            return Some(rank);
        };
        // A sweep that is not at its end when more routes lose their session, or are told anew, is not about those.
        if peer.generation.wrapping_sub(route.generation) > stale.tellings {
            return None;
        }
        let lost = stale.path_lost && !mutant!(LostPathStays) && !self.outlives(peer, route.protocol);
        let closed = || {
            !mutant!(FailClosedStays)
                && Attrs::read(route.attrs.as_ref())
                    .is_ok_and(|attrs| attrs.well_known.has(WellKnown::FAIL_CLOSED))
        };
        match stale.phase {
            Phase::Kept => Some(Rank { eligible: rank.eligible && !lost, ..rank }),
            Phase::LongLived if lost || closed() => None,
            Phase::LongLived => Some(Rank { stale: true, ..rank }),
            Phase::Swept => Some(rank),
        }
    }

    /// Goes on with the walk over a neighbour's routes that are not confirmed.
    pub(crate) fn age(&mut self, neighbour: Sym, changes: &mut Changes) {
        let begun = self.peer_by_sym(neighbour).and_then(|peer| peer.stale.as_ref()?.walk);
        let Some(mut after) = begun else { return };
        for _ in 0..self.settings.limits.aged() {
            let Some(key) = self.table.next_of(neighbour, after) else {
                return self.aged_all(neighbour);
            };
            after = Some(key);
            let Some(peer) = self.peer_by_sym(neighbour) else { return };
            let Some(route) = self.table.route(key, neighbour) else { continue };
            match self.aged(peer, route, route.rank) {
                Some(rank) => self.rerank(neighbour, key, rank, changes),
                None => self.take(neighbour, key, changes),
            }
        }
        if mutant!(SweepStops) {
            return self.aged_all(neighbour);
        }
        if let Some(stale) = self.peer_mut(neighbour).and_then(|peer| peer.stale.as_mut()) {
            stale.walk = Some(after);
        }
    }

    /// The walk is at its end.
    fn aged_all(&mut self, neighbour: Sym) {
        let Some(peer) = self.peer_mut(neighbour) else { return };
        peer.stale = peer.stale.take().filter(|stale| stale.phase != Phase::Swept);
        if let Some(stale) = &mut peer.stale {
            stale.walk = None;
        }
    }
}
