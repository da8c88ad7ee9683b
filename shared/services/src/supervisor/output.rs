//! The output of a service, cut into lines, bounded in length and number.

use std::time::Instant;

use crate::limits::Limits;

/// Lines of one service.
pub(super) struct Output {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// Whether the rest of this line is left out.
    cut: bool,
    /// How many lines may be taken now, in thousandths.
    tokens: u64,
    at: Instant,
    dropped: u32,
}

impl Output {
    pub(super) fn new(now: Instant) -> Self {
        let tokens = u64::from(Limits::LINES) * 1_000;
        Output { begun: Vec::new(), cut: false, tokens, at: now, dropped: 0 }
    }

    /// More output: hands whole lines to `take`, which says whether there was room for the line.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant, take: &mut dyn FnMut(Vec<u8>) -> bool) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = Limits::LINE.saturating_sub(self.begun.len());
            self.cut |= text.len() > room;
            self.begun.extend_from_slice(text.get(..room).unwrap_or(text));
            if whole {
                self.end(now, take);
            }
        }
    }

    /// The end of a line, or of the output.
    pub(super) fn end(&mut self, now: Instant, take: &mut dyn FnMut(Vec<u8>) -> bool) {
        let mut line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.cut) {
            line.extend("…".as_bytes());
        }
        if line.is_empty() {
            return;
        }
        self.refill(now);
        if self.tokens >= 1_000 && take(line) {
            self.tokens -= 1_000;
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// How many lines were left out, once there is room to say so.
    pub(super) fn dropped(&mut self, now: Instant) -> Option<u32> {
        if self.dropped == 0 {
            return None;
        }
        self.refill(now);
        (self.tokens >= 1_000).then(|| std::mem::take(&mut self.dropped))
    }

    /// Whether lines were left out that nobody was told of.
    pub(super) fn owes(&self) -> bool {
        self.dropped > 0
    }

    fn refill(&mut self, now: Instant) {
        let gone = u64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = now;
        let more = gone.saturating_mul(u64::from(Limits::LINES_PER_S));
        self.tokens = self.tokens.saturating_add(more).min(u64::from(Limits::LINES) * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_are_whole_bounded_and_counted() {
        let start = Instant::now();
        let mut output = Output::new(start);
        let mut lines = Vec::new();
        let mut take = |line: Vec<u8>| {
            lines.push(String::from_utf8(line).unwrap());
            true
        };
        output.read(b"one\n\ntw", start, &mut take);
        output.read(b"o\nrest", start, &mut take);
        output.end(start, &mut take);
        let long = [b"x".repeat(Limits::LINE + 5), b"\nnext\n".to_vec()].concat();
        for piece in long.chunks(100) {
            output.read(piece, start, &mut take);
        }
        assert_eq!(lines[..3], ["one", "two", "rest"]);
        assert_eq!(lines[3], format!("{}…", "x".repeat(Limits::LINE)));
        assert_eq!(lines[4..], ["next"]);
    }

    #[test]
    fn a_flood_is_left_out_and_said() {
        let start = Instant::now();
        let mut output = Output::new(start);
        let mut taken = 0;
        for _ in 0..1_000 {
            output.read(b"flood\n", start, &mut |_| {
                taken += 1;
                true
            });
        }
        assert_eq!(taken, Limits::LINES);
        assert_eq!(output.dropped(start), None, "there is no room to say so yet");
        let later = start + Duration::from_secs(1);
        assert_eq!(output.dropped(later), Some(1_000 - Limits::LINES));
        assert_eq!(output.dropped(later), None);
        // A node that does not read: the line has no room, and counts as left out.
        output.read(b"lost\n", later, &mut |_| false);
        assert_eq!(output.dropped(later), Some(1));
    }
}
