//! Plans at random: who is there, who talks to whom, who may hear what.

use catalyst_control::Flap;
use catalyst_names::{NodeName, OrgId};
use catalyst_policy::{Agreement, Party, Role};

use crate::ahead::ahead;
use crate::any::StoreKind;
use crate::hierarchy::hierarchy;
use crate::link::{LinkPlan, Side};
use crate::pieces::{LABELS, hold, interest, rules, service};
use crate::plan::{NodePlan, Plan};
use crate::rng::Rng;
use crate::script;
use crate::shape::SHAPES;

pub use crate::shape::Shape;

/// The plan of a seed.
#[must_use]
pub fn generate(seed: u64) -> Plan {
    generate_as(seed, None)
}

/// The plan of a seed under another shape than the one that it chooses.
#[must_use]
pub fn generate_as(seed: u64, shape: Option<Shape>) -> Plan {
    let mut rng = Rng::new(seed);
    let own = SHAPES[rng.index(SHAPES.len())];
    let shape = shape.unwrap_or(own);
    if shape.of_orgs() {
        let (orgs, nodes, links) = hierarchy(&mut rng, shape);
        let words = format!("{} of {} nodes, {} organisations", shape.name(), nodes.len(), orgs.len());
        let mut plan = finish(&mut rng, seed, words, &orgs, (nodes, links), true);
        lose(seed, &mut plan, 40);
        forge(seed, &mut plan);
        overtake(seed, &mut plan);
        return plan;
    }
    let orgs: Vec<OrgId> = (0..rng.one_of([1, 1, 1, 2, 2, 3, 4])).filter_map(org).collect();
    // By a chance of its own, as below: a full mesh of two dozen takes as long as a hundred small networks.
    let luck = Rng::new(seed.rotate_left(29) ^ 0x6d65_7368).below(100);
    let count = size(&mut rng).clamp(orgs.len().max(2), shape.most(orgs.len(), luck));
    // Every way to a service of a third organisation is a route of its own: in a dense network there are too many.
    let transit = orgs.len() > 2 && count <= 8 && shape != Shape::Mesh && rng.percent(60);
    let mut nodes = nodes(&mut rng, &orgs, count, transit);
    if count > 16 || count > 8 && shape == Shape::Mesh && orgs.len() > 1 {
        // Everyone holds a route of everyone, or of a long path: more than fits. Beyond a border one for each way over it.
        nodes.iter_mut().for_each(|node| node.store = StoreKind::Heap);
    }
    let edges = shape.edges(&mut rng, count);
    let agreements = agreements(&mut rng, &orgs, count <= 12 && !transit);
    let mut links: Vec<LinkPlan> = Vec::new();
    for ends in edges {
        let inside = nodes[ends[0]].name.org() == nodes[ends[1]].name.org();
        let both = |a: &Agreement| ends.iter().all(|n| a.party(nodes[*n].name.org()).is_some());
        let choice: Vec<&Agreement> = agreements.iter().filter(|a| !inside && both(a)).collect();
        links.push(link(&mut rng, ends, &choice));
    }
    let words = format!("{} of {count} nodes, {} organisations", shape.name(), orgs.len());
    let mut plan = finish(&mut rng, seed, words, &orgs, (nodes, links), transit);
    if count > 16 {
        // A route of a long path must fit.
        plan.links.iter_mut().for_each(|link| link.window = link.window.max(1_024));
    }
    let mesh = shape == Shape::Mesh && orgs.len() == 1;
    lose(seed, &mut plan, if mesh { 60 } else { 40 });
    // Links to a home are lost one by one. By a chance of its own, as there.
    let mut chance = Rng::new(seed.rotate_left(29) ^ 0x7061_7274);
    if shape == Shape::Mesh && (5..=9).contains(&count) && chance.percent(60) {
        let mut partings = script::partings(&mut chance, &plan);
        if chance.percent(40) {
            script::wishes(&mut chance, &plan, &mut partings);
        }
        plan.epochs.push(partings);
    }
    forge(seed, &mut plan);
    plan
}

