//! What one direction of a line does to what passes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::rng::Rng;

/// One direction of a line. [`Line::CLEAR`] changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// So many of a hundred packets are lost. Of no meaning to TCP, whose loss is the kernel's business.
    pub loss: u64,
    /// Every packet comes so much later.
    pub delay: Duration,
    /// And up to so much more.
    pub jitter: Duration,
    /// With jitter, packets may overtake each other; otherwise they stay in order, as in a queue.
    pub overtaking: bool,
    /// Bytes a second; 0 is no limit.
    pub rate: u64,
    /// Bytes that wait for their time. When full: packets are lost, and a TCP sender waits.
    pub queue: usize,
}

impl Line {
    /// Everything passes at once.
    pub const CLEAR: Line = Line {
        loss: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        overtaking: false,
        rate: 0,
        queue: 4 << 20,
    };
    /// Half of a round trip of two seconds, and 7 % loss.
    pub const SATELLITE: Line =
        Line { loss: 7, delay: Duration::from_secs(1), jitter: Duration::from_millis(20), ..Line::CLEAR };
}

/// What waits on one direction of a line, in the order in which it leaves.
#[derive(Debug)]
pub(super) struct Waiting {
    pub line: Line,
    rng: Rng,
    queue: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// When the last byte that was taken has left a line with a rate.
    busy: Option<Instant>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Queued,
    Lost,
    Full,
}

impl Waiting {
    pub fn new(seed: u64) -> Waiting {
        Waiting { line: Line::CLEAR, rng: Rng::new(seed), queue: VecDeque::new(), bytes: 0, busy: None }
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= self.line.queue
    }

    /// Takes a packet. Of a `stream` nothing is lost or overtaken.
    pub fn push(&mut self, now: Instant, packet: &[u8], stream: bool) -> Fate {
        // Both numbers are drawn for each packet, so that the n-th has its fate whatever the others had.
        let lost = self.rng.percent(self.line.loss);
        let micros = u64::try_from(self.line.jitter.as_micros()).unwrap_or(u64::MAX - 1);
        let jitter = Duration::from_micros(self.rng.below(micros + 1));
        if lost && !stream {
            return Fate::Lost;
        }
        if self.is_full() {
            return Fate::Full;
        }
        let mut leaves = now;
        if self.line.rate > 0 {
            let takes = Duration::from_secs_f64(packet.len() as f64 / self.line.rate as f64);
            leaves = self.busy.map_or(now, |b| b.max(now)) + takes;
            self.busy = Some(leaves);
        }
        let due = leaves + self.line.delay + jitter;
        let at = if stream || !self.line.overtaking {
            self.queue.len()
        } else {
            self.queue.iter().rposition(|(d, _)| *d <= due).map_or(0, |i| i + 1)
        };
        self.bytes += packet.len();
        self.queue.insert(at, (due, packet.to_vec()));
        Fate::Queued
    }

    /// When the next packet leaves.
    pub fn due(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// The next packet whose time has come.
    pub fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.due()? > now {
            return None;
        }
        let (_, packet) = self.queue.pop_front()?;
        self.bytes -= packet.len();
        Some(packet)
    }

    /// Forgets all, and returns how many packets that were.
    pub fn clear(&mut self) -> u64 {
        self.bytes = 0;
        self.queue.drain(..).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64, loss: u64) -> Vec<Fate> {
        let mut line = Waiting::new(seed);
        line.line = Line { loss, ..Line::CLEAR };
        let now = Instant::now();
        (0..1000).map(|_| line.push(now, &[0], false)).collect()
    }

    #[test]
    fn a_seed_decides_what_is_lost() {
        assert_eq!(fates(7, 7), fates(7, 7));
        assert_ne!(fates(7, 7), fates(8, 7));
        let lost = fates(7, 7).iter().filter(|f| **f == Fate::Lost).count();
        assert!((40..110).contains(&lost), "{lost} of 1000 at 7 %");
        assert!(fates(7, 0).iter().all(|f| *f == Fate::Queued));
        assert!(fates(7, 100).iter().all(|f| *f == Fate::Lost));
    }

    #[test]
    fn delay_rate_and_a_full_queue() {
        let mut line = Waiting::new(1);
        line.line = Line { delay: Duration::from_secs(1), rate: 1000, queue: 2000, ..Line::CLEAR };
        let now = Instant::now();
        assert_eq!(line.push(now, &[1; 1000], false), Fate::Queued);
        assert_eq!(line.push(now, &[2; 1000], false), Fate::Queued);
        assert_eq!(line.push(now, &[3; 1000], false), Fate::Full);
        assert_eq!(line.pop(now + Duration::from_millis(1999)), None);
        assert_eq!(line.pop(now + Duration::from_secs(2)), Some(vec![1; 1000]));
        assert_eq!(line.pop(now + Duration::from_millis(2999)), None);
        assert_eq!(line.pop(now + Duration::from_secs(3)), Some(vec![2; 1000]));
        assert_eq!(line.push(now, &[4; 1000], false), Fate::Queued);
    }

    #[test]
    fn packets_overtake_each_other_only_where_they_may() {
        for (overtaking, stream) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut line = Waiting::new(3);
            line.line = Line { jitter: Duration::from_millis(100), overtaking, ..Line::CLEAR };
            let now = Instant::now();
            for n in 0..50 {
                line.push(now, &[n], stream);
            }
            let later = now + Duration::from_secs(1);
            let got: Vec<u8> = std::iter::from_fn(|| line.pop(later)).flatten().collect();
            assert_eq!(got.is_sorted(), stream || !overtaking);
            assert_eq!(got.len(), 50);
        }
    }
}
