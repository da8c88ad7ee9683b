//! What of a Rust file counts: its code without comments, literals and tests.
//!
//! Not a parser: just enough of the lexical structure (Rust reference, "Comments", "Tokens") that a law
//! does not trip over a word in a doc comment, and does not miss one behind a string. Every function keeps
//! byte offsets and lines, so that a finding can name its line.

/// The text with comments and the contents of string, byte and char literals blanked.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if next(bytes, at, 1) == b'/' => line_end(bytes, at),
            b'/' if next(bytes, at, 1) == b'*' => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if !part_of_word(bytes, at) => match prefixed_literal_end(bytes, at) {
                Some(end) => end,
                None => word_end(bytes, at),
            },
            b'\'' => match char_literal_end(text, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            byte if is_word(byte) => word_end(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        };
        if !is_plain_word(&bytes[at..end]) {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// [`code_only`] with the items under `#[cfg(test)]` blanked too.
pub fn code_without_tests(text: &str) -> String {
    let code = code_only(text);
    let mut out = code.clone().into_bytes();
    if code.contains("#![cfg(test)]") {
        return blank(&out);
    }
    let mut at = 0;
    while let Some(found) = code[at..].find("#[cfg(") {
        let start = at + found;
        let attribute_end = closing(code.as_bytes(), start + 1);
        let inside: String = code[start..attribute_end].split_whitespace().collect();
        if inside == "#[cfg(test)]" || inside.starts_with("#[cfg(all(test,") {
            let end = item_end(code.as_bytes(), attribute_end);
            let blanked = blank(&out[start..end]);
            out[start..end].copy_from_slice(blanked.as_bytes());
            at = end;
        } else {
            at = attribute_end;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a file holds nothing but tests, by where it stands.
pub fn is_test_path(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    file == "tests.rs" || parts.iter().any(|part| matches!(*part, "tests" | "benches" | "examples"))
}

/// The line, counted from one, of a byte offset.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// Every offset at which `word` stands in `code`, not as a part of a longer word. The needle may be a path.
pub fn find_words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).and_then(|index| code.as_bytes().get(index));
        let after = code.as_bytes().get(at + word.len());
        let joined = |inner: Option<&u8>, outer: Option<&u8>| {
            inner.is_some_and(|byte| is_word(*byte)) && outer.is_some_and(|byte| is_word(*byte))
        };
        !joined(word.as_bytes().first(), before) && !joined(word.as_bytes().last(), after)
    })
}

fn blank(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if *byte == b'\n' { '\n' } else { ' ' }).collect()
}

fn next(bytes: &[u8], at: usize, ahead: usize) -> u8 {
    bytes.get(at + ahead).copied().unwrap_or(0)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_plain_word(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_word(*byte))
}

