//! Random services, rules and hold times.

use catalyst_control::LocalService;
use catalyst_names::{OrgId, Protocol, ServiceLabel};
use catalyst_policy::{Action, DelTags, Neighbour, PathPattern, Pattern, Rule, Tag};

use crate::rng::Rng;

/// Labels of services: few, so that several nodes offer the same.
pub(crate) const LABELS: [&str; 5] = ["api", "db", "files", "mail", "web"];

/// A service with random attributes.
pub(crate) fn service(rng: &mut Rng, label: &str) -> Option<LocalService> {
    let tags = (0..rng.one_of([0, 0, 1, 2])).map(|n| format!("org0.example:t{n}")).collect();
    Some(LocalService {
        label: ServiceLabel::parse(label).ok()?,
        protocol: rng.one_of([Protocol::Tcp, Protocol::Udp, Protocol::Http, Protocol::HttpGraphql]),
        cost: u32::try_from(rng.one_of([0, 0, 1, 5, 1_000])).unwrap_or(0),
        weight: rng.one_of([100, 100, 1, 50]),
        tags,
        healthy: rng.percent(85),
        fail_closed: rng.percent(25),
    })
}

/// One of the labels.
pub(crate) fn label(rng: &mut Rng) -> &'static str {
    rng.one_of(LABELS)
}

/// Rules of a node towards all other organisations: everything, some services, or nothing; with `transit` also those
/// of third organisations, with conditions, changes and refusals.
pub(crate) fn rules(rng: &mut Rng, orgs: &[OrgId], own: &str, transit: bool) -> (Vec<Rule>, Vec<Rule>) {
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for other in orgs.iter().filter(|o| o.as_str() != own) {
        for (list, export) in [(&mut exports, true), (&mut imports, false)] {
            if transit {
                list.extend((0..rng.between((0, 2))).filter_map(|_| special(rng, orgs, other, export)));
                let last = rng.one_of(["*", "*.*", "*.*", "*.*", "a*.*", "*.org0.example"]);
                list.extend(Pattern::parse(last).ok().map(|all| Rule::new(all, other.clone())));
            } else {
                list.extend(patterns(rng).into_iter().map(|service| Rule::new(service, other.clone())));
            }
        }
    }
    (exports, imports)
}

/// A rule with some of everything that a rule may say.
fn special(rng: &mut Rng, orgs: &[OrgId], other: &OrgId, export: bool) -> Option<Rule> {
    let org = orgs[rng.index(orgs.len())].clone();
    let label = [label(rng), "*", "*b*", "m*", "w*"][rng.index(5)];
    let service = match rng.below(4) {
        0 => label.to_owned(),
        1 => format!("{label}.{org}"),
        _ => format!("{label}.*"),
    };
    let neighbour = match rng.below(8) {
        0 => "*".to_owned(),
        1 => format!("n{}.{other}", rng.below(7)),
        _ => other.to_string(),
    };
    let mut rule = Rule::new(Pattern::parse(&service).ok()?, Neighbour::parse(&neighbour).ok()?);
    if rng.percent(20) {
        rule.protocol = Some(rng.one_of([Protocol::Tcp, Protocol::Http]));
    }
    if rng.percent(20) {
        rule.tag = Tag::parse(rng.one_of(["org0.example:t0", "org1.example:new"])).ok();
    }
    if rng.percent(20) {
        rule.origin = Some(org.clone());
    }
    if rng.percent(25) {
        let org = org.to_string();
        let path =
            rng.one_of([["**", "*", "**"], ["*", "*", "**"], [org.as_str(), "**", "**"], ["**", "*", &org]]);
        rule.path = PathPattern::parse(&path).ok();
    }
    if rng.percent(20) {
        rule.action = Action::Reject;
        return Some(rule);
    }
    if !export && rng.percent(40) {
        rule.set.local_pref = Some(u32::try_from(rng.between((1, 399))).unwrap_or(1));
    }
    if rng.percent(40) {
        rule.set.cost = Some(rng.one_of([0, 3, 7]));
    }
    if rng.percent(30) {
        rule.set.add_tags = Tag::parse("org1.example:new").into_iter().collect();
    }
    if rng.percent(30) {
        let gone = rng.one_of(["*", "org0.example:t1", "org1.example:new"]);
        rule.set.del_tags = DelTags::parse(&[gone]).unwrap_or_default();
    }
    Some(rule)
}

fn patterns(rng: &mut Rng) -> Vec<Pattern> {
    match rng.below(10) {
        0 => Vec::new(),
        1..6 => vec![Pattern::any()],
        _ => LABELS.iter().filter(|_| rng.percent(50)).filter_map(|l| Pattern::parse(l).ok()).collect(),
    }
}

/// A random hold time: often the same, so that most sessions have one.
pub(crate) fn hold(rng: &mut Rng) -> u32 {
    rng.one_of([900, 1_500, 3_000, 3_000, 9_000, 0])
}

/// What a node wants to hear of, in so many of a hundred cases; else everything.
pub(crate) fn interest(rng: &mut Rng, share: u64, orgs: &[OrgId]) -> Option<Vec<String>> {
    if !rng.percent(share) {
        return None;
    }
    let wish = |rng: &mut Rng| {
        let org = orgs[rng.index(orgs.len())].as_str().to_owned();
        let label = [label(rng), label(rng), "*", "*i*"][rng.index(4)];
        format!("{label}.{}", if rng.percent(80) { org.as_str() } else { "*" })
    };
    Some((0..rng.below(4)).map(|_| wish(rng)).collect())
}
