//! How much of what Envoy writes is told: a burst, then some lines a second; what is left out is counted.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::limits::Limits;

/// Lines on their way to the node.
pub(super) struct Output {
    /// Lines that may be told at once, in thousandths.
    tokens: u64,
    at: Instant,
    dropped: u64,
    kept: VecDeque<String>,
}

impl Output {
    pub(super) fn new(now: Instant) -> Self {
        Output { tokens: u64::from(Limits::LINES) * 1_000, at: now, dropped: 0, kept: VecDeque::new() }
    }

    /// A line came. It is kept until [`Self::next`] takes it.
    pub(super) fn push(&mut self, line: String, now: Instant) {
        let gone = u64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = now;
        let more = gone.saturating_mul(u64::from(Limits::LINES_PER_S));
        self.tokens = self.tokens.saturating_add(more).min(u64::from(Limits::LINES) * 1_000);
        if self.tokens < 1_000 {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.tokens -= 1_000;
        if self.kept.len() >= Limits::KEPT_LINES {
            self.kept.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.kept.push_back(line);
    }

    /// The oldest line that was not told.
    pub(super) fn next(&mut self) -> Option<String> {
        self.kept.pop_front()
    }

    /// Whether there is something to tell.
    pub(super) fn owes(&self) -> bool {
        self.dropped > 0 || !self.kept.is_empty()
    }

    /// How many lines were left out since this was asked last.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_the_rest_counted() {
        let now = Instant::now();
        let mut output = Output::new(now);
        for number in 0..150 {
            output.push(number.to_string(), now);
        }
        assert_eq!(output.next().as_deref(), Some("50"));
        assert_eq!((output.dropped(), output.dropped()), (50, 0));
        assert_eq!(std::iter::from_fn(|| output.next()).last().as_deref(), Some("149"));
    }

    #[test]
    fn a_flood_is_left_out() {
        let now = Instant::now();
        let mut output = Output::new(now);
        let mut told = 0;
        for _ in 0..1_000 {
            output.push("flood".into(), now);
            told += u32::from(output.next().is_some());
        }
        assert_eq!((told, output.dropped()), (Limits::LINES, 800));
        output.push("later".into(), now + Duration::from_millis(20));
        assert!(output.next().is_some());
    }
}
