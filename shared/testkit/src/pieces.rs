//! Random services, rules and hold times.

use catalyst_control::LocalService;
use catalyst_names::{OrgId, Protocol, ServiceLabel};
use catalyst_policy::{Pattern, Rule};

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
    })
}

/// One of the labels.
pub(crate) fn label(rng: &mut Rng) -> &'static str {
    rng.one_of(LABELS)
}

/// Rules of a node towards all other organisations: everything, some services, or nothing.
pub(crate) fn rules(rng: &mut Rng, orgs: &[OrgId], own: &str) -> (Vec<Rule>, Vec<Rule>) {
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for other in orgs.iter().filter(|o| o.as_str() != own) {
        exports.extend(patterns(rng).into_iter().map(|service| Rule::new(service, other.clone())));
        imports.extend(patterns(rng).into_iter().map(|service| Rule::new(service, other.clone())));
    }
    (exports, imports)
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
