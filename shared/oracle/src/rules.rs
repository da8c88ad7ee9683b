//! The rules between organisations, read anew from the design: default deny, first match wins, roles into local_pref,
//! and what the only-to-customer mark forbids (RFC 9234 section 5).

use catalyst_names::OrgId;
use catalyst_policy::{Action, Agreement, DelTags, Role, Rule};

use crate::table::Candidate;

/// local_pref of a service of one's own organisation.
pub const OWN: u32 = 400;
/// No path of more organisations is passed on: it could not be written down.
pub const LONGEST: usize = 16;
/// Tags that a route may carry.
pub const MOST_TAGS: usize = 32;

/// The two ends of a border, as one of them sees it.
#[derive(Clone, Copy, Debug)]
pub struct Border<'a> {
    /// One's own organisation.
    pub own: &'a str,
    /// The neighbour's organisation.
    pub org: &'a str,
    /// The neighbour's full name.
    pub node: &'a str,
}

/// Whether a text fits a pattern with stars for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => {
            let Some(left) = text.strip_prefix(head) else { return false };
            (0..=left.len()).any(|at| left.is_char_boundary(at) && glob(rest, &left[at..]))
        }
    }
}

/// Whether a rule speaks of a service; `home` is the organisation whose services a name without a dot means.
fn names(pattern: &str, service: &str, home: &str) -> bool {
    let (label, org) = service.split_once('.').unwrap_or((service, ""));
    match pattern.split_once('.') {
        None => org == home && glob(pattern, label),
        Some((wanted, "*")) => glob(wanted, label),
        Some((wanted, wanted_org)) => wanted_org == org && glob(wanted, label),
    }
}

/// Whether a path fits a pattern: `*` one organisation, `**` any number.
fn passes(pattern: &[String], path: &[OrgId]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((first, rest)), _) if first == "**" => {
            (0..=path.len()).any(|skipped| passes(rest, &path[skipped..]))
        }
        (Some((first, rest)), Some((org, left))) => {
            (first == "*" || first == org.as_str()) && passes(rest, left)
        }
        (Some(_), None) => false,
    }
}

/// The first rule that speaks of a route; nothing when it rejects, or when there is none.
fn first<'r>(
    rules: &'r [Rule],
    border: Border<'_>,
    home: &str,
    service: &str,
    route: (&Candidate, &[String]),
) -> Option<&'r Rule> {
    let (route, tags) = route;
    let lives = route.org_path.last().map_or(border.own, |org| org.as_str());
    let speaks = |rule: &&Rule| {
        ["*", border.org, border.node].contains(&rule.neighbour.as_str())
            && names(rule.service.as_str(), service, home)
            && rule.protocol.is_none_or(|wanted| wanted == route.protocol)
            && rule.tag.as_ref().is_none_or(|wanted| tags.iter().any(|tag| tag == wanted.as_str()))
            && rule.origin.as_ref().is_none_or(|wanted| wanted.as_str() == lives)
            && rule.path.as_ref().is_none_or(|wanted| passes(wanted.elements(), &route.org_path))
    };
    rules.iter().find(speaks).filter(|rule| rule.action == Action::Accept)
}

/// What a rule makes of tags, if there is room for them.
fn tags(rule: &Rule, tags: &[String]) -> Option<Vec<String>> {
    let goes = |tag: &String| match &rule.set.del_tags {
        DelTags::None => false,
        DelTags::All => true,
        DelTags::These(list) => list.iter().any(|named| named.as_str() == tag),
    };
    let mut left: Vec<String> = tags.iter().filter(|tag| !goes(tag)).cloned().collect();
    for tag in &rule.set.add_tags {
        if !left.iter().any(|known| known == tag.as_str()) {
            left.push(tag.as_str().to_owned());
        }
    }
    (left.len() <= MOST_TAGS).then_some(left)
}

/// What the other party is to `own`, and nothing if the agreement is not theirs.
#[must_use]
pub fn role(agreement: &Agreement, own: &str, other: &str) -> Option<Role> {
    let [first, second] = agreement.parties();
    match (first.org.as_str(), second.org.as_str()) {
        (a, b) if a == own && b == other => Some(second.role),
        (a, b) if a == other && b == own => Some(first.role),
        _ => None,
    }
}

