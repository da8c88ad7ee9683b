//! Two processes with one identity: a board whose card was copied, most often.
//!
//! A node's incarnation grows with each of its starts, so one that was already left for another never comes back by
//! itself. If it does, again and again, two processes take turns. Then the one that is connected keeps its session for
//! [`Limits::CLONE_HOLD_MS`] at least: routes change hands seldom, and both operators read why.

use crate::limits::Limits;

/// What is known of the runs of one neighbour. Time is the monotonic clock's, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloneWatch {
    current: Option<u64>,
    since: u64,
    /// Runs that another one has replaced, newest last.
    left: [u64; Limits::CLONE_RUNS],
    returns: u32,
    last_return: Option<u64>,
    suspected: bool,
}

/// What a connection of a run means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloneVerdict {
    /// Two processes are suspected from this moment on.
    pub alarm: bool,
    /// The other process is connected and keeps its session: this connection must go.
    pub held: bool,
}

impl CloneWatch {
    /// A connection of the run `incarnation` is ready; `running` says whether one of another run is established.
    pub fn judge(&mut self, incarnation: u64, running: bool, now: u64) -> CloneVerdict {
        if !self.suspected(now) {
            self.suspected = false;
            if self.last_return.is_some_and(|at| now.saturating_sub(at) >= Limits::CLONE_QUIET_MS) {
                self.returns = 0;
            }
        }
        let Some(current) = self.current.filter(|c| *c != incarnation) else {
            if self.current.is_none() {
                (self.current, self.since) = (Some(incarnation), now);
            }
            return CloneVerdict::default();
        };
        let back = self.left.contains(&incarnation);
        if back {
            self.returns = self.returns.saturating_add(1);
            self.last_return = Some(now);
        }
        let alarm = back && !self.suspected && self.returns >= Limits::CLONE_RETURNS;
        self.suspected |= alarm;
        if self.suspected && running && now.saturating_sub(self.since) < Limits::CLONE_HOLD_MS {
            return CloneVerdict { alarm, held: true };
        }
        self.left.rotate_left(1);
        if let Some(last) = self.left.last_mut() {
            *last = current;
        }
        (self.current, self.since) = (Some(incarnation), now);
        CloneVerdict { alarm, held: false }
    }

    /// Whether two processes are suspected: until none has come back for [`Limits::CLONE_QUIET_MS`].
    #[must_use]
    pub fn suspected(&self, now: u64) -> bool {
        self.suspected && self.last_return.is_some_and(|at| now.saturating_sub(at) < Limits::CLONE_QUIET_MS)
    }

    /// The runs that were seen, the one that holds the session first.
    pub fn runs(&self) -> impl Iterator<Item = u64> {
        self.current.into_iter().chain(self.left.iter().rev().copied().filter(|run| *run != 0))
    }
}
