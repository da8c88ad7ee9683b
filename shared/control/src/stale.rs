//! What becomes of a neighbour's routes that no session confirms (RFC 4724, RFC 9494).
//!
//! ```text
//!   session lost ──> Kept, for the restart time ──> LongLived, up to stale_max ──> Swept
//!                      │ END_OF_RIB of the next session, or a hard reset              ^
//!                      └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! The walk over the routes that a phase asks for is done in pieces, so that no step takes long (`aged.rs`).

use catalyst_route_table::RouteKey;
use catalyst_wire::NotifyCode;

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
            NotifyCode::SHUTDOWN if mutant!(ShutdownKeeps) => Loss::Lost,
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
    /// The phase is about routes of so many tellings before the present one; those of earlier ones go.
    pub(crate) tellings: u16,
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
        if phase == Phase::Swept {
            self.tellings = 0;
        }
        self.walk = Some(None);
    }
}
