//! Errors of a configuration: where, what was expected, what was found, what to do.

use std::fmt;

use crate::limits::Limits;
use crate::tree::At;

/// Where an error is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, "environment variable NAME", "flag --set a.b=c", or "configuration" when nothing was given.
    pub source: String,
    /// Line and column in the file, both counted from 1, columns in characters.
    pub position: Option<(usize, usize)>,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// The JSON pointer (RFC 6901) of the value; `None` when the document could not be read.
    pub pointer: Option<String>,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// A likely fix.
    pub help: Option<String>,
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// At least one, at most [`Limits::ERRORS`].
    pub errors: Vec<ConfigError>,
    /// How many more there were.
    pub more: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.place)?;
        match self.pointer.as_deref() {
            None => {}
            Some("") => write!(f, " at /")?,
            Some(pointer) => write!(f, " at {pointer}")?,
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            let newline = if i > 0 { "\n" } else { "" };
            write!(f, "{newline}{error}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more errors; mend these first"),
        }
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}

impl ConfigErrors {
    /// The only error of a document that could not be read at all.
    pub(crate) fn unreadable(source: &str, expected: &str, found: String, help: &str) -> Self {
        ConfigErrors {
            errors: vec![ConfigError {
                place: Place { source: source.to_owned(), position: None },
                pointer: None,
                expected: expected.to_owned(),
                found,
                help: Some(help.to_owned()),
            }],
            more: 0,
        }
    }
}

/// Collects errors while a document is read.
pub(crate) struct Report<'a> {
    source: &'a str,
    text: &'a str,
    errors: Vec<ConfigError>,
    more: usize,
}

/// What is wrong at a place.
pub(crate) struct Wrong {
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    pub(crate) fn new(
        expected: impl Into<String>,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Wrong { expected: expected.into(), found: found.into(), help: Some(help.into()) }
    }
}

impl<'a> Report<'a> {
    /// For a document of this name and text.
    pub(crate) fn new(source: &'a str, text: &'a str) -> Self {
        Report { source, text, errors: Vec::new(), more: 0 }
    }

    pub(crate) fn add(&mut self, at: &At, pointer: Option<String>, wrong: Wrong) {
        if self.errors.len() >= Limits::ERRORS {
            self.more += 1;
            return;
        }
        let place = self.place(at);
        let Wrong { expected, found, help } = wrong;
        self.errors.push(ConfigError { place, pointer, expected, found, help });
    }

    fn place(&self, at: &At) -> Place {
        match at {
            At::File(offset) => {
                Place { source: self.source.to_owned(), position: Some(position(self.text, *offset)) }
            }
            At::Given(source) => Place { source: source.to_string(), position: None },
            At::Default => Place { source: self.source.to_owned(), position: None },
        }
    }

    /// Whether nothing is wrong at or below this pointer.
    pub(crate) fn clean(&self, pointer: &str) -> bool {
        self.more == 0
            && !self.errors.iter().filter_map(|e| e.pointer.as_deref()).any(|p| {
                p.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    || p.is_empty()
            })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The result, if anything was wrong: errors of the file first, in its order.
    pub(crate) fn finish(mut self) -> Result<(), ConfigErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|e| (e.place.position.is_none(), e.place.position));
        Err(ConfigErrors { errors: self.errors, more: self.more })
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
