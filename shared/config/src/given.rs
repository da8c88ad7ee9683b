//! What the environment and the command line say, put over the file.

use std::rc::Rc;

use crate::compiled::Compiled;
use crate::error::{Report, Wrong};
use crate::key::{Key, Kind};
use crate::limits::Limits;
use crate::print;
use crate::read;
use crate::suggest::nearest;
use crate::tree::{At, Member, Tree, Value};

/// Variables that begin like ours and are not keys: `CATALYST_CONFIG` names the file.
pub const RESERVED_ENVIRONMENT: &[&str] = &["CATALYST_CONFIG"];

const PREFIX: &str = "CATALYST_";

/// One value for one key.
struct Setting<'a> {
    at: At,
    path: Vec<String>,
    value: &'a str,
    /// How this place names a key, for suggestions.
    spell: fn(&str) -> String,
}

/// Puts the variables over the tree, then the flags, in this order.
pub(crate) fn apply(
    tree: &mut Tree,
    env: &[(String, String)],
    sets: &[String],
    keys: &'static [Key],
    compiled: &Compiled,
    report: &mut Report<'_>,
) {
    let mut settings = variables(env, report);
    settings.extend(sets.iter().filter_map(|set| flag(set, report)));
    for setting in settings {
        if setting.value.len() > Limits::GIVEN {
            let wrong = Wrong::new(
                format!("at most {} bytes", Limits::GIVEN),
                format!("{} bytes", setting.value.len()),
                "put it into the file",
            );
            report.add(&setting.at, None, wrong);
            continue;
        }
        // Without a name for the root: every key stands in one object.
        let root = Kind::Object(keys);
        put(tree, &root, &setting, 0, "", compiled, report);
    }
}

/// The variables that are ours, shorter paths first, so that `CATALYST_PEERS` comes before
/// `CATALYST_PEERS__0__NODE`, and index 2 before index 10.
/// `CATALYST_ENVOY` names a program for whoever looks for Envoy; as the key `envoy` it would be an object.
fn is_key(name: &str, value: &str) -> bool {
    let program = name == "CATALYST_ENVOY" && !value.trim_start().starts_with('{');
    !program && !RESERVED_ENVIRONMENT.contains(&name)
}

fn variables<'a>(env: &'a [(String, String)], report: &mut Report<'_>) -> Vec<Setting<'a>> {
    let mut found: Vec<Setting<'_>> = env
        .iter()
        .filter(|(name, value)| is_key(name, value))
        .filter_map(|(name, value)| {
            let rest = name.strip_prefix(PREFIX)?;
            let at = At::Given(Rc::from(format!("environment variable {}", print::cut(name))));
            if rest.bytes().any(|b| b.is_ascii_lowercase()) {
                let help = format!("did you mean {}?", print::cut(&name.to_ascii_uppercase()));
                report.add(&at, None, Wrong::new("a name in capitals", print::cut(name), help));
                return None;
            }
            let path = rest.split("__").map(str::to_ascii_lowercase).collect();
            Some(Setting { at, path, value, spell: |key| key.to_ascii_uppercase() })
        })
        .collect();
    found.sort_by_key(|s| {
        let steps: Vec<_> = s.path.iter().map(|p| (p.parse::<usize>().unwrap_or(0), p.clone())).collect();
        (s.path.len(), steps)
    });
    found
}

fn flag<'a>(set: &'a str, report: &mut Report<'_>) -> Option<Setting<'a>> {
    let at = At::Given(Rc::from(format!("flag --set {}", print::cut(set))));
    let Some((path, value)) = set.split_once('=') else {
        let wrong =
            Wrong::new("key=value", format!("\"{}\"", print::cut(set)), "write --set limits.routes=512");
        report.add(&at, None, wrong);
        return None;
    };
    let path = path.trim().split('.').map(str::to_owned).collect();
    Some(Setting { at, path, value, spell: str::to_owned })
}

