//! Rules that change while the ways of a service do.
//!
//! Two nodes of one organisation have ways to a service of another, and there is no third. The one uses the way of the other, lets in
//! its own and tells nobody; from then on it lets in nothing and tells everybody. Before that is in force for all routes, the way of
//! the other goes: neither the rules of before nor those of now let anybody else use what is left.

use catalyst_control::LocalService;
use catalyst_oracle::rules;
use catalyst_policy::{Role, Rule};

use crate::fault::{Fault, Noticed};
use crate::hierarchy::everything;
use crate::pieces::{label, service};
use crate::plan::Plan;
use crate::rng::Rng;

/// When the rules change, in milliseconds: what was before is settled.
const CHANGE: u64 = 3_000;
/// The other's way goes within this time.
const HURRY: u64 = 20;

/// Who takes part, and links like those that they need.
struct Cast {
    node: usize,
    other: usize,
    /// Where the service is at home, in another organisation.
    home: usize,
    /// The link of the two, and one to the home's organisation.
    within: usize,
    from: usize,
    /// A node of a third organisation that may hear of the service, and a link to that organisation.
    listener: usize,
    to: usize,
}

fn org(plan: &Plan, node: usize) -> &str {
    plan.nodes[node].name.org()
}

/// What the organisation of a node is to another, by the agreement of a link that both ends hold.
fn role(plan: &Plan, link: usize, own: &str, far: usize) -> Option<Role> {
    let [first, second] = plan.links[link].sides.each_ref().map(|side| side.as_ref()?.agreement.as_ref());
    let agreement = first.filter(|_| first == second)?;
    rules::role(agreement, own, org(plan, far))
}

fn cast(chance: &mut Rng, plan: &Plan) -> Option<Cast> {
    let links = || plan.links.iter().map(|link| link.ends).enumerate();
    let inner: Vec<_> = links().filter(|(_, [a, b])| org(plan, *a) == org(plan, *b)).collect();
    let (within, pair) = *inner.get(chance.index(inner.len().max(1)))?;
    let [node, other] = if chance.percent(50) { pair } else { [pair[1], pair[0]] };
    let own = org(plan, node);
    let far = |[a, b]: [usize; 2]| match [org(plan, a) == own, org(plan, b) == own] {
        [true, false] => Some(b),
        [false, true] => Some(a),
        _ => None,
    };
    // Links to other organisations, the far ends, and what those are.
    let outer: Vec<(usize, usize, Role)> = links()
        .filter_map(|(link, ends)| {
            let far = far(ends)?;
            Some((link, far, role(plan, link, own, far)?))
        })
        .collect();
    let (from, home, first) = *outer.get(chance.index(outer.len().max(1)))?;
    // What comes from a customer goes to everybody, and what comes from anybody goes to customers.
    let hears = |(_, far, role): &&(usize, usize, Role)| {
        org(plan, *far) != org(plan, home) && [first, *role].contains(&Role::Customer)
    };
    let listeners: Vec<_> = outer.iter().filter(hears).collect();
    let (to, listener, _) = **listeners.get(chance.index(listeners.len().max(1)))?;
    Some(Cast { node, other, home, within, from, listener, to })
}

/// The link of two nodes. Where there is none yet, one like another of the same organisations.
fn link(plan: &mut Plan, [first, second]: [usize; 2], like: usize) -> usize {
    let both = |ends: [usize; 2]| ends == [first, second] || ends == [second, first];
    if let Some(known) = plan.links.iter().position(|link| both(link.ends)) {
        return known;
    }
    let mut new = plan.links[like].clone();
    let same = org(plan, new.ends[0]) == org(plan, first);
    new.ends = if same { [first, second] } else { [second, first] };
    plan.links.push(new);
    plan.links.len() - 1
}

/// Rules that let everything in, and prefer it so.
fn preferred(pref: u32) -> Vec<Rule> {
    let (_, mut all) = everything();
    all.iter_mut().for_each(|rule| rule.set.local_pref = Some(pref));
    all
}

/// The links that it takes, and what happens. Nothing where there is nobody who could take part.
pub(crate) fn ahead(chance: &mut Rng, plan: &mut Plan) -> Option<Vec<(u64, Fault)>> {
    let Cast { node, other, home, within, from, listener, to } = cast(chance, plan)?;
    let label = label(chance);
    let offered = LocalService { healthy: true, ..service(chance, label)? };
    let ways = [[node, home], [other, home]].map(|ends| link(plan, ends, from));
    link(plan, [node, listener], to);
    // What the other tells is there long before this node is through its table.
    plan.links[within].delay = (0, 0);
    (plan.nodes[node].limits.walked, plan.nodes[node].late) = (1, 15);
    (plan.nodes[other].limits.walked, plan.nodes[other].late) = (1_000, 0);
    let (all, none) = (everything().0, Vec::new());
    let mut faults = vec![
        (0, Fault::ServiceUp(home, offered)),
        (0, Fault::Policy(home, all.clone(), everything().1)),
        (0, Fault::Policy(other, all.clone(), preferred(399))),
        (0, Fault::Policy(node, none.clone(), preferred(390))),
        (CHANGE, Fault::Policy(node, all.clone(), none.clone())),
        (CHANGE + chance.between((0, HURRY)), Fault::Policy(other, all, none)),
    ];
    let parties = [org(plan, node), org(plan, home)];
    for (at, between) in plan.links.iter().enumerate().filter(|(at, _)| !ways.contains(at)) {
        let [a, b] = between.ends.map(|end| org(plan, end));
        if [a, b] == parties || [b, a] == parties {
            faults.push((0, Fault::Cut(at, Noticed::Both, 20_000)));
        }
    }
    faults.sort_by_key(|(ms, _)| *ms);
    Some(faults)
}
