//! What becomes of a neighbour's routes that no session confirms (RFC 4724, RFC 9494).
//!
//! ```text
//!   session lost ──> Kept, for the restart time ──> LongLived, up to stale_max ──> Swept
//!                      │ END_OF_RIB of the next session, or a hard reset              ^
//!                      └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! The walk over the routes that a phase asks for is done in pieces, so that no step takes long.

use catalyst_names::Protocol;
use catalyst_route_table::{Rank, Route, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, NotifyCode, WellKnown};

use crate::changes::Changes;
use crate::limits::Limits;
use crate::state::{Peer, State};

/// How a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// A newer one of the same node takes over: the tunnel moves with it.
    Moved,
    /// The other side is out of reach, and may be back.
    Lost,
    /// Nothing of it may stay.
    Hard,
}

impl Loss {
    /// What a NOTIFY with this code means for the routes, sent or received.
    pub(crate) fn of(code: NotifyCode) -> Self {
        match code {
            NotifyCode::UNCONFIGURED
            | NotifyCode::IDENTITY
            | NotifyCode::AGREEMENT
            | NotifyCode::SHUTDOWN
            | NotifyCode::REMOVED
            | NotifyCode::LIMIT => Loss::Hard,
            NotifyCode::SUPERSEDED | NotifyCode::COLLISION => Loss::Moved,
            _ => Loss::Lost,
        }
    }
}

/// Where the routes stand that no session confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Phase {
    /// They keep their rank, but for those whose data path went with the session.
    Kept,
    /// They are used when there is nothing fresh (RFC 9494).
    LongLived,
    /// They go.
    Swept,
}

/// Routes of a neighbour that no session confirms. Times are of the monotonic clock, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When the session was lost that confirmed them.
    pub since: u64,
    /// Where they stand.
    pub phase: Phase,
    /// While no session is there: the end of [`Phase::Kept`].
    pub restart_until: u64,
    /// They go at the latest then.
    pub until: u64,
    /// While a session is there that has not told its table: they go then.
    pub sweep_at: Option<u64>,
    /// The tunnel went with the session, and there is no other yet.
    pub path_lost: bool,
    /// The restart time that was granted.
    pub(crate) restart_ms: u64,
    /// The walk that the phase asks for is not at its end; after which route it goes on.
    pub(crate) walk: Option<Option<RouteKey>>,
    /// When it is to be looked at.
    pub(crate) timer: Option<u64>,
}

impl Stale {
    /// When they go, or how they stand changes.
    #[must_use]
    pub fn next(&self) -> u64 {
        let phase = match (self.phase, self.sweep_at) {
            (_, Some(at)) => at,
            (Phase::Kept, None) => self.restart_until,
            _ => self.until,
        };
        phase.min(self.until)
    }

    /// The phase that begins now, if one does.
    pub(crate) fn turns(&self, now: u64) -> Option<Phase> {
        if self.phase == Phase::Swept || now < self.next() {
            return None;
        }
        let long = self.phase == Phase::Kept && self.sweep_at.is_none() && now < self.until;
        Some(if long { Phase::LongLived } else { Phase::Swept })
    }

    /// A phase begins.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.walk = Some(None);
    }
}

impl<S: Store> State<S> {
    /// Whether flows of this protocol go to the neighbour beside the tunnel, from mesh port to mesh port.
    fn outlives(&self, peer: &Peer, protocol: Protocol) -> bool {
        protocol != Protocol::Udp && !self.settings.mesh_address.is_empty() && !peer.mesh_address.is_empty()
    }

    /// The rank of a route that would have this one were it confirmed; `None` when it has to go.
    pub(crate) fn aged(&self, peer: &Peer, route: &Route<S::Attrs>, rank: Rank) -> Option<Rank> {
        let Some(stale) = peer.stale.as_ref().filter(|_| route.generation != peer.generation) else {
            return Some(rank);
        };
        let lost = stale.path_lost && !self.outlives(peer, route.protocol);
        let closed = || {
            Attrs::read(route.attrs.as_ref()).is_ok_and(|attrs| attrs.well_known.has(WellKnown::FAIL_CLOSED))
        };
        match stale.phase {
            Phase::Kept => Some(Rank { eligible: rank.eligible && !lost, ..rank }),
            Phase::LongLived if lost || closed() => None,
            Phase::LongLived => Some(Rank { stale: true, ..rank }),
            Phase::Swept => None,
        }
    }

    /// Goes on with the walk over a neighbour's routes that are not confirmed.
    pub(crate) fn age(&mut self, neighbour: Sym, changes: &mut Changes) {
        let begun = self.peer_by_sym(neighbour).and_then(|peer| peer.stale.as_ref()?.walk);
        let Some(mut after) = begun else { return };
        for _ in 0..Limits::AGED {
            let Some(key) = self.table.next_of(neighbour, after) else {
                return self.aged_all(neighbour);
            };
            after = Some(key);
            let Some(peer) = self.peer_by_sym(neighbour) else { return };
            let Some(route) = self.table.route(key, neighbour) else { continue };
            match self.aged(peer, route, route.rank) {
                Some(rank) => changes.routes.extend(self.table.rerank(neighbour, key, rank)),
                None => self.take(neighbour, key, changes),
            }
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
