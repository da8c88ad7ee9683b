//! Rules from the checked tree, and what must fit together in a list of them.

use catalyst_names::OrgId;
use catalyst_policy::{Action, Direction, Neighbour, Pattern, Rule, RuleError, RuleList};

use crate::error::Wrong;
use crate::print;
use crate::tree::Tree;

/// The key of the neighbour.
pub(crate) fn who(direction: Direction) -> &'static str {
    match direction {
        Direction::Export => "to",
        Direction::Import => "from",
    }
}

/// One rule.
pub(crate) fn rule(tree: &Tree, direction: Direction) -> Option<Rule> {
    let text = |name: &str| tree.get(name).and_then(Tree::text);
    let mut rule =
        Rule::new(Pattern::parse(text("service")?).ok()?, Neighbour::parse(text(who(direction))?).ok()?);
    rule.name = text("name").unwrap_or_default().to_owned();
    if text("action") == Some("reject") {
        rule.action = Action::Reject;
    }
    #[cfg(feature = "cloud")]
    finer::read(tree, &mut rule)?;
    Some(rule)
}

#[cfg(feature = "cloud")]
mod finer {
    use catalyst_policy::{DelTags, PathPattern, Rule, Set, Tag};

    use crate::tree::Tree;

    fn parsed<T: std::str::FromStr>(tree: &Tree, name: &str) -> Option<Option<T>> {
        match tree.get(name) {
            Some(value) => value.text()?.parse().ok().map(Some),
            None => Some(None),
        }
    }

    fn texts(tree: &Tree, name: &str) -> Vec<String> {
        let items = tree.get(name).map(Tree::items).unwrap_or_default();
        items.iter().filter_map(|t| t.text().map(str::to_owned)).collect()
    }

    fn number(tree: &Tree, name: &str) -> Option<u32> {
        u32::try_from(tree.get(name)?.number()?).ok()
    }

    /// The conditions and changes of a rule.
    pub(super) fn read(tree: &Tree, rule: &mut Rule) -> Option<()> {
        rule.protocol = parsed(tree, "protocol")?;
        rule.tag = parsed(tree, "tag")?;
        rule.origin = parsed(tree, "origin")?;
        if tree.get("path").is_some() {
            rule.path = Some(PathPattern::parse(&texts(tree, "path")).ok()?);
        }
        if let Some(set) = tree.get("set") {
            rule.set = Set {
                local_pref: number(set, "local_pref"),
                cost: number(set, "cost"),
                add_tags: texts(set, "add_tags").iter().map(|t| Tag::parse(t).ok()).collect::<Option<_>>()?,
                del_tags: DelTags::parse(&texts(set, "del_tags")).ok()?,
            };
        }
        Some(())
    }
}

/// What is wrong with a list as a whole: names that stand twice, rules that stand twice, settings that do not fit the
/// action. Each with its place in the list, and the key.
pub(crate) fn check(direction: Direction, rules: &[Rule]) -> Option<(usize, &'static str, Wrong)> {
    let bare: Vec<Rule> = rules.iter().map(|r| Rule { name: String::new(), ..r.clone() }).collect();
    for (place, rule) in bare.iter().enumerate() {
        if let Some(first) = bare.iter().take(place).position(|r| r == rule) {
            let found = format!("\"{}\" {} \"{}\" again", rule.service, who(direction), rule.neighbour);
            let help = format!("the first one is /{}/{first}: remove one of the two", direction.list());
            return Some((place, "", Wrong::new("each rule once", found, help)));
        }
    }
    let (place, why) = RuleList::new(direction, rules.to_vec()).err()?;
    let rule = rules.get(place)?;
    Some(match why {
        RuleError::Twice(_) if !rule.name.is_empty() => {
            let found = format!("\"{}\" again", print::cut(&rule.name));
            (place, "/name", Wrong::new("each name once", found, why.to_string()))
        }
        _ => (place, "", Wrong::new("a rule that holds together", "one that does not", why.to_string())),
    })
}

/// Rules that never decide, in words: an earlier one speaks of all that they speak of.
#[must_use]
pub fn unreachable(direction: Direction, rules: &[Rule]) -> Vec<String> {
    let Ok(list) = RuleList::new(direction, rules.to_vec()) else { return Vec::new() };
    let line = |(place, earlier): (usize, usize)| {
        format!(
            "/{}/{place} ('{}') never decides: '{}' before it speaks of all that it speaks of",
            direction.list(),
            list.name(place),
            list.name(earlier)
        )
    };
    list.unreachable().map(line).collect()
}

/// Which neighbours a rule may name: `own` is the node's organisation, `others` are all full names of neighbours of
/// other organisations.
pub(crate) fn neighbour(
    rule: &Rule,
    own: &OrgId,
    others: &[(String, String)],
    direction: Direction,
) -> Option<Wrong> {
    let text = rule.neighbour.as_str();
    if text == own.as_str() {
        let help = "nodes of one organisation share everything: remove this rule";
        return Some(Wrong::new("another organisation", format!("the own one, \"{text}\""), help));
    }
    if rule.neighbour.is_any() || others.iter().any(|(org, node)| rule.neighbour.matches(org, node)) {
        return None;
    }
    let done = match direction {
        Direction::Export => "exported",
        Direction::Import => "imported",
    };
    let found = format!("\"{text}\", which no peer belongs to");
    let help =
        format!("nothing can be {done}: add a peer with \"org\": \"{text}\", its bundle and the agreement");
    Some(Wrong::new("the organisation of a peer", found, help))
}