/// In some networks a way goes, in the end, before rules that change are in force for it. By a chance of its own, as above.
fn overtake(seed: u64, plan: &mut Plan) {
    let mut chance = Rng::new(seed.rotate_left(29) ^ 0x61_6865_6164);
    if chance.percent(8) && !plan.tight && plan.nodes.len() < 40 {
        let faults = ahead(&mut chance, plan);
        plan.epochs.extend(faults);
    }
}

/// In some networks numbers are forged in the end, and nothing else happens. By a chance of its own, as above.
fn forge(seed: u64, plan: &mut Plan) {
    let mut chance = Rng::new(seed.rotate_left(29) ^ 0x66_6f72_6765);
    if chance.percent(6) && !plan.tight {
        let forgery = script::forgery(&mut chance, plan);
        plan.epochs.push(forgery);
    }
}

/// In so many of a hundred networks nodes die in the end or links are lost, and nothing else happens. By a chance of its own: all
/// else stays as it is.
fn lose(seed: u64, plan: &mut Plan, percent: u64) {
    let mut chance = Rng::new(seed.rotate_left(29) ^ 0x0064_6561_7468);
    if chance.percent(percent) {
        let losses = script::losses(&mut chance, plan);
        plan.epochs.push(losses);
    }
}

fn finish(
    rng: &mut Rng,
    seed: u64,
    shape: String,
    orgs: &[OrgId],
    (nodes, mut links): (Vec<NodePlan>, Vec<LinkPlan>),
    transit: bool,
) -> Plan {
    let record = rng.percent(10);
    let mut nodes = nodes;
    // Who is lost is forgotten at once in most networks: what they do is easier to understand.
    if rng.percent(40) {
        nodes.iter_mut().for_each(|node| patience(rng, node));
    }
    if rng.percent(10) {
        nodes.iter_mut().for_each(|node| node.flap = flap(rng));
    }
    if rng.percent(12) {
        nodes.iter_mut().for_each(|node| node.interest = interest(rng, 30, orgs));
    }
    // By a chance of its own: all else stays as it is.
    let mut chance = Rng::new(seed.rotate_left(17) ^ 0x6f72_6967_696e);
    if chance.percent(40) {
        let most = chance.one_of([1, 1, 2, 3]);
        nodes.iter_mut().for_each(|node| node.limits.origins = most);
    }
    // As many tags as there may be, so that what rules add has no room. The fixed store has none for so many.
    if chance.percent(15) && nodes.iter().all(|node| node.store == StoreKind::Heap) {
        for service in nodes.iter_mut().flat_map(|node| &mut node.services) {
            if chance.percent(40) {
                continue;
            }
            let count = chance.one_of([31, 32, 32]);
            service.tags = (0..count).map(|n| format!("o.x:{n}")).collect();
        }
    }
    // Walks through the table in small pieces, with all that happens between them; each by a chance of its own.
    let mut chance = Rng::new(seed.rotate_left(29) ^ 0x7761_6c6b_6564);
    if chance.percent(60) {
        for node in &mut nodes {
            node.limits.walked = chance.one_of([1, 1, 2, 5, 20]);
            node.late = if chance.percent(50) { 15 } else { node.late };
        }
    }
    let tight = links.len() < 20 && rng.percent(7);
    if tight {
        limit(seed, rng, &mut nodes, &mut links);
        // What is refused depends on what is there: there, all that a neighbour leaves goes in one piece.
        nodes.iter_mut().for_each(|node| node.limits.walked = node.limits.walked.max(5));
    }
    // Where nothing waits for credit, flows in a circle can be timed.
    if rng.percent(40) {
        links.iter_mut().for_each(|link| link.window = 65_536);
    }
    let mut plan = Plan { seed, delays: 0, shape, nodes, links, epochs: Vec::new(), record, tight };
    let mut epochs = script::epochs(rng, &plan, orgs, transit);
    script::rush(&mut Rng::new(seed.rotate_left(29) ^ 0x7275_7368), &plan, orgs, transit, &mut epochs);
    script::misnumber(&mut Rng::new(seed.rotate_left(29) ^ 0x7365_716e_6f73), &mut epochs);
    plan.epochs = epochs;
    plan
}

