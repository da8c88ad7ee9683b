//! Words of others, on their way to a terminal or a log: nothing in them may steer it, forge a line, or show in another
//! order than it is read. What is told is [`is_plain`]; each way out has its own sign for the rest.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use catalyst_config::is_plain;

/// One line for people: what is not plain is a dot, which is as wide as what a table has left for it.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { '.' }).collect()
}

/// Lines for people: as [`line`], and an end of line stays one.
pub(crate) fn lines(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) || c == '\n' { c } else { '.' }).collect()
}

/// JSON text in which everything is escaped that is not plain (RFC 8259 section 7). Outside of strings JSON has only ends
/// of lines, which stay.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| is_plain(c) || c == '\n') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_plain(c) || c == '\n' {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(out)
}

/// The log: standard error, one line an event. The subscriber hands over whole events and escapes only some of what a
/// terminal obeys, and nothing in fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(escaped(event).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event of the log with its end of line.
fn escaped(event: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(event);
    let (words, end) = text.strip_suffix('\n').map_or((&*text, ""), |words| (words, "\n"));
    let may = |c: char| is_plain(c) || c == '\t';
    if words.chars().all(may) {
        return text;
    }
    let mut out = String::with_capacity(words.len() + 16);
    for c in words.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            c if may(c) => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out.push_str(end);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str = "a\u{202e}b\u{9b}2J\u{1b}[2J\rc\u{200b}\u{feff}\u{2066}\u{e0041}";

    #[test]
    fn a_line_has_a_dot_for_each() {
        assert_eq!(line(BAD), "a.b.2J.[2J.c....");
        assert_eq!(line("münchen, 東京 🙂\n"), "münchen, 東京 🙂.");
        assert_eq!(lines("one\n\u{85}two"), "one\n.two");
    }

    #[test]
    fn json_says_the_same_in_plain_words() {
        let text = serde_json::to_string_pretty(&[BAD, "é\n\"\\"]).unwrap();
        let plain = json(&text);
        assert!(plain.chars().all(|c| is_plain(c) || c == '\n'), "{plain}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&plain).unwrap(), [BAD, "é\n\"\\"]);
        assert!(matches!(json("{\n  \"a\": \"é\"\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_event_of_the_log_is_one_line() {
        let said = escaped(b"WARN why=\"x\"\ty\nWARN forged\x1b[2J\xe2\x80\xae\xc2\x9b\xff\n").into_owned();
        assert_eq!(said, "WARN why=\"x\"\ty\\nWARN forged\\u{1b}[2J\\u{202e}\\u{9b}\u{fffd}\n");
        assert!(matches!(escaped("INFO é\n".as_bytes()), Cow::Borrowed(_)));
    }
}
