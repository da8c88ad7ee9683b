//! Two agreements that should be one: what differs, field by field, in words for whoever has to mend it.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

/// Bytes of the whole difference. When full: cut.
const LONGEST: usize = 600;
/// Characters of one value. When full: cut.
const VALUE: usize = 80;

/// How the other side's document, which it sent along, differs from ours. Both are canonical JSON; theirs is not trusted to
/// be. Empty when nothing can be told.
pub(crate) fn difference(ours: &str, theirs: &str) -> String {
    let (Ok(ours), Ok(theirs)) = (serde_json::from_str::<Value>(ours), serde_json::from_str::<Value>(theirs))
    else {
        return String::new();
    };
    let mut all = Vec::new();
    let orgs: BTreeSet<String> = [&ours, &theirs].into_iter().flat_map(organisations).collect();
    for org in &orgs {
        match (party(&ours, org), party(&theirs, org)) {
            (Some(here), Some(there)) => fields(org, here, there, &mut all),
            (Some(_), None) => all.push(format!("{org} is a party here and not there")),
            (None, _) => all.push(format!("{} is a party there and not here", cut(org))),
        }
    }
    let mut text = all.join("; ");
    if text.len() > LONGEST {
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn parties(document: &Value) -> impl Iterator<Item = &Value> {
    document.get("parties").and_then(Value::as_array).into_iter().flatten().take(2)
}

fn organisations(document: &Value) -> Vec<String> {
    parties(document).filter_map(|p| p.get("org")?.as_str().map(str::to_owned)).collect()
}

fn party<'a>(document: &'a Value, org: &str) -> Option<&'a Value> {
    parties(document).find(|p| p.get("org").and_then(Value::as_str) == Some(org))
}

fn fields(org: &str, here: &Value, there: &Value, all: &mut Vec<String>) {
    let names = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let names: BTreeSet<String> = names(here).into_iter().chain(names(there)).collect();
    for name in names {
        let (a, b) = (here.get(&name), there.get(&name));
        if a != b {
            all.push(format!("{} of {org} is {} here and {} there", cut(&name), shown(a), shown(b)));
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_string(),
        Some(Value::String(text)) => format!("'{}'", cut(text)),
        Some(other) => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(VALUE).collect();
    if out.len() < text.len() {
        let _ = out.write_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::difference;

    fn document(role: &str, services: u32, other: &str) -> String {
        format!(
            r#"{{"parties":[{{"bundle":[],"contact":"","max_bytes":1,"max_services":{services},"org":"acme.example","role":"{role}"}},{{"bundle":[],"contact":"","max_bytes":1,"max_services":1,"org":"{other}","role":"peer"}}],"version":1}}"#
        )
    }

    #[test]
    fn each_field_that_differs_is_named() {
        let ours = document("customer", 100, "globex.example");
        assert_eq!(difference(&ours, &ours), "");
        assert_eq!(
            difference(&ours, &document("provider", 50, "globex.example")),
            "max_services of acme.example is 100 here and 50 there; role of acme.example is 'customer' here and \
             'provider' there"
        );
        let other = difference(&ours, &document("customer", 100, "evil.example"));
        assert_eq!(
            other,
            "evil.example is a party there and not here; globex.example is a party here and not there"
        );
    }

    #[test]
    fn what_is_no_agreement_tells_nothing_and_harms_nobody() {
        let ours = document("customer", 100, "globex.example");
        for theirs in ["", "nonsense", "[]", "{}", r#"{"parties":7}"#, r#"{"parties":[1,2]}"#] {
            assert!(difference(&ours, theirs).len() < 200, "{theirs}");
        }
        let long = document(&"x".repeat(3_000), 100, "globex.example");
        assert!(difference(&ours, &long).len() < 300);
    }
}
