//! JSON text into a tree, strictly (RFC 8259), with keys that stand twice reported.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind as Bad;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::error::{Report, Wrong};
use crate::print;
use crate::tree::{At, Member, Tree, Value};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// What cannot be read, and where.
pub(crate) struct Unreadable {
    pub(crate) offset: usize,
    pub(crate) wrong: Wrong,
}

/// Reads a file's text. `None` when it is not JSON: then that is the only error.
pub(crate) fn file(text: &str, report: &mut Report<'_>) -> Option<Tree> {
    match parse(text) {
        Ok(value) => Some(tree(&value, &|offset| At::File(offset), "", report)),
        Err(Unreadable { offset, wrong }) => {
            report.add(&At::File(offset), None, wrong);
            None
        }
    }
}

/// Reads a value given by a variable or a flag; every part of it has that one place.
pub(crate) fn given(text: &str, at: &At, pointer: &str, report: &mut Report<'_>) -> Result<Tree, Unreadable> {
    parse(text).map(|value| tree(&value, &|_| at.clone(), pointer, report))
}

/// Reads a default of the table of keys.
pub(crate) fn default(text: &str) -> Value {
    let mut none = Report::new("", "");
    parse(text).map_or(Value::Null, |value| tree(&value, &|_| At::Default, "", &mut none).value)
}

fn parse(text: &str) -> Result<ast::Value<'_>, Unreadable> {
    if text.starts_with('\u{feff}') {
        let wrong =
            Wrong::new("JSON", "a byte order mark", "save the file as UTF-8 without a byte order mark");
        return Err(Unreadable { offset: 0, wrong });
    }
    let collect = CollectOptions::default();
    let result = parse_to_ast(text, &collect, &STRICT)
        .map_err(|e| Unreadable { offset: e.range().start.min(text.len()), wrong: explain(e.kind()) })?;
    let value = result.value.ok_or_else(|| Unreadable {
        offset: 0,
        wrong: Wrong::new("JSON", "nothing", "begin with { \"version\": 1 }, as in docs/examples"),
    })?;
    match stray(text) {
        Some(offset) => Err(Unreadable {
            offset,
            wrong: Wrong::new(
                "JSON",
                "a character that must not stand here unescaped",
                "write it as an escape such as \\n or \\u00a0, or remove it",
            ),
        }),
        None => Ok(value),
    }
}

/// The first character that the parser passes over and JSON does not allow: controls in text, and
/// white space other than its four kinds.
fn stray(text: &str) -> Option<usize> {
    let (mut inside, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => inside = !inside,
            c if inside && c < ' ' => return Some(at),
            c if !inside && (!c.is_ascii() || c < ' ') && !matches!(c, '\t' | '\n' | '\r') => {
                return Some(at);
            }
            _ => {}
        }
        escaped = inside && !escaped && c == '\\';
    }
    None
}

fn tree(value: &ast::Value<'_>, at: &dyn Fn(usize) -> At, pointer: &str, report: &mut Report<'_>) -> Tree {
    let place = at(value.range().start);
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(b) => Value::Bool(b.value),
        ast::Value::NumberLit(n) => Value::Number(n.value.to_owned()),
        ast::Value::StringLit(s) => Value::Text(s.value.to_string()),
        ast::Value::Array(array) => {
            let item = |(i, v): (usize, &ast::Value<'_>)| tree(v, at, &format!("{pointer}/{i}"), report);
            Value::List(array.elements.iter().enumerate().map(item).collect())
        }
        ast::Value::Object(object) => Value::Object(members(object, at, pointer, report)),
    };
    Tree::new(value, place)
}

fn members(
    object: &ast::Object<'_>,
    at: &dyn Fn(usize) -> At,
    pointer: &str,
    report: &mut Report<'_>,
) -> Vec<Member> {
    // Sorted names tell whether any stands twice without comparing each with each.
    let mut names: Vec<&str> = object.properties.iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    let twice = |name: &str| {
        names.binary_search(&name).is_ok_and(|i| {
            let same = |j: Option<usize>| j.and_then(|j| names.get(j)) == Some(&name);
            same(i.checked_sub(1)) || same(Some(i + 1))
        })
    };
    let mut found: Vec<Member> = Vec::with_capacity(names.len());
    for property in &object.properties {
        let name = property.name.as_str();
        let below = print::step(pointer, name);
        let place = at(property.range.start);
        if twice(name) && found.iter().any(|m| m.name == name) {
            let key = format!("\"{}\"", print::cut(name));
            let help = "a key stands once in an object: remove one of the two";
            report.add(&place, Some(below), Wrong::new("each key once", format!("{key} again"), help));
            continue;
        }
        let value = tree(&property.value, at, &below, report);
        found.push(Member { name: name.to_owned(), at: place, value });
    }
    found
}

/// What a mistake is called, and what mends it.
fn explain(kind: &Bad) -> Wrong {
    let (expected, found, help) = match kind {
        Bad::TrailingCommasNotAllowed => ("JSON", "a comma before a closing bracket", "remove the comma"),
        Bad::CommentsNotAllowed => ("JSON", "a comment", "remove it: JSON has no comments"),
        Bad::UnterminatedCommentBlock => ("JSON", "a comment", "remove it: JSON has no comments"),
        Bad::SingleQuotedStringsNotAllowed => ("JSON", "single quotes", "use double quotes"),
        Bad::ExpectedStringObjectProperty => {
            ("a key in double quotes", "a bare word", "put the key in double quotes")
        }
        Bad::UnexpectedWord => ("JSON", "a bare word", "put text in double quotes"),
        Bad::ExpectedComma => ("a comma", "the next value", "put a comma before it"),
        Bad::ExpectedColonAfterObjectKey => {
            ("a colon after the key", "something else", "put a colon between key and value")
        }
        Bad::ExpectedObjectValue => ("a value after the colon", "none", "write the value, or remove the key"),
        Bad::UnterminatedObject => ("a closing }", "the end of the file", "close this object"),
        Bad::UnterminatedArray => ("a closing ]", "the end of the file", "close this list"),
        Bad::MultipleRootJsonValues => {
            ("one JSON object", "something after it", "remove what follows the closing }")
        }
        Bad::NestingDepthExceeded => ("JSON", "too many levels", "nest less deeply"),
        Bad::HexadecimalNumbersNotAllowed
        | Bad::UnaryPlusNumbersNotAllowed
        | Bad::BareDecimalPointNumbersNotAllowed
        | Bad::NonFiniteNumbersNotAllowed
        | Bad::ExpectedDigit
        | Bad::ExpectedDigitFollowingNegativeSign
        | Bad::ExpectedPlusMinusOrDigitInNumberLiteral => {
            ("a JSON number", "another notation", "write the number in plain decimal digits")
        }
        Bad::String(_) => (
            "text in double quotes",
            "an escape or an end of line that JSON does not allow",
            "close the quotes on the same line, and write a backslash as \\\\",
        ),
        Bad::UnexpectedCloseBrace | Bad::UnexpectedCloseBracket => {
            ("JSON", "a closing bracket that opens nowhere", "remove it")
        }
        Bad::UnexpectedComma => ("a value", "a comma", "remove the comma"),
        Bad::UnexpectedColon => ("a value", "a colon", "put the key before the colon, inside { }"),
        _ => ("JSON", "something else", "compare this line with the schema: 'catalyst config schema'"),
    };
    Wrong::new(expected, found, help)
}