fn put(
    here: &mut Tree,
    kind: &Kind,
    setting: &Setting<'_>,
    depth: usize,
    pointer: &str,
    compiled: &Compiled,
    report: &mut Report<'_>,
) {
    let Some(step) = setting.path.get(depth) else {
        if let Some(value) = value(kind, setting, pointer, compiled, report) {
            *here = value;
        }
        return;
    };
    match kind {
        Kind::Object(keys) => {
            let Some(key) = keys.iter().find(|k| k.name == step && !matches!(k.kind, Kind::Note)) else {
                report.add(&setting.at, Some(print::step(pointer, step)), unknown(step, keys, setting));
                return;
            };
            if !matches!(here.value, Value::Object(_)) {
                // Another kind of value in the file is an error of its own only if it stays.
                *here = Tree::new(Value::Object(Vec::new()), setting.at.clone());
            }
            let Value::Object(members) = &mut here.value else { return };
            let below = print::step(pointer, key.name);
            let last = depth + 1 == setting.path.len();
            if last && setting.value == "null" {
                members.retain(|m| m.name != key.name);
                return;
            }
            let mut inner = match members.iter().position(|m| m.name == key.name) {
                Some(i) => members.swap_remove(i),
                None => Member {
                    name: key.name.to_owned(),
                    at: setting.at.clone(),
                    value: Tree::new(Value::Null, setting.at.clone()),
                },
            };
            put(&mut inner.value, &key.kind, setting, depth + 1, &below, compiled, report);
            // A value that was refused leaves no key behind: its error is reported already.
            if inner.value.value != Value::Null || matches!(inner.value.at, At::File(_)) {
                members.push(inner);
            }
        }
        Kind::List(of, _) => {
            if !matches!(here.value, Value::List(_)) {
                *here = Tree::new(Value::List(Vec::new()), setting.at.clone());
            }
            let Value::List(items) = &mut here.value else { return };
            let below = print::step(pointer, step);
            let index = step.parse::<usize>().ok().filter(|i| *i <= items.len());
            let Some(index) = index else {
                let wrong = Wrong::new(
                    format!("an index from 0 to {}", items.len()),
                    format!("\"{}\"", print::cut(step)),
                    "count from 0; the next free index adds an element",
                );
                report.add(&setting.at, Some(below), wrong);
                return;
            };
            if index == items.len() {
                items.push(Tree::new(Value::Null, setting.at.clone()));
            }
            if let Some(item) = items.get_mut(index) {
                put(item, of, setting, depth + 1, &below, compiled, report);
            }
            items.retain(|item| item.value != Value::Null || matches!(item.at, At::File(_)));
        }
        _ => {
            let wrong = Wrong::new(
                format!("{} itself", kind.expected(compiled)),
                format!("a key below it, \"{}\"", print::cut(step)),
                "shorten the name: there is nothing below this key",
            );
            report.add(&setting.at, Some(print::step(pointer, step)), wrong);
        }
    }
}

/// Bare text where text is expected, JSON everywhere else.
fn value(
    kind: &Kind,
    setting: &Setting<'_>,
    pointer: &str,
    compiled: &Compiled,
    report: &mut Report<'_>,
) -> Option<Tree> {
    let text = matches!(kind, Kind::Text(_) | Kind::Choice(_) | Kind::Note);
    if text && !setting.value.trim_start().starts_with('"') {
        return Some(Tree::new(Value::Text(setting.value.to_owned()), setting.at.clone()));
    }
    match read::given(setting.value, &setting.at, pointer, report) {
        Ok(tree) => Some(tree),
        Err(_) => {
            let help = match kind {
                Kind::Object(_) | Kind::List(..) => "write it as JSON, quoted for your shell",
                Kind::Integer(..) | Kind::Capacity(_) => "write plain decimal digits",
                _ => "write the text without quotes, or as JSON",
            };
            let found = print::found(&Value::Text(setting.value.to_owned()));
            report.add(
                &setting.at,
                Some(pointer.to_owned()),
                Wrong::new(kind.expected(compiled), found, help),
            );
            None
        }
    }
}

fn unknown(step: &str, keys: &[Key], setting: &Setting<'_>) -> Wrong {
    let names = || keys.iter().filter(|k| !matches!(k.kind, Kind::Note)).map(|k| k.name);
    let spell = setting.spell;
    let kubernetes = setting.path.iter().any(|p| p == "tcp" || p == "udp")
        || setting.path.last().is_some_and(|p| {
            p.contains("service_host") || p.contains("service_port") || p.starts_with("port")
        });
    // One underscore where two belong: LIMITS_ROUTES.
    let inner = keys.iter().find_map(|outer| {
        let Kind::Object(below) = &outer.kind else { return None };
        let rest = step.strip_prefix(outer.name)?.strip_prefix('_')?;
        below.iter().find(|k| k.name == rest).map(|k| (outer.name, k.name))
    });
    let help = match (inner, nearest(step, names())) {
        (Some((outer, inner)), _) => {
            let (outer, inner) = (spell(outer), spell(inner));
            format!("did you mean {outer}__{inner}? Two underscores part a key from the one above it")
        }
        (None, Some(name)) => format!("did you mean {}?", spell(name)),
        (None, None) if kubernetes && matches!(setting.at, At::Given(_)) => {
            "if Kubernetes set it for a Service named catalyst, set enableServiceLinks: false in the pod"
                .to_owned()
        }
        (None, None) => format!("known here: {}", names().map(spell).collect::<Vec<_>>().join(", ")),
    };
    Wrong::new("a known key", format!("\"{}\"", print::cut(&spell(step))), help)
}
