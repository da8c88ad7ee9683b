//! How the demo's lines look: a mark, words, and at the right how long it took.

use std::io::Write;
use std::time::Duration;

/// Where the time ends.
const WIDTH: usize = 100;

/// One line, or several. A reader that went away, as `head` does, is no reason to end without putting things in order.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One line with a mark and, if it was measured, its time.
pub fn result(mark: &str, says: &str, took: Option<Duration>) {
    line(&format(mark, says, took));
}

fn format(mark: &str, says: &str, took: Option<Duration>) -> String {
    let start = format!("  {mark:<6}{says}");
    let Some(took) = took else { return start };
    let time = milliseconds(took);
    let gap = WIDTH.saturating_sub(start.chars().count() + time.len()).max(2);
    format!("{start}{}{time}", " ".repeat(gap))
}

/// Below ten, tenths matter.
fn milliseconds(took: Duration) -> String {
    let time = took.as_secs_f64() * 1000.0;
    if time < 9.95 { format!("{time:.1} ms") } else { format!("{time:.0} ms") }
}

/// More about the line before.
pub fn indented(text: &str) {
    text.lines().for_each(|words| line(&format!("        {words}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_in_one_column() {
        let (short, long) = (Duration::from_micros(640), Duration::from_millis(1612));
        let (one, two) = (format("ok", "a", Some(short)), format("FAIL", "something", Some(long)));
        assert_eq!(one.len(), two.len());
        assert!(one.ends_with(" 0.6 ms") && two.ends_with(" 1612 ms"), "{one}\n{two}");
    }
}