fn local_pref(role: Role) -> u32 {
    match role {
        Role::Customer => 300,
        Role::Peer => 200,
        Role::Provider => 100,
    }
}

/// A route as it leaves for a neighbour of another organisation that has this role: cost, tags and mark, if at all.
#[must_use]
pub fn exported(
    rules: &[Rule],
    border: Border<'_>,
    role: Role,
    service: &str,
    route: &Candidate,
) -> Option<(u32, Vec<String>, Option<String>)> {
    let mark = route.mark_inside.clone();
    let upwards = matches!(role, Role::Provider | Role::Peer);
    let returns = route.org_path.iter().any(|org| org.as_str() == border.org);
    if mark.is_some() && upwards || returns || route.org_path.len() >= LONGEST {
        return None;
    }
    let rule = first(rules, border, border.own, service, (route, &route.tags_inside))?;
    let downwards = matches!(role, Role::Customer | Role::Peer);
    let mark = mark.or(downwards.then(|| border.own.to_owned()));
    Some((rule.set.cost.unwrap_or(route.rank.cost), tags(rule, &route.tags_inside)?, mark))
}

/// What import makes of a route of a neighbour that has this role: local_pref, cost and tags, if it may be used at all.
#[must_use]
pub fn imported(
    rules: &[Rule],
    border: Border<'_>,
    role: Role,
    service: &str,
    route: &Candidate,
) -> Option<(u32, u32, Vec<String>)> {
    let leaked = match (role, &route.mark) {
        (Role::Customer, Some(_)) => true,
        (Role::Peer, Some(by)) => by != border.org,
        _ => false,
    };
    let looped = route.org_path.iter().any(|org| org.as_str() == border.own);
    if leaked || looped {
        return None;
    }
    let rule = first(rules, border, border.org, service, (route, &route.tags))?;
    let pref = rule.set.local_pref.unwrap_or(local_pref(role));
    Some((pref, rule.set.cost.unwrap_or(route.cost), tags(rule, &route.tags)?))
}

/// local_pref of a route that its sender may be about to stop serving.
#[must_use]
pub fn preferred(pref: u32, leaving: bool) -> u32 {
    if leaving { 0 } else { pref }
}

/// Whether a list of wishes names a service.
#[must_use]
pub fn wanted(list: Option<&Vec<String>>, service: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|pattern| names(pattern, service, "")))
}

/// The mark of a route inside the organisation that took it in from a neighbour that has this role.
#[must_use]
pub fn mark_inside(role: Role, neighbour: &str, mark: Option<&String>) -> Option<String> {
    match (role, mark) {
        (_, Some(mark)) => Some(mark.clone()),
        (Role::Provider | Role::Peer, None) => Some(neighbour.to_owned()),
        (Role::Customer, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_services() {
        assert!(names("*", "a.x.example", "x.example") && !names("*", "a.y.example", "x.example"));
        assert!(names("inv*", "inventory.x.example", "x.example"));
        assert!(!names("inv*", "inventory.y.example", "x.example"));
        assert!(names("*.*", "a.y.example", "x.example"));
        assert!(names("a*.y.example", "ab.y.example", "x.example"));
        assert!(!names("a.y.example", "b.y.example", "x.example"));
        assert!(glob("a*c*", "abcd") && !glob("a*c", "abcd"));
    }

    #[test]
    fn patterns_of_paths() {
        let path: Vec<OrgId> =
            ["a.example", "b.example"].iter().filter_map(|o| OrgId::parse(o).ok()).collect();
        let fits =
            |pattern: &[&str]| passes(&pattern.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), &path);
        assert!(fits(&["a.example", "b.example"]) && fits(&["**"]) && fits(&["*", "*"]));
        assert!(fits(&["a.example", "**"]) && fits(&["**", "b.example"]) && fits(&["**", "*", "**"]));
        assert!(!fits(&["*"]) && !fits(&["b.example", "**"]) && !fits(&[]));
    }
}
