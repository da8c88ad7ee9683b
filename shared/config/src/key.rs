//! What a description of a key says.

use crate::compiled::Compiled;
use crate::form::Form;

/// One key of an object.
#[derive(Debug)]
pub struct Key {
    /// Its name in the object.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be left out, and what it is then.
    pub need: Need,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
    /// One line that helps when it is missing or wrong.
    pub fix: &'static str,
    /// Whether only the cloud build takes it.
    pub cloud_only: bool,
}

/// What a key holds.
#[derive(Debug)]
pub enum Kind {
    /// Named keys.
    Object(&'static [Key]),
    /// Values of one kind, at most so many.
    List(&'static Kind, usize),
    /// Text of a certain form.
    Text(Form),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number in this range, both ends included.
    Integer(u64, u64),
    /// A capacity: a whole number from 1 to what the build can serve.
    Capacity(fn(&Compiled) -> u32),
    /// Text for tools, not a setting.
    Note,
}

/// Whether a key may be left out.
#[derive(Debug)]
pub enum Need {
    /// It must be there.
    Required,
    /// Without it the function it describes is absent.
    Optional,
    /// It is this JSON text then.
    Default(&'static str),
    /// It follows from other keys then; the text says how.
    Derived(&'static str),
    /// A number that differs between the builds; never more than the build can serve.
    PerBuild {
        /// Of the edge build.
        edge: u32,
        /// Of the cloud build.
        cloud: u32,
    },
}

impl Key {
    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        need: Need,
        doc: &'static str,
        fix: &'static str,
    ) -> Key {
        Key { name, kind, need, doc, fix, cloud_only: false }
    }

    pub(crate) const fn cloud_only(self) -> Key {
        Key { cloud_only: true, ..self }
    }
}

impl Kind {
    /// What an error says was expected.
    pub(crate) fn expected(&self, compiled: &Compiled) -> String {
        match self {
            Kind::Object(_) => "an object".to_owned(),
            Kind::List(of, _) => format!("a list of {}", of.plural()),
            Kind::Text(form) => form.expected().to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Integer(min, max) if min == max => min.to_string(),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Capacity(max) => format!("a whole number from 1 to {}", max(compiled)),
            Kind::Note => "text".to_owned(),
        }
    }

    fn plural(&self) -> &'static str {
        match self {
            Kind::Object(_) => "objects",
            Kind::Text(Form::Tag) => "tags",
            _ => "values",
        }
    }
}

/// A key with its whole path, for documentation and completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Such as `limits.routes`, or `peers.0.node` for a key of each element of a list.
    pub path: String,
    /// The environment variable.
    pub env: String,
    /// What it holds, in words.
    pub holds: String,
    /// The default, in words; `None` when it must be given.
    pub default: Option<String>,
    /// What it means.
    pub doc: &'static str,
}