/// Limits that refuse some of what there is.
fn limit(seed: u64, rng: &mut Rng, nodes: &mut [NodePlan], links: &mut [LinkPlan]) {
    // By a chance of its own: all else stays as it is.
    let mut chance = Rng::new(seed.rotate_left(29) ^ 0x0062_7974_6573);
    for node in nodes {
        node.limits.routes_per_peer = usize::try_from(rng.between((1, 8))).unwrap_or(1);
        node.limits.bytes_per_peer = chance.one_of([100_000, 100_000, 100_000, 60, 130, 250]);
        // There is hardly room to remember changes.
        node.flap = Flap::OFF;
    }
    let services = u32::try_from(rng.between((1, 8))).unwrap_or(1);
    let bytes = rng.one_of([100_000, 60, 90, 130, 200]);
    for side in links.iter_mut().flat_map(|link| &mut link.sides).flatten() {
        let Some(agreement) = &side.agreement else { continue };
        let [first, second] =
            agreement.parties().clone().map(|p| Party { max_services: services, max_bytes: bytes, ..p });
        side.agreement = Agreement::new(first, second).ok();
    }
}

/// When a node calls a route restless.
fn flap(rng: &mut Rng) -> Flap {
    let changes = rng.one_of([0, 1, 2, 5]);
    Flap { changes, window_ms: rng.one_of([1_000, 10_000]), rest_ms: rng.one_of([400, 2_000, 5_000]) }
}

/// How long a node is waited for, and how long it waits for others.
fn patience(rng: &mut Rng, node: &mut NodePlan) {
    node.restart_ms = rng.one_of([0, 300, 2_000, 2_000, 6_000]);
    node.stale_max_ms = rng.one_of([0, 1_000, 8_000, 8_000, 20_000]);
    node.mesh = rng.percent(70);
}

/// Nodes of a network: mostly few, because small networks find most; at times up to 200.
fn size(rng: &mut Rng) -> usize {
    let range = match rng.below(1_000) {
        0..820 => (2, 9),
        820..960 => (10, 20),
        960..995 => (21, 60),
        _ => (61, 200),
    };
    usize::try_from(rng.between(range)).unwrap_or(2)
}

fn org(n: u64) -> Option<OrgId> {
    OrgId::parse(&format!("org{n}.example")).ok()
}

/// Nodes in blocks of one organisation each, or mixed. Labels repeat in each organisation.
fn nodes(rng: &mut Rng, orgs: &[OrgId], count: usize, transit: bool) -> Vec<NodePlan> {
    let mixed = rng.percent(30);
    let fixed = rng.one_of([0, 0, 20, 100]);
    // About as many services in a large network as in one of a dozen nodes.
    let share = (300 / count as u64).clamp(1, 25);
    let mut made = Vec::new();
    for i in 0..count {
        let place = if mixed && i >= orgs.len() { rng.index(orgs.len()) } else { i * orgs.len() / count };
        // Counted from the end, so that a lower name is not always nearer to the beginning.
        let Ok(name) = NodeName::parse(&format!("n{}.{}", (i * 7) % 13 + i / 13 * 13, orgs[place])) else {
            continue;
        };
        let mut node = NodePlan::new(name);
        node.skew = rng.one_of([0, 0, 1, 1_000_000]);
        node.late = rng.one_of([0, 0, 1, 15]);
        node.limits.tombstones = rng.one_of([100_000, 100_000, 10]);
        if rng.percent(fixed) {
            node.store = StoreKind::Fixed(512);
        }
        for label in LABELS {
            if rng.percent(share) {
                node.services.extend(service(rng, label));
            }
        }
        (node.exports, node.imports) = rules(rng, orgs, node.name.org(), transit);
        made.push(node);
    }
    made
}

/// One or two agreements for every pair of organisations.
fn agreements(rng: &mut Rng, orgs: &[OrgId], small: bool) -> Vec<Agreement> {
    let mut made = Vec::new();
    for (i, first) in orgs.iter().enumerate() {
        for second in &orgs[i + 1..] {
            for max_services in
                [if small { 200 } else { 1_000 }, 2_000].into_iter().take(rng.one_of([1, 1, 2]))
            {
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
