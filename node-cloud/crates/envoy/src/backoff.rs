//! How long to wait before Envoy is started again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::limits::Limits;

/// The wait grows with each end that comes early, and begins anew when Envoy stood for some time.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    early: u32,
}

impl Backoff {
    /// Envoy ended after it had stood for so long.
    pub(crate) fn ended(&mut self, stood: Duration) -> Duration {
        if stood >= Limits::STEADY {
            self.early = 0;
        }
        let wait = Limits::BACKOFF_FIRST.saturating_mul(Limits::BACKOFF_FACTOR.saturating_pow(self.early));
        self.early = self.early.saturating_add(1);
        jittered(wait.min(Limits::BACKOFF_MOST), RandomState::new().build_hasher().finish())
    }
}

/// Up to a quarter less, by chance: what failed together does not try again together.
fn jittered(wait: Duration, chance: u64) -> Duration {
    let millionths = u32::try_from(chance % 250_000).unwrap_or(0);
    wait.saturating_sub(wait.saturating_mul(millionths) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_bound_and_begins_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.ended(Duration::ZERO)).collect();
        assert!(waits[0] <= Limits::BACKOFF_FIRST);
        // Jitter takes a quarter at most, so each step is more than the one before.
        assert!(waits[1] > waits[0] && waits[2] > waits[1] && waits[3] > waits[2]);
        assert!(waits[39] <= Limits::BACKOFF_MOST && waits[39] >= Limits::BACKOFF_MOST / 4 * 3);
        assert!(backoff.ended(Limits::STEADY) <= Limits::BACKOFF_FIRST);
    }

    #[test]
    fn chance_takes_a_quarter_at_most() {
        let wait = Duration::from_secs(1);
        assert_eq!(jittered(wait, 0), wait);
        assert!(jittered(wait, 249_999) > wait / 4 * 3 && jittered(wait, 249_999) < wait);
    }
}
