//! Clocks: a monotonic one for timers, and a wall clock with a floor for validity.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use catalyst_control::Now;
use catalyst_identity::Clock;

/// No certificate of this software is older: a board that boots in 1970 begins here.
const BUILD_FLOOR: u64 = 1_767_225_600; // 2026-01-01

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: Instant,
    floor: u64,
}

impl Clocks {
    /// Starts the monotonic clock; `floor` is the latest moment that is known to have passed.
    #[must_use]
    pub fn new(floor: u64) -> Self {
        Clocks { start: Instant::now(), floor: floor.max(BUILD_FLOOR) }
    }

    fn wall() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = Self::wall();
        let mono = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono, wall: wall.max(self.floor), wall_trusted: wall >= self.floor }
    }

    /// The monotonic moment `mono` milliseconds after the start.
    #[must_use]
    pub fn at(&self, mono: u64) -> Instant {
        self.start + std::time::Duration::from_millis(mono)
    }
}

impl Clock for Clocks {
    fn validity_unix(&self) -> u64 {
        Self::wall().max(self.floor)
    }
}