fn part_of_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_word(bytes[at - 1])
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
    at + length.max(1)
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        match (bytes[at], next(bytes, at, 1)) {
            (b'/', b'*') => {
                depth += 1;
                at += 2;
            }
            (b'*', b'/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a string that opens at `start` with a quotation mark.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `b"`, `c"`, `r"`, `br#"`, `b'`...; nothing for a word or a raw identifier.
fn prefixed_literal_end(bytes: &[u8], start: usize) -> Option<usize> {
    let letters = word_end(bytes, start) - start;
    let prefix = &bytes[start..start + letters];
    let raw = matches!(prefix, b"r" | b"br" | b"cr");
    if !raw && !matches!(prefix, b"b" | b"c") {
        return None;
    }
    let after = start + letters;
    if !raw {
        return match next(bytes, after, 0) {
            b'"' => Some(string_end(bytes, after)),
            b'\'' => Some(char_end(bytes, after)),
            _ => None,
        };
    }
    let hashes = bytes[after..].iter().take_while(|byte| **byte == b'#').count();
    if next(bytes, after, hashes) != b'"' {
        return None;
    }
    let mut at = after + hashes + 1;
    while at < bytes.len() {
        let closes = bytes[at] == b'"'
            && bytes.len() >= at + 1 + hashes
            && bytes[at + 1..at + 1 + hashes].iter().all(|byte| *byte == b'#');
        if closes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(bytes.len())
}

/// A quote opens a char literal or a lifetime; only the first is a literal.
fn char_literal_end(text: &str, start: usize) -> Option<usize> {
    let mut ahead = text.get(start + 1..)?.chars();
    let first = ahead.next()?;
    if first == '\\' || ahead.next() == Some('\'') {
        return Some(char_end(text.as_bytes(), start));
    }
    None
}

fn char_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' if at > start + 1 => return at + 1,
            b'\n' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The offset after the bracket that closes the first one at or after `start`.
fn closing(code: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The end of the item after an attribute: its closing brace, or its semicolon.
fn item_end(code: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < code.len() {
        match code[at] {
            b'{' => return closing(code, at),
            b';' | b'}' => return at + 1,
            b'(' | b'[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_in_place() {
        let text = "let a = \"Instant\"; // Instant\n/* Instant /* Instant */ Instant */ let b = 'x';";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert!(!code.contains("Instant") && !code.contains('x'));
        assert!(code.contains("let a =") && code.contains("let b ="));
        assert_eq!(line_of(&code, code.find("let b").unwrap()), 2);
    }

    #[test]
    fn raw_strings_quotes_and_lifetimes() {
        let code = code_only(
            r####"fn f<'a>(x: &'a str) { g(r#"a " Instant"#, b"\"Instant", '"', '\'', b'"'); Instant }"####,
        );
        assert_eq!(find_words(&code, "Instant").count(), 1, "{code}");
        assert!(code.contains("fn f<'a>(x: &'a str)"), "{code}");
    }

    #[test]
    fn raw_identifiers_and_words_that_start_like_literals_stay() {
        let code = code_only("let r#type = bar; let brr = crab;");
        assert_eq!(code, "let r#type = bar; let brr = crab;");
    }

    #[test]
    fn test_items_are_blanked_and_what_follows_is_not() {
        let text = "#[cfg(test)]\nmod tests { use std::fs; }\n#[cfg(test)] use x::{a, b};\n\
                    #[cfg(all(test, unix))] const A: [u8; 2] = [1, 2];\n#[cfg(feature = \"std\")] use std::io;";
        let code = code_without_tests(text);
        assert!(!code.contains("fs") && !code.contains("use x") && !code.contains("const A"), "{code}");
        assert!(code.contains("use std::io"), "{code}");
    }

    #[test]
    fn our_own_sources_keep_their_lengths_and_brackets() {
        let repo = crate::repo::Repo::find().unwrap();
        let files = repo.sources(|path| path.starts_with("xtask/src/") && path.ends_with(".rs")).unwrap();
        assert!(files.len() > 10);
        for file in files {
            let code = code_only(&file.text);
            assert_eq!(code.len(), file.text.len(), "{}", file.path);
            assert_eq!(code_without_tests(&file.text).len(), file.text.len(), "{}", file.path);
            for (open, close) in [('{', '}'), ('(', ')'), ('[', ']')] {
                let count = |mark: char| code.matches(mark).count();
                assert_eq!(count(open), count(close), "{} {open}", file.path);
            }
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(find_words("Instant InstantX XInstant a::Instant", "Instant").count(), 2);
        assert_eq!(find_words("std::time::X mystd::time", "std::time").count(), 1);
    }

    #[test]
    fn tests_are_known_by_their_path() {
        assert!(is_test_path("shared/names/tests/parse.rs"));
        assert!(is_test_path("shared/names/src/tests.rs"));
        assert!(is_test_path("shared/names/src/org/tests.rs"));
        assert!(!is_test_path("xtask/src/test/mod.rs"));
        assert!(!is_test_path("shared/names/src/org.rs"));
    }
}
