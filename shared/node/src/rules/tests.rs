use std::path::Path;

use catalyst_config::{Build, Compiled, Config, from_text};
use catalyst_store::{MemoryStore, Store};

use super::{Change, Direction, RULES, RuleSpec, Rules};

/// A node whose file has these export rules, as far as they need no neighbour of theirs.
fn file(exports: &str) -> Config {
    let text = format!(r#"{{"version":1,"org":"acme.example","node":"gw","exports":[{exports}]}}"#);
    from_text(Some((&text, Path::new("catalyst.json"))), &[], &[], Build::Cloud, &Compiled::CLOUD).unwrap()
}

fn export(service: &str) -> RuleSpec {
    RuleSpec { direction: Direction::Export, org: "*".parse().unwrap(), service: service.into() }
}

/// Services of the rules that hold, in order; those that reject with a `!`.
fn listed(config: &Config) -> Vec<String> {
    let one = |r: &catalyst_policy::Rule| {
        format!("{}{}", if r.action == super::Action::Reject { "!" } else { "" }, r.service.as_str())
    };
    config.exports.iter().map(one).collect()
}

const CLOSED: &str =
    r#"{"name":"no-payroll","service":"payroll","to":"*","action":"reject"},{"service":"*","to":"*"}"#;

#[test]
fn no_command_takes_a_rule_out_that_rejects() {
    let store = MemoryStore::new();
    let mut config = file(CLOSED);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    let why = rules.remove(&export("payroll"), &mut config).unwrap_err();
    assert!(why.starts_with("'export rm' takes out rules that accept"), "{why}");
    assert!(why.contains("only 'no-payroll' (reject): ") && why.contains("policy apply"), "{why}");
    assert_eq!(listed(&config), ["!payroll", "*"]);
    // What speaks of nothing at all is said in other words.
    let why = rules.remove(&export("mail"), &mut config).unwrap_err();
    assert!(why.contains("no export rule of 'mail'"), "{why}");
}

#[test]
fn a_removal_of_before_takes_nothing_out_that_the_file_rejects_since() {
    let store = MemoryStore::new();
    let mut config = file(r#"{"service":"payroll","to":"*"}"#);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    rules.remove(&export("payroll"), &mut config).unwrap().run(&store).unwrap();
    assert!(listed(&config).is_empty());
    let mut config = file(CLOSED);
    let rules = Rules::load(&store, &mut config).unwrap();
    assert_eq!(listed(&config), ["!payroll", "*"]);
    // The row is kept, and speaks of the plain rule alone.
    assert!(rules.removed.contains(&export("payroll")));
    let row = store.get(RULES, export("payroll").key().as_bytes()).unwrap().unwrap();
    let (_, change): (RuleSpec, Change) = serde_json::from_slice(&row).unwrap();
    assert_eq!(change, Change::Removed);
}

#[test]
fn what_an_earlier_rule_rejects_whole_is_not_said_to_be_added() {
    let store = MemoryStore::new();
    let mut config = file(CLOSED);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    let before = rules.clone();
    let why = rules.add(export("payroll"), &mut config).unwrap_err();
    assert!(why.contains("'no-payroll'") && why.contains("rejects"), "{why}");
    assert_eq!((listed(&config), rules), (vec!["!payroll".to_string(), "*".to_string()], before));
}

#[test]
fn rules_with_conditions_stay_where_the_plain_one_of_the_pair_goes() {
    let conditional = r#"{"service":"web","to":"*","protocol":"tcp","action":"reject"},
        {"name":"dear","service":"web","to":"*","tag":"acme.example:dear","set":{"cost":9}}"#;
    let store = MemoryStore::new();
    let mut config = file(conditional);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    // A rule that says more is not the one that is added: what it leaves is.
    rules.add(export("web"), &mut config).unwrap().run(&store).unwrap();
    assert_eq!(listed(&config), ["!web", "web", "web"]);
    let mut config = file(conditional);
    assert_eq!(Rules::load(&store, &mut config).unwrap(), rules);
    rules.remove(&export("web"), &mut config).unwrap().run(&store).unwrap();
    assert_eq!(listed(&config), ["!web", "web"]);
    assert_eq!(config.exports[1].name, "dear");
    let why = rules.remove(&export("web"), &mut config).unwrap_err();
    assert!(why.contains("'exports/0' (reject protocol=tcp), 'dear' (accept tag="), "{why}");
}

#[test]
fn what_was_taken_out_of_the_file_comes_back_to_its_place() {
    let store = MemoryStore::new();
    let mut config = file(r#"{"name":"a","service":"a","to":"*"},{"service":"b","to":"*"}"#);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    rules.remove(&export("a"), &mut config).unwrap().run(&store).unwrap();
    assert_eq!(listed(&config), ["b"]);
    rules.add(export("a"), &mut config).unwrap().run(&store).unwrap();
    assert_eq!(listed(&config), ["a", "b"]);
    assert_eq!(store.get(RULES, export("a").key().as_bytes()).unwrap(), None);
}

#[test]
fn a_list_that_would_not_hold_together_is_refused_and_all_stays() {
    // As a version before might have stored it: a name that the second rule is called by when the first is gone.
    let store = MemoryStore::new();
    let mut config =
        file(r#"{"service":"a","to":"*"},{"name":"b","service":"b","to":"*"},{"service":"c","to":"*"}"#);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    rules.of_file.exports[1].name = "exports/1".into();
    let before = rules.clone();
    let why = rules.remove(&export("a"), &mut config).unwrap_err();
    assert!(why.starts_with("/exports/1: "), "{why}");
    assert_eq!((listed(&config).len(), rules), (3, before));
}

#[test]
fn what_is_taken_out_has_an_end() {
    let store = MemoryStore::new();
    let mut config = file(r#"{"service":"a","to":"*"},{"service":"b","to":"*"}"#);
    let mut rules = Rules::load(&store, &mut config).unwrap();
    rules.removed.extend((0..super::REMOVED - 1).map(|n| export(&format!("s{n}"))));
    rules.remove(&export("a"), &mut config).unwrap();
    let why = rules.remove(&export("b"), &mut config).unwrap_err();
    assert!(why.contains("2000"), "{why}");
    assert_eq!(listed(&config), ["b"]);
    // Another list needs one write, whatever there was.
    let next = super::Lists::default();
    let etag = rules.lists().etag();
    assert_eq!(rules.replace(next, &etag, &mut config).unwrap().names().count(), super::REMOVED + 1);
}
