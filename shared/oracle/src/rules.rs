//! The rules between organisations, read anew from the design: default deny, and roles into local_pref.

use catalyst_policy::{Agreement, Role, Rule};

/// local_pref of a service of one's own organisation.
pub const OWN: u32 = 400;

fn speaks_of(rule: &Rule, label: &str) -> bool {
    matches!(rule.service.as_str(), "*") || rule.service.as_str() == label
}

/// Whether an export rule names this service for that organisation.
#[must_use]
pub fn exported(rules: &[Rule], label: &str, to: &str) -> bool {
    rules.iter().any(|rule| rule.neighbour.as_str() == to && speaks_of(rule, label))
}

/// Whether an import rule names this service of that organisation.
#[must_use]
pub fn imported(rules: &[Rule], label: &str, from: &str) -> bool {
    rules.iter().any(|rule| rule.neighbour.as_str() == from && speaks_of(rule, label))
}

/// local_pref of what `own` learns from `other` under this agreement; nothing if it is not theirs.
#[must_use]
pub fn local_pref(agreement: &Agreement, own: &str, other: &str) -> Option<u32> {
    let [first, second] = agreement.parties();
    let theirs = match (first.org.as_str(), second.org.as_str()) {
        (a, b) if a == own && b == other => second,
        (a, b) if a == other && b == own => first,
        _ => return None,
    };
    Some(match theirs.role {
        Role::Customer => 300,
        Role::Peer => 200,
        Role::Provider => 100,
    })
}
