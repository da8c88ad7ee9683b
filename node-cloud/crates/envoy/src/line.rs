//! What Envoy writes, cut into lines of bounded length, and what a line means.

use crate::limits::Limits;

/// How a line is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator may want to know.
    Info,
    /// For who looks for a fault.
    Debug,
}

/// A line of Envoy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How to tell it.
    pub level: Level,
    /// The part of Envoy that speaks: `main`, `config`, `upstream`. Empty where Envoy did not say.
    pub logger: String,
    /// What it says; without control characters.
    pub text: String,
}

/// How Envoy is told to write: level, logger, text.
pub(crate) const FORMAT: &str = "%l %n %v";

/// Warnings of Envoy about what the node does on purpose.
const NOISE: &[&str] = &[
    // Every stop.
    "caught ENVOY_SIGTERM",
    // Parts that are used knowingly, `udp_proxy.matcher` among them.
    "work-in-progress",
    "work in progress",
];

/// What happens whenever the node starts again: told, but no warning.
const USUAL: &[&str] = &["DeltaAggregatedResources gRPC config stream to"];

impl LogLine {
    /// Reads a line that Envoy wrote in the form that it was told: level, logger, text. One in no such form, of a library or about a crash, is a
    /// warning.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut words = line.splitn(3, ' ');
        let (first, logger, rest) = (words.next(), words.next(), words.next());
        let known = first.and_then(|word| match word {
            "trace" | "debug" | "info" => Some(Level::Debug),
            "warning" => Some(Level::Warn),
            "error" | "critical" => Some(Level::Error),
            _ => None,
        });
        let (level, logger, text) = match (known, logger, rest) {
            (Some(level), Some(logger), Some(text)) => (level, logger, text),
            _ => (Level::Warn, "", line),
        };
        let level = if NOISE.iter().any(|noise| text.contains(noise)) {
            Level::Debug
        } else if USUAL.iter().any(|usual| text.contains(usual)) {
            level.max(Level::Info)
        } else {
            level
        };
        LogLine { level, logger: printable(logger), text: printable(text) }
    }
}

/// Control characters as their escapes: what Envoy writes may hold what a stranger sent.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// More was written: each whole line goes to `take`, its end left out if it is longer than a line may be.
    pub(crate) fn read(&mut self, bytes: &[u8], take: &mut dyn FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = Limits::LINE.saturating_sub(self.begun.len());
            self.cut |= text.len() > room;
            self.begun.extend_from_slice(text.get(..room).unwrap_or(text));
            if whole {
                self.end(take);
            }
        }
    }

    /// The end of a line, or of everything.
    pub(crate) fn end(&mut self, take: &mut dyn FnMut(String)) {
        let line = std::mem::take(&mut self.begun);
        let cut = std::mem::take(&mut self.cut);
        if !line.is_empty() {
            let end = if cut { "…" } else { "" };
            take(format!("{}{end}", String::from_utf8_lossy(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, logger: &str, text: &str) -> LogLine {
        LogLine { level, logger: logger.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn levels_are_envoys_own() {
        assert_eq!(LogLine::parse("error config a b"), line(Level::Error, "config", "a b"));
        assert_eq!(LogLine::parse("critical main x"), line(Level::Error, "main", "x"));
        assert_eq!(LogLine::parse("warning main x"), line(Level::Warn, "main", "x"));
        assert_eq!(LogLine::parse("info main x"), line(Level::Debug, "main", "x"));
        assert_eq!(LogLine::parse("src/tcmalloc.cc:1] oom"), line(Level::Warn, "", "src/tcmalloc.cc:1] oom"));
        assert_eq!(LogLine::parse("error"), line(Level::Warn, "", "error"));
    }

    #[test]
    fn known_noise_is_quiet() {
        assert_eq!(LogLine::parse("warning main caught ENVOY_SIGTERM").level, Level::Debug);
        let usual = "warning config DeltaAggregatedResources gRPC config stream to xds closed: 14";
        assert_eq!(LogLine::parse(usual).level, Level::Info);
    }

    #[test]
    fn a_line_cannot_write_on_the_terminal() {
        assert_eq!(LogLine::parse("error http \u{1b}[2J").text, "\\u{1b}[2J");
    }

    #[test]
    fn lines_are_whole_and_bounded() {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        lines.read(b"one\n\ntw", &mut |line| out.push(line));
        lines.read(b"o\n", &mut |line| out.push(line));
        let long = [vec![b'x'; Limits::LINE + 9], b"\nend".to_vec()].concat();
        for piece in long.chunks(100) {
            lines.read(piece, &mut |line| out.push(line));
        }
        lines.end(&mut |line| out.push(line));
        assert_eq!(out.len(), 4);
        assert_eq!(out[2], format!("{}…", "x".repeat(Limits::LINE)));
        assert_eq!([&out[0], &out[1], &out[3]], ["one", "two", "end"]);
    }
}
