//! Waiting on a state. A deadline that passes is a failed test with a report, never a guess.

use std::time::{Duration, Instant};

/// For states that come at once on an idle machine; a loaded one may take its time.
pub const SOON: Duration = Duration::from_secs(10);

/// How often a state is looked at.
const STEP: Duration = Duration::from_millis(5);

/// The first value that `look` finds, or `None` after `limit`.
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// The first value that `look` finds.
///
/// # Panics
/// After `limit`, naming what was waited for.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    poll(limit, look).unwrap_or_else(|| panic!("waited {limit:?} in vain for: {what}"))
}

/// Asserts that a state stays for a while. For what must *not* happen, and only where no event marks its absence.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn stays(what: &str, time: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(holds(), "did not stay: {what}");
        std::thread::sleep(STEP);
    }
}
