//! Clocks: a monotonic one for timers, and a wall clock with a floor for validity.
//!
//! The floor is the latest moment that is known to have passed. It moves on with the monotonic clock, so that a board
//! without a clock of its own has one that runs. `last_seen` decides what it is made of (ADR 0009).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use catalyst_control::Now;
use catalyst_identity::Clock;

/// When this program was built, as a release build says it (the variable of reproducible builds, in seconds since 1970);
/// else a day before which no certificate of this software was made. A board that boots in 1970 begins here.
const BUILD_FLOOR: u64 = later(built(option_env!("SOURCE_DATE_EPOCH")), 1_767_225_600); // 2026-01-01

/// How far the wall clock may be behind the floor without being called wrong: the two clocks do not tick alike.
const SLACK_S: u64 = 60;

const fn later(a: u64, b: u64) -> u64 {
    if a > b { a } else { b }
}

/// Decimal digits as a number; 0 for anything else.
const fn built(text: Option<&str>) -> u64 {
    let Some(text) = text else { return 0 };
    let mut rest = text.as_bytes();
    let mut number: u64 = 0;
    while let [digit, tail @ ..] = rest {
        if !digit.is_ascii_digit() || number > u64::MAX / 20 {
            return 0;
        }
        number = number * 10 + (*digit - b'0') as u64;
        rest = tail;
    }
    number
}

/// The machine's clocks. Clones share the floor.
#[derive(Clone, Debug)]
pub struct Clocks {
    start: Instant,
    /// The floor as it was at `start`, in seconds since 1970.
    floor: Arc<AtomicU64>,
    wall: fn() -> u64,
}

fn system() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Clocks {
    /// Starts the monotonic clock; `floor` is the latest moment that is known to have passed.
    #[must_use]
    pub fn new(floor: u64) -> Self {
        Self::with_wall(floor, system)
    }

    /// With another wall clock, in seconds since 1970.
    #[must_use]
    pub fn with_wall(floor: u64, wall: fn() -> u64) -> Self {
        Clocks { start: Instant::now(), floor: Arc::new(AtomicU64::new(floor.max(BUILD_FLOOR))), wall }
    }

    /// `moment` is known to have passed, in seconds since 1970. Never moves the floor back.
    pub fn raise(&self, moment: u64) {
        self.floor.fetch_max(moment.saturating_sub(self.elapsed()), Ordering::Relaxed);
    }

    /// The latest moment that is known to have passed.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor.load(Ordering::Relaxed).saturating_add(self.elapsed())
    }

    /// Seconds since the start.
    fn elapsed(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// Whether the wall clock shows a moment that has long passed.
    #[must_use]
    pub fn behind(&self) -> bool {
        (self.wall)().saturating_add(SLACK_S) < self.floor()
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono, wall: self.validity_unix(), wall_trusted: !self.behind() }
    }

    /// The monotonic moment `mono` milliseconds after the start.
    #[must_use]
    pub fn at(&self, mono: u64) -> Instant {
        self.start + std::time::Duration::from_millis(mono)
    }
}

impl Clock for Clocks {
    fn validity_unix(&self) -> u64 {
        (self.wall)().max(self.floor())
    }

    fn is_behind(&self) -> bool {
        self.behind()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: u64 = BUILD_FLOOR + 1_000_000;

    #[test]
    fn a_board_that_boots_in_1970_begins_at_the_build_time_and_can_be_told_better() {
        let clocks = Clocks::with_wall(0, || 17);
        assert!(clocks.validity_unix() >= BUILD_FLOOR && clocks.behind() && !clocks.now().wall_trusted);
        clocks.raise(LATER);
        assert!((LATER..LATER + 5).contains(&clocks.validity_unix()));
        clocks.raise(5);
        assert!(clocks.validity_unix() >= LATER, "never back");
    }

    #[test]
    fn the_wall_clock_counts_where_it_is_later_and_clones_share_the_floor() {
        let clocks = Clocks::with_wall(0, || LATER);
        assert_eq!((clocks.validity_unix(), clocks.behind()), (LATER, false));
        let other = clocks.clone();
        other.raise(LATER + 30);
        assert!(clocks.validity_unix() >= LATER + 30 && !clocks.behind(), "a small difference is no fault");
        other.raise(LATER + 3_600);
        assert!(clocks.behind());
    }

    #[test]
    fn the_build_time_is_read_and_nonsense_is_none() {
        assert_eq!(built(Some("1700000000")), 1_700_000_000);
        for text in [None, Some(""), Some("-5"), Some("17x"), Some("99999999999999999999999")] {
            assert_eq!(built(text), 0, "{text:?}");
        }
    }
}
