//! Tokens of a Rust file, and the paths and `use` lines among them: what [`crate::laws::module_circles`] reads.

use crate::rust_source::line_of;

/// A word, `::`, or one mark of punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// As written; raw identifiers lose their `r#`.
    pub text: &'a str,
    /// From one.
    pub line: usize,
}

/// Splits code that [`crate::rust_source`] has already cleared of comments and literals.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut line = 1;
    let mut counted = 0;
    while let Some(first) = code[at..].chars().next() {
        let length = if is_word(first) {
            code[at..].find(|letter| !is_word(letter)).unwrap_or(code.len() - at)
        } else if code[at..].starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            line += line_of(&code[counted..at], at - counted) - 1;
            counted = at;
            let text = &code[at..at + length];
            // `r#type`: the word after the mark is the name.
            if text == "r" && code[at + length..].starts_with('#') {
                at += length + 1;
                continue;
            }
            out.push(Token { text, line });
        }
        at += length;
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// One leaf of a `use` tree: `use crate::a::{B as C, d::*}` has two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseLeaf {
    /// `["crate", "a", "B"]`; for a glob the path before the star.
    pub path: Vec<String>,
    /// The name it gets here; nothing for a glob or `as _`.
    pub name: Option<String>,
    /// Ends with a star.
    pub glob: bool,
    /// From one.
    pub line: usize,
}

/// Reads the tree after a `use` at `tokens[at]`. Returns its leaves and the index after it.
pub fn use_leaves(tokens: &[Token<'_>], at: usize) -> (Vec<UseLeaf>, usize) {
    let mut leaves = Vec::new();
    let end = branch(tokens, at + 1, &[], &mut leaves);
    (leaves, end)
}

fn branch(tokens: &[Token<'_>], start: usize, prefix: &[String], leaves: &mut Vec<UseLeaf>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = start;
    let mut line = tokens.get(start).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "*" => {
                leaves.push(UseLeaf { path, name: None, glob: true, line });
                return at + 1;
            }
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = branch(tokens, at, &path, leaves);
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => {
                let name = tokens.get(at + 1).map(|token| token.text.to_owned()).filter(|name| name != "_");
                leaves.push(UseLeaf { path, name, glob: false, line });
                return at + 2;
            }
            word if word.chars().all(is_word) => {
                // `use a::{self}` names `a` itself.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                line = token.line;
                at += 1;
            }
            _ => break,
        }
    }
    if !path.is_empty() {
        let name = path.last().cloned();
        leaves.push(UseLeaf { path, name, glob: false, line });
    }
    // Always forward, whatever the text is.
    at.max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(code: &str) -> Vec<(String, Option<String>, bool)> {
        let tokens = tokens(code);
        let (leaves, _) = use_leaves(&tokens, 0);
        leaves.into_iter().map(|leaf| (leaf.path.join("::"), leaf.name, leaf.glob)).collect()
    }

    #[test]
    fn splits_into_words_and_marks() {
        let found: Vec<_> =
            tokens("crate::a\n::r#type;").iter().map(|t| (t.text.to_owned(), t.line)).collect();
        let want = [("crate", 1), ("::", 1), ("a", 1), ("::", 2), ("type", 2), (";", 2)];
        assert_eq!(found, want.map(|(text, line)| (text.to_owned(), line)));
    }

    #[test]
    fn reads_use_trees() {
        assert_eq!(leaves("use crate::A;"), [("crate::A".into(), Some("A".into()), false)]);
        assert_eq!(
            leaves("use crate::a::{self, B as C, d::*, e::{F, G}};"),
            [
                ("crate::a".into(), Some("a".into()), false),
                ("crate::a::B".into(), Some("C".into()), false),
                ("crate::a::d".into(), None, true),
                ("crate::a::e::F".into(), Some("F".into()), false),
                ("crate::a::e::G".into(), Some("G".into()), false),
            ]
        );
        assert_eq!(leaves("use super::X as _;"), [("super::X".into(), None, false)]);
        assert_eq!(leaves("use self::y;"), [("self::y".into(), Some("y".into()), false)]);
    }

    #[test]
    fn an_unfinished_tree_ends() {
        assert_eq!(leaves("use crate::{a, b").len(), 2);
        assert!(leaves("use ;").is_empty());
    }
}
