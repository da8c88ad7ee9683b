//! JSON text, and how values look in messages.

use std::fmt::Write;

use crate::limits::Limits;
use crate::tree::{Tree, Value};

/// Text as JSON, in quotes (RFC 8259 section 7).
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if !is_plain(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a terminal shows this character and does nothing else: no control (C0, DEL, C1), no end of a line, and nothing
/// that has no width or changes the order in which the rest of a line is shown (Unicode 16, table 23-1 and UAX 9).
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The beginning of a long text, with a mark; safe to print.
pub(crate) fn cut(text: &str) -> String {
    let shown: String = text.chars().take(Limits::SHOWN).collect();
    let mark = if shown.len() < text.len() { "..." } else { "" };
    let shown = quoted(&shown);
    format!("{}{mark}", shown.get(1..shown.len() - 1).unwrap_or_default())
}

/// A value in a message.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(digits) => cut(digits),
        Value::Text(text) => format!("\"{}\"", cut(text)),
        Value::List(items) if items.is_empty() => "an empty list".into(),
        Value::List(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// One step of a JSON pointer (RFC 6901 section 3), safe to print.
pub(crate) fn step(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", cut(&name.replace('~', "~0").replace('/', "~1")))
}

/// The document, indented by two spaces. Short lists of plain values stand on one line.
pub(crate) fn pretty(tree: &Tree) -> String {
    let mut out = String::new();
    write_value(&mut out, &tree.value, 0);
    out.push('\n');
    out
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    let indent = |out: &mut String, depth: usize| out.push_str(&"  ".repeat(depth));
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(digits) => out.push_str(digits),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) if items.iter().all(|i| !matches!(i.value, Value::List(_) | Value::Object(_))) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_value(out, &item.value, depth);
            }
            out.push(']');
        }
        Value::List(items) => {
            out.push_str("[\n");
            for (i, item) in items.iter().enumerate() {
                indent(out, depth + 1);
                write_value(out, &item.value, depth + 1);
                out.push_str(if i + 1 < items.len() { ",\n" } else { "\n" });
            }
            indent(out, depth);
            out.push(']');
        }
        Value::Object(members) if members.is_empty() => out.push_str("{}"),
        Value::Object(members) => {
            out.push_str("{\n");
            for (i, member) in members.iter().enumerate() {
                indent(out, depth + 1);
                out.push_str(&quoted(&member.name));
                out.push_str(": ");
                write_value(out, &member.value.value, depth + 1);
                out.push_str(if i + 1 < members.len() { ",\n" } else { "\n" });
            }
            indent(out, depth);
            out.push('}');
        }
    }
}
