//! Waits of a dialler: exponential, jittered, for ever.

use std::time::Duration;

/// SplitMix64: enough to spread diallers apart. Seeds come from outside, nothing here asks for randomness.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// A generator of its own for `name`, so that two diallers of one node do not move in step.
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a, only to mix the name in.
        let mixed = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Jitter(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between half of `time` and all of it.
    fn spread(&mut self, time: Duration) -> Duration {
        let thousandths = 500 + u32::try_from(self.next() % 501).unwrap_or(500);
        time * thousandths / 1000
    }
}

/// The wait before the next try.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    jitter: Jitter,
}

impl Backoff {
    pub fn new((first, longest): (Duration, Duration), jitter: Jitter) -> Self {
        Backoff { first, longest, failures: 0, jitter }
    }

    /// After a session that was a good one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    pub fn next(&mut self) -> Duration {
        let factor = 1u32 << self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        self.jitter.spread(self.first.saturating_mul(factor).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_longest_and_never_stops() {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(15));
        let mut backoff = Backoff::new((first, longest), Jitter::new(7, "a.example"));
        let waits: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(waits[0] >= first / 2 && waits[0] <= first);
        assert!(waits[10..].iter().all(|w| *w >= longest / 2 && *w <= longest));
        backoff.reset();
        assert!(backoff.next() <= first);
    }

    #[test]
    fn two_diallers_do_not_move_in_step() {
        let times = (Duration::from_secs(1), Duration::from_secs(60));
        let mut a = Backoff::new(times, Jitter::new(7, "a.example"));
        let mut b = Backoff::new(times, Jitter::new(7, "b.example"));
        assert!((0..8).any(|_| a.next() != b.next()));
        let mut same = Backoff::new(times, Jitter::new(7, "a.example"));
        let mut again = Backoff::new(times, Jitter::new(7, "a.example"));
        assert!((0..8).all(|_| same.next() == again.next()));
    }
}
