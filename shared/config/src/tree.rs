//! A JSON document that remembers where each part came from.

use std::rc::Rc;

/// Where a part came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// This byte of the file.
    File(usize),
    /// An environment variable or a flag, named for the message.
    Given(Rc<str>),
    /// The table of keys.
    Default,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) value: Value,
    pub(crate) at: At,
}

/// What a value is. Numbers stay text: each kind reads its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<Member>),
}

/// A key of an object, its place, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) at: At,
    pub(crate) value: Tree,
}

impl Tree {
    pub(crate) fn new(value: Value, at: At) -> Self {
        Tree { value, at }
    }

    /// The value of a key, if this is an object that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        match &self.value {
            Value::Object(members) => members.iter().find(|m| m.name == name).map(|m| &m.value),
            _ => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Tree] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        match &self.value {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The part that a JSON pointer names, or the innermost part on the way to it.
    pub(crate) fn nearest(&self, pointer: &str) -> &Tree {
        let mut here = self;
        for step in pointer.split('/').skip(1) {
            let next = match &here.value {
                Value::Object(_) => here.get(step),
                Value::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }
}
