//! What differs between two lists of rules.

use std::string::String;
use std::vec::Vec;

use crate::*;

/// Rules by `name:service`, by name alone if it is its service too, or `:service` without a name.
fn list(texts: &[&str]) -> RuleList {
    let rule = |text: &&str| {
        let (name, service) = text.split_once(':').unwrap_or((text, text));
        Rule {
            name: name.into(),
            ..Rule::new(Pattern::parse(service).unwrap(), Neighbour::parse("globex.example").unwrap())
        }
    };
    RuleList::new(Direction::Export, texts.iter().map(rule).collect()).unwrap()
}

fn told(old: &[&str], new: &[&str]) -> Vec<(Change, String, String)> {
    let rows = changes(&list(old), &list(new)).into_iter();
    rows.map(|row| (row.what, row.name, std::format!("{}", row.rule.service))).collect()
}

fn row(what: Change, name: &str, service: &str) -> (Change, String, String) {
    (what, name.into(), service.into())
}

#[test]
fn what_comes_goes_and_changes_is_told() {
    assert_eq!(told(&["a", "b", ":c"], &["a", "b", ":c"]), []);
    assert_eq!(
        told(&["a", "b", ":c"], &["b:other", ":d", "a", "e"]),
        [
            row(Change::Changed, "b", "other"),
            row(Change::Moved, "b", "other"),
            row(Change::Added, "exports/1", "d"),
            row(Change::Added, "e", "e"),
            row(Change::Dropped, "exports/2", "c"),
        ]
    );
    assert_eq!(told(&[], &["a"]), [row(Change::Added, "a", "a")]);
    assert_eq!(told(&["a"], &[]), [row(Change::Dropped, "a", "a")]);
}

#[test]
fn as_few_as_possible_count_as_moved() {
    let all = ["a", "b", "c", "d", "e"];
    assert_eq!(told(&all, &["e", "a", "b", "c", "d"]), [row(Change::Moved, "e", "e")]);
    assert_eq!(told(&all, &["b", "c", "d", "e", "a"]), [row(Change::Moved, "a", "a")]);
    assert_eq!(told(&all, &["c", "a", "b", "e", "d"]).len(), 2);
    assert_eq!(told(&all, &["e", "d", "c", "b", "a"]).len(), 4);
    // What is gone or new moves nothing.
    assert_eq!(told(&all, &["x", "a", "c", "e"]).iter().filter(|row| row.0 == Change::Moved).count(), 0);
}

#[test]
fn rules_without_a_name_are_known_by_what_they_say_as_often_as_they_stand_there() {
    assert_eq!(told(&[":a", ":a", ":b"], &[":a", ":b"]), [row(Change::Dropped, "exports/1", "a")]);
    assert_eq!(told(&[":a"], &[":a", ":a"]), [row(Change::Added, "exports/1", "a")]);
}
