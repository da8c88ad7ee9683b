//! Puts the defaults of the table where the document says nothing.

use crate::compiled::{Build, Compiled};
use crate::key::{Key, Kind, Need};
use crate::read;
use crate::tree::{At, Member, Tree, Value};

/// Fills the objects of the tree, inner ones included. What is there stays.
pub(crate) fn complete(tree: &mut Tree, keys: &'static [Key], build: Build, compiled: &Compiled) {
    let Value::Object(members) = &mut tree.value else { return };
    for key in keys {
        if !members.iter().any(|m| m.name == key.name)
            && let Some(value) = default(key, build, compiled)
        {
            let value = Tree::new(value, At::Default);
            members.push(Member { name: key.name.to_owned(), at: At::Default, value });
        }
    }
    for member in members {
        match keys.iter().find(|k| k.name == member.name).map(|k| &k.kind) {
            Some(Kind::Object(inner)) => complete(&mut member.value, inner, build, compiled),
            Some(Kind::List(Kind::Object(inner), _)) => {
                let Value::List(items) = &mut member.value.value else { continue };
                for item in items {
                    complete(item, inner, build, compiled);
                }
            }
            _ => {}
        }
    }
}

fn default(key: &Key, build: Build, compiled: &Compiled) -> Option<Value> {
    match (&key.need, &key.kind) {
        (Need::Default(json), _) => Some(read::default(json)),
        (Need::PerBuild { edge, cloud }, Kind::Capacity(max)) => {
            let wanted = match build {
                Build::Edge => *edge,
                Build::Cloud => *cloud,
            };
            Some(Value::Number(wanted.min(max(compiled)).to_string()))
        }
        _ => None,
    }
}
