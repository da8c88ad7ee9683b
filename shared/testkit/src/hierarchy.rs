//! Networks of many organisations: providers above, customers below, peers beside; or roles that no one would agree to.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_names::{NodeName, OrgId};
use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule};

use crate::link::{LinkPlan, Side};
use crate::pieces::{LABELS, hold, rules, service};
use crate::plan::NodePlan;
use crate::rng::Rng;
use crate::shape::Shape;

/// Organisations and who they are to each other.
struct Orgs {
    names: Vec<OrgId>,
    /// What the second is to the first, the lower place first.
    roles: BTreeMap<(usize, usize), Role>,
}

/// Nodes and links of such a network, and its organisations.
pub(crate) fn hierarchy(rng: &mut Rng, shape: Shape) -> (Vec<OrgId>, Vec<NodePlan>, Vec<LinkPlan>) {
    let orgs = orgs(rng, shape);
    let (nodes, homes) = nodes(rng, &orgs, shape);
    let mut edges = BTreeSet::new();
    for members in &homes {
        inside(rng, members, shape, &mut edges);
    }
    let mut links: Vec<LinkPlan> = edges.into_iter().map(|ends| link(rng, ends, [None, None])).collect();
    for ((a, b), role) in &orgs.roles {
        let (first, second) = (&orgs.names[*a], &orgs.names[*b]);
        let Some(agreement) = agreement(first, second, *role) else { continue };
        let mut between = BTreeSet::new();
        for _ in 0..rng.one_of([1, 1, 2]) {
            between.insert([homes[*a][rng.index(homes[*a].len())], homes[*b][rng.index(homes[*b].len())]]);
        }
        for ends in between {
            // Both say that they are the customer, or both the provider: no session comes of it.
            let mistaken = shape == Shape::WrongRoles && rng.percent(12);
            let other = if mistaken { self::agreement(first, second, role.complement()) } else { None };
            let other = other.or_else(|| Some(agreement.clone()));
            links.push(link(rng, ends, [Some(agreement.clone()), other]));
        }
    }
    (orgs.names, nodes, links)
}

fn orgs(rng: &mut Rng, shape: Shape) -> Orgs {
    let wide = shape == Shape::Hierarchy && rng.percent(4);
    let range = match shape {
        Shape::Siblings => (2, 3),
        Shape::WrongRoles => (3, 5),
        _ if wide => rng.one_of([(10, 60), (10, 60), (10, 60), (61, 200)]),
        _ => (3, 7),
    };
    let count = rng.between(range);
    let names: Vec<OrgId> =
        (0..count).filter_map(|n| OrgId::parse(&format!("org{n}.example")).ok()).collect();
    let mut roles = BTreeMap::new();
    for org in 1..names.len() {
        // One provider above, sometimes two: each way to a service is a route of its own, so few are enough.
        for _ in 0..if wide { 1 } else { rng.one_of([1, 1, 2]) } {
            roles.insert((rng.index(org), org), Role::Customer);
        }
    }
    for _ in 0..if wide { 1 } else { rng.below(3) } {
        let (a, b) = (rng.index(names.len()), rng.index(names.len()));
        if a != b {
            roles.entry((a.min(b), a.max(b))).or_insert(Role::Peer);
        }
    }
    if shape == Shape::WrongRoles {
        for role in roles.values_mut() {
            *role = rng.one_of([Role::Customer, Role::Provider, Role::Peer]);
        }
    }
    Orgs { names, roles }
}

fn nodes(rng: &mut Rng, orgs: &Orgs, shape: Shape) -> (Vec<NodePlan>, Vec<Vec<usize>>) {
    let (mut made, mut homes): (Vec<NodePlan>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    // Everyone passes everything on, and the roles alone keep it from leaking; or rules of all kinds.
    let open = rng.percent(65);
    for org in &orgs.names {
        let count = match shape {
            Shape::Siblings => rng.between((3, 6)),
            _ if orgs.names.len() > 8 => 1,
            _ => rng.one_of([1, 1, 1, 2, 3]),
        };
        let mut members = Vec::new();
        for i in 0..count {
            let Ok(name) = NodeName::parse(&format!("n{}.{org}", (i * 5) % 7)) else { continue };
            let mut node = NodePlan::new(name);
            node.skew = rng.one_of([0, 0, 1, 1_000_000]);
            node.late = rng.one_of([0, 0, 1, 15]);
            (node.exports, node.imports) =
                if open { everything() } else { rules(rng, &orgs.names, node.name.org(), true) };
            members.push(made.len());
            made.push(node);
        }
        homes.push(members);
    }
    for _ in 0..rng.between((1, 4)) {
        let node = rng.index(made.len());
        let label = rng.one_of(LABELS);
        let fresh = made[node].services.iter().all(|s| s.label.as_str() != label);
        made[node].services.extend(service(rng, label).filter(|_| fresh));
    }
    (made, homes)
}

/// Rules that let everything pass.
pub(crate) fn everything() -> (Vec<Rule>, Vec<Rule>) {
    let rule = Pattern::parse("*.*").map(|all| Rule::new(all, Neighbour::any()));
    let list: Vec<Rule> = rule.into_iter().collect();
    (list.clone(), list)
}

/// Links inside an organisation: a line, and some more.
fn inside(rng: &mut Rng, members: &[usize], shape: Shape, edges: &mut BTreeSet<[usize; 2]>) {
    edges.extend(members.windows(2).map(|pair| [pair[0], pair[1]]));
    let more = if shape == Shape::Siblings { members.len() } else { members.len() / 3 };
    for _ in 0..more {
        let (a, b) = (members[rng.index(members.len())], members[rng.index(members.len())]);
        if a != b {
            edges.insert([a.min(b), a.max(b)]);
        }
    }
}

/// The agreement of two organisations; `role` is what the second is to the first.
fn agreement(first: &OrgId, second: &OrgId, role: Role) -> Option<Agreement> {
    let party = |org: &OrgId, role| Party {
        org: org.clone(),
        role,
        max_services: 100_000,
        max_bytes: 100_000_000,
        bundle: Default::default(),
        contact: Default::default(),
    };
    Agreement::new(party(first, role.complement()), party(second, role)).ok()
}

fn link(rng: &mut Rng, ends: [usize; 2], agreements: [Option<Agreement>; 2]) -> LinkPlan {
    let sides = agreements.map(|agreement| Some(Side { agreement, hold_ms: hold(rng) }));
    LinkPlan {
        ends,
        sides,
        dials: rng.one_of([[true, false], [false, true], [true, true]]),
        delay: rng.one_of([(0, 0), (1, 3), (1, 20), (20, 100)]),
        window: rng.one_of([1_024, 65_536, 65_536]),
    }
}
