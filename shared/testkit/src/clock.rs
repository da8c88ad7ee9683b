//! A clock that moves only when told.

use catalyst_control::Now;

/// Simulated time in milliseconds. It never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    now: u64,
}

impl Clock {
    /// The present, in milliseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Moves to a moment; a moment in the past changes nothing.
    pub fn advance_to(&mut self, at: u64) {
        self.now = self.now.max(at);
    }

    /// The present as a node sees it whose monotonic clock is ahead by `skew` milliseconds. Its wall clock is that
    /// of a board without a battery.
    #[must_use]
    pub fn seen_with(&self, skew: u64) -> Now {
        Now::mono(self.now + skew)
    }

    /// The simulated moment of such a node's monotonic moment.
    #[must_use]
    pub fn moment_of(&self, mono: u64, skew: u64) -> u64 {
        mono.saturating_sub(skew).max(self.now)
    }
}
