//! Does the document hold what the table of keys says, and nothing else?

use crate::compiled::{Build, Compiled};
use crate::error::{Report, Wrong};
use crate::key::{Key, Kind, Need};
use crate::print;
use crate::suggest::nearest;
use crate::tree::{At, Member, Tree, Value};

/// What the walk knows.
pub(crate) struct Checker<'a, 'b> {
    pub(crate) build: Build,
    pub(crate) compiled: &'a Compiled,
    pub(crate) report: &'a mut Report<'b>,
    /// All keys, to find where a misplaced one belongs.
    pub(crate) root: &'static [Key],
}

impl Checker<'_, '_> {
    /// Reports everything below `tree` that is not as `keys` say.
    pub(crate) fn document(&mut self, tree: &Tree) {
        match &tree.value {
            Value::Object(members) => self.object(&tree.at, members, self.root, ""),
            other => {
                let help = "put everything into one object: { \"version\": 1, ... }";
                self.report.add(
                    &tree.at,
                    Some(String::new()),
                    Wrong::new("an object", print::found(other), help),
                );
            }
        }
    }

    fn object(&mut self, at: &At, members: &[Member], keys: &'static [Key], pointer: &str) {
        for member in members {
            let below = print::step(pointer, &member.name);
            match keys.iter().find(|k| k.name == member.name) {
                Some(key) if key.cloud_only && self.build == Build::Edge => {
                    let found = print::found(&member.value.value);
                    let expected = format!("no \"{}\" in the edge build", key.name);
                    let help = "the edge dials out only: remove the key, and give each peer an address";
                    self.report.add(&member.value.at, Some(below), Wrong::new(expected, found, help));
                }
                Some(key) => self.value(&member.value, key, &key.kind, &below),
                None => {
                    let found = format!("\"{}\"", print::cut(&member.name));
                    let wrong = Wrong::new("a known key", found, self.hint(&member.name, keys));
                    self.report.add(&member.at, Some(below), wrong);
                }
            }
        }
        for key in keys.iter().filter(|k| matches!(k.need, Need::Required)) {
            if !members.iter().any(|m| m.name == key.name) {
                let expected = format!("the key \"{}\", {}", key.name, key.kind.expected(self.compiled));
                let below = print::step(pointer, key.name);
                self.report.add(at, Some(below), Wrong::new(expected, "none", key.fix));
            }
        }
    }

    fn hint(&self, name: &str, keys: &[Key]) -> String {
        let names = || keys.iter().filter(|k| !matches!(k.kind, Kind::Note)).map(|k| k.name);
        let elsewhere =
            || self.root.iter().find(|k| below(k).is_some_and(|keys| keys.iter().any(|k| k.name == name)));
        match (nearest(name, names()), elsewhere()) {
            (Some(near), _) => format!("did you mean \"{near}\"?"),
            (None, Some(key)) => format!("\"{}\" belongs under \"{}\"", print::cut(name), key.name),
            (None, None) => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        }
    }

    fn value(&mut self, tree: &Tree, key: &Key, kind: &'static Kind, pointer: &str) {
        match (kind, &tree.value) {
            (Kind::Object(keys), Value::Object(members)) => self.object(&tree.at, members, keys, pointer),
            (Kind::List(of, max), Value::List(items)) => {
                if items.len() > *max {
                    let expected = format!("at most {max} of them");
                    let wrong = Wrong::new(expected, items.len().to_string(), key.fix);
                    self.report.add(&tree.at, Some(pointer.to_owned()), wrong);
                    return;
                }
                for (i, item) in items.iter().enumerate() {
                    self.value(item, key, of, &format!("{pointer}/{i}"));
                }
            }
            (Kind::Text(form), Value::Text(text)) => {
                if let Err(help) = form.check(text) {
                    self.refuse(tree, kind, pointer, &help);
                }
            }
            (Kind::Choice(words), Value::Text(text)) => {
                if !words.contains(&text.as_str()) {
                    let near = nearest(&text.to_ascii_lowercase(), words.iter().copied());
                    let help =
                        near.map_or_else(|| key.fix.to_owned(), |word| format!("did you mean \"{word}\"?"));
                    self.refuse(tree, kind, pointer, &help);
                }
            }
            (Kind::Integer(min, max), Value::Number(_)) => {
                if !tree.number().is_some_and(|n| (*min..=*max).contains(&n)) {
                    self.refuse(tree, kind, pointer, key.fix);
                }
            }
            (Kind::Capacity(max), Value::Number(_)) => {
                let max = max(self.compiled);
                match tree.number() {
                    Some(n) if (1..=u64::from(max)).contains(&n) => {}
                    Some(n) if n > 0 => {
                        let help = format!("the {} build serves at most {max}", self.build.as_str());
                        self.refuse(tree, kind, pointer, &help);
                    }
                    _ => self.refuse(tree, kind, pointer, key.fix),
                }
            }
            (Kind::Note, Value::Text(_)) => {}
            (Kind::Integer(..) | Kind::Capacity(_), Value::Text(text)) if text.parse::<u64>().is_ok() => {
                self.refuse(tree, kind, pointer, "remove the quotes");
            }
            (_, Value::Null) if !matches!(key.need, Need::Required) => {
                self.refuse(tree, kind, pointer, "leave the key out instead");
            }
            (_, _) => self.refuse(tree, kind, pointer, key.fix),
        }
    }

    fn refuse(&mut self, tree: &Tree, kind: &Kind, pointer: &str, help: &str) {
        let wrong = Wrong::new(kind.expected(self.compiled), print::found(&tree.value), help);
        self.report.add(&tree.at, Some(pointer.to_owned()), wrong);
    }
}

/// The keys inside an object or the objects of a list.
fn below(key: &Key) -> Option<&'static [Key]> {
    match key.kind {
        Kind::Object(keys) => Some(keys),
        Kind::List(Kind::Object(keys), _) => Some(keys),
        _ => None,
    }
}
