//! Plans at random: who is there, who talks to whom, who may hear what.

use catalyst_names::{NodeName, OrgId};
use catalyst_policy::{Agreement, Party, Role};

use crate::any::StoreKind;
use crate::link::{LinkPlan, Side};
use crate::pieces::{LABELS, hold, rules, service};
use crate::plan::{NodePlan, Plan};
use crate::rng::Rng;
use crate::script;

/// The plan of a seed.
#[must_use]
pub fn generate(seed: u64) -> Plan {
    let mut rng = Rng::new(seed);
    let orgs: Vec<OrgId> = (0..rng.one_of([1, 1, 1, 2, 2, 3, 4])).filter_map(org).collect();
    let count = usize::try_from(rng.between((2, 12))).unwrap_or(2).max(orgs.len());
    let nodes = nodes(&mut rng, &orgs, count);
    let (shape, edges) = edges(&mut rng, count);
    let agreements = agreements(&mut rng, &orgs);
    let mut links: Vec<LinkPlan> = Vec::new();
    for ends in edges {
        let inside = nodes[ends[0]].name.org() == nodes[ends[1]].name.org();
        let both = |a: &Agreement| ends.iter().all(|n| a.party(nodes[*n].name.org()).is_some());
        let choice: Vec<&Agreement> = agreements.iter().filter(|a| !inside && both(a)).collect();
        links.push(link(&mut rng, ends, &choice));
    }
    let mut plan = Plan {
        seed,
        shape: format!("{shape} of {count} nodes, {} organisations", orgs.len()),
        nodes,
        links,
        epochs: Vec::new(),
        record: rng.percent(10),
    };
    plan.epochs = script::epochs(&mut rng, &plan, &orgs);
    plan
}

fn org(n: u64) -> Option<OrgId> {
    OrgId::parse(&format!("org{n}.example")).ok()
}

/// Nodes in blocks of one organisation each, or mixed. Labels repeat in each organisation.
fn nodes(rng: &mut Rng, orgs: &[OrgId], count: usize) -> Vec<NodePlan> {
    let mixed = rng.percent(30);
    let fixed = rng.one_of([0, 0, 20, 100]);
    let mut made = Vec::new();
    for i in 0..count {
        let place = if mixed && i >= orgs.len() { rng.index(orgs.len()) } else { i * orgs.len() / count };
        // Counted from the end, so that a lower name is not always nearer to the beginning.
        let Ok(name) = NodeName::parse(&format!("n{}.{}", (i * 7) % 13, orgs[place])) else { continue };
        let mut node = NodePlan::new(name);
        node.skew = rng.one_of([0, 0, 1, 1_000_000]);
        node.late = rng.one_of([0, 0, 1, 15]);
        node.limits.tombstones = rng.one_of([100_000, 100_000, 10]);
        if rng.percent(fixed) {
            node.store = StoreKind::Fixed(512);
        }
        for label in LABELS {
            if rng.percent(25) {
                node.services.extend(service(rng, label));
            }
        }
        (node.exports, node.imports) = rules(rng, orgs, node.name.org());
        made.push(node);
    }
    made
}

/// One or two agreements for every pair of organisations.
fn agreements(rng: &mut Rng, orgs: &[OrgId]) -> Vec<Agreement> {
    let mut made = Vec::new();
    for (i, first) in orgs.iter().enumerate() {
        for second in &orgs[i + 1..] {
            for max_services in [1_000, 2_000].into_iter().take(rng.one_of([1, 1, 2])) {
                let role = rng.one_of([Role::Customer, Role::Peer, Role::Provider]);
                let party = |org: &OrgId, role| Party {
                    org: org.clone(),
                    role,
                    max_services,
                    max_bytes: 10_000_000,
                    bundle: Default::default(),
                    contact: Default::default(),
                };
                made.extend(Agreement::new(party(first, role), party(second, role.complement())));
            }
        }
    }
    made
}

fn link(rng: &mut Rng, ends: [usize; 2], choice: &[&Agreement]) -> LinkPlan {
    let pick = |rng: &mut Rng| (!choice.is_empty()).then(|| choice[rng.index(choice.len())].clone());
    let agreement = if rng.percent(92) { pick(rng) } else { None };
    let other = if rng.percent(95) { agreement.clone() } else { pick(rng) };
    let sides = [agreement, other].map(|agreement| Some(Side { agreement, hold_ms: hold(rng) }));
    LinkPlan {
        ends,
        sides,
        dials: rng.one_of([[true, false], [false, true], [true, true], [true, true]]),
        delay: rng.one_of([(0, 0), (1, 3), (1, 20), (20, 100)]),
        window: rng.one_of([512, 1_024, 65_536, 65_536]),
    }
}

/// The name of a shape and its edges, each pair at most once.
fn edges(rng: &mut Rng, count: usize) -> (&'static str, Vec<[usize; 2]>) {
    let line = || (1..count).map(|i| [i - 1, i]);
    let (shape, mut edges): (_, Vec<[usize; 2]>) = match rng.below(8) {
        0 => ("line", line().collect()),
        1 => ("ring", line().chain((count > 2).then_some([count - 1, 0])).collect()),
        2 => ("star", (1..count).map(|i| [0, i]).collect()),
        3 if count <= 8 => ("mesh", (0..count).flat_map(|i| (0..i).map(move |j| [j, i])).collect()),
        4 => {
            // A ring of some, and everyone else at two of them.
            let core = (count / 2).max(2).min(count);
            let ring = (1..core).map(|i| [i - 1, i]).chain((core > 2).then_some([core - 1, 0]));
            let mut all: Vec<[usize; 2]> = ring.collect();
            for i in core..count {
                let first = rng.index(core);
                all.push([first, i]);
                all.push([(first + 1) % core, i]);
            }
            ("dual-homed edges", all)
        }
        5 => {
            let width = if count > 6 { 3 } else { 2 };
            let right = (0..count).filter(|i| i % width + 1 < width && i + 1 < count).map(|i| [i, i + 1]);
            let down = (width..count).map(|i| [i - width, i]);
            ("grid", right.chain(down).collect())
        }
        _ => {
            let mut tree: Vec<[usize; 2]> = (1..count).map(|i| [rng.index(i), i]).collect();
            for _ in 0..rng.below(count as u64) {
                tree.push([rng.index(count), rng.index(count)]);
            }
            ("tree with extra edges", tree)
        }
    };
    for edge in &mut edges {
        edge.sort_unstable();
    }
    edges.retain(|[a, b]| a != b);
    edges.sort_unstable();
    edges.dedup();
    // Which end comes first decides who is asked to dial.
    for edge in &mut edges {
        if rng.percent(50) {
            edge.reverse();
        }
    }
    (shape, edges)
}
