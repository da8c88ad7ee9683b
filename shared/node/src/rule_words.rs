//! A rule in words.

use catalyst_policy::{Action, Rule};

/// What a rule does, and under which conditions, in short.
pub(crate) fn details(rule: &Rule) -> String {
    let mut words = vec![if rule.action == Action::Accept { "accept" } else { "reject" }.to_string()];
    let mut say = |name: &str, value: Option<String>| words.extend(value.map(|v| format!("{name}={v}")));
    say("protocol", rule.protocol.map(|p| p.to_string()));
    say("tag", rule.tag.as_ref().map(ToString::to_string));
    say("origin", rule.origin.as_ref().map(ToString::to_string));
    say("path", rule.path.as_ref().map(|p| p.to_string().replace(' ', ",")));
    say("local_pref:", rule.set.local_pref.map(|n| n.to_string()));
    say("cost:", rule.set.cost.map(|n| n.to_string()));
    for tag in &rule.set.add_tags {
        say("add_tag:", Some(tag.to_string()));
    }
    for tag in Vec::<String>::from(rule.set.del_tags.clone()) {
        say("del_tag:", Some(tag));
    }
    words.join(" ")
}
