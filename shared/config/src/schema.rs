//! The JSON Schema (draft 2020-12) and the documentation, from the table of keys.

use catalyst_names::Protocol;

use crate::compiled::Compiled;
use crate::form::Form;
use crate::key::{Key, KeyInfo, Kind, Need};
use crate::keys;
use crate::print;
use crate::read;
use crate::tree::{At, Member, Tree, Value};

/// The schema of `catalyst.json`.
#[must_use]
pub fn schema_json() -> String {
    document(keys::ROOT, "catalyst.json", "The configuration of a Catalyst node, edge or cloud.", Some(""))
}

/// The schema of an agreement between two organisations.
#[must_use]
pub fn agreement_schema_json() -> String {
    document(
        keys::AGREEMENT,
        "agreement",
        "An agreement between two organisations; both hold the same document.",
        None,
    )
}

fn document(keys: &'static [Key], title: &str, doc: &str, env: Option<&str>) -> String {
    let mut members = vec![
        member("$schema", text("https://json-schema.org/draft/2020-12/schema")),
        member("title", text(title)),
        member("description", text(doc)),
    ];
    members.extend(object(keys, env));
    print::pretty(&tree(Value::Object(members)))
}

fn tree(value: Value) -> Tree {
    Tree::new(value, At::Default)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: u64) -> Value {
    Value::Number(number.to_string())
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> Value {
    Value::List(words.map(|word| tree(text(word))).collect())
}

fn member(name: &str, value: Value) -> Member {
    Member { name: name.to_owned(), at: At::Default, value: tree(value) }
}

/// The keywords of an object; `env` is the prefix of its variables, `None` where there are none.
fn object(keys: &'static [Key], env: Option<&str>) -> Vec<Member> {
    let properties = keys.iter().map(|key| member(key.name, Value::Object(property(key, env)))).collect();
    let required = keys.iter().filter(|k| matches!(k.need, Need::Required)).map(|k| k.name);
    let mut members =
        vec![member("type", text("object")), member("additionalProperties", Value::Bool(false))];
    let required: Vec<&str> = required.collect();
    if !required.is_empty() {
        members.push(member("required", words(required.into_iter())));
    }
    members.push(member("properties", Value::Object(properties)));
    members
}

fn property(key: &'static Key, env: Option<&str>) -> Vec<Member> {
    let own = env.map(|env| format!("{env}__{}", key.name.to_ascii_uppercase()));
    let mut doc = key.doc.to_owned();
    if let Need::Derived(how) = key.need {
        doc.push_str(&format!(" Default: {how}."));
    }
    if let Need::PerBuild { edge, cloud } = key.need {
        doc.push_str(&format!(" Default: {edge} (edge), {cloud} (cloud), at most what the build can serve."));
    }
    if key.cloud_only {
        doc.push_str(" The edge build refuses it.");
    }
    if let Some(own) = own.as_deref().filter(|_| !matches!(key.kind, Kind::Note)) {
        doc.push_str(&format!(" Environment: {}.", variable(own)));
    }
    let mut members = vec![member("description", text(&doc))];
    members.extend(kind(&key.kind, own.as_deref()));
    if let Need::Default(json) = key.need {
        members.push(member("default", read::default(json)));
    }
    members
}

fn kind(kind: &'static Kind, env: Option<&str>) -> Vec<Member> {
    let typed = |name: &str| member("type", text(name));
    match kind {
        Kind::Object(keys) => object(keys, env),
        Kind::List(of, max) => {
            let element = env.map(|env| format!("{env}__0"));
            let items = Value::Object(self::kind(of, element.as_deref()));
            vec![typed("array"), member("maxItems", number(*max as u64)), member("items", items)]
        }
        Kind::Text(Form::Protocol) => {
            let aliases = ["http:gql", "graphql-http"];
            vec![
                typed("string"),
                member("enum", words(Protocol::ALL.map(Protocol::as_str).into_iter().chain(aliases))),
            ]
        }
        Kind::Text(form) => {
            let pattern = form.pattern().map(|pattern| member("pattern", text(pattern)));
            [Some(typed("string")), pattern].into_iter().flatten().collect()
        }
        Kind::Choice(choice) => vec![typed("string"), member("enum", words(choice.iter().copied()))],
        Kind::Integer(min, max) if min == max => vec![member("const", number(*min))],
        Kind::Integer(min, max) => {
            vec![typed("integer"), member("minimum", number(*min)), member("maximum", number(*max))]
        }
        Kind::Capacity(_) => vec![typed("integer"), member("minimum", number(1))],
        Kind::Note => vec![typed("string")],
    }
}

/// `__LIMITS__ROUTES` with the prefix that all have.
fn variable(path: &str) -> String {
    format!("CATALYST_{}", path.trim_start_matches('_'))
}

/// Every key that can be set, with its path, in the order of the table; those of lists at index 0.
#[must_use]
pub fn key_list() -> Vec<KeyInfo> {
    let mut all = Vec::new();
    collect(keys::ROOT, "", &mut all);
    all
}

fn collect(keys: &'static [Key], prefix: &str, all: &mut Vec<KeyInfo>) {
    for key in keys.iter().filter(|k| !matches!(k.kind, Kind::Note)) {
        let path = if prefix.is_empty() { key.name.to_owned() } else { format!("{prefix}.{}", key.name) };
        all.push(KeyInfo {
            env: format!("CATALYST_{}", path.replace('.', "__").to_ascii_uppercase()),
            holds: key.kind.expected(&Compiled::CLOUD),
            default: match key.need {
                Need::Required => None,
                Need::Optional => Some("none".to_owned()),
                Need::Default(json) => Some(json.to_owned()),
                Need::Derived(how) => Some(how.to_owned()),
                Need::PerBuild { edge, cloud } => Some(format!("{edge} (edge), {cloud} (cloud)")),
            },
            doc: key.doc,
            path: path.clone(),
        });
        match &key.kind {
            Kind::Object(inner) => collect(inner, &path, all),
            Kind::List(Kind::Object(inner), _) => collect(inner, &format!("{path}.0"), all),
            _ => {}
        }
    }
}

/// What a key is, for a person: `limits.routes`, or `peers.node` for a key of each peer.
#[must_use]
pub fn explain(path: &str) -> Option<String> {
    let plain =
        |path: &str| path.split('.').filter(|s| s.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
    let info = key_list().into_iter().find(|info| plain(&info.path) == plain(path))?;
    let default = info.default.as_deref().unwrap_or("none: it must be given");
    Some(format!(
        "{}\n  {}\n  holds: {}\n  default: {default}\n  flag: --set {}=...\n  environment: {}\n",
        info.path, info.doc, info.holds, info.path, info.env
    ))
}
