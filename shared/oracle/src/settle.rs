//! Settles one key inside one organisation: the best label anywhere is final, then it spreads.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules;
use crate::table::Candidate;
use crate::world::World;

/// No node passes on a path of this many nodes: it could not be written down.
const LONGEST: usize = 32;

/// Settles a key from where it enters. Passing a link keeps everything of a rank but makes `node_path` longer and
/// the route no longer local, so it never gets better on its way: what is best among all that is open is final.
pub(crate) fn settle(
    world: &World,
    service: &str,
    entries: Vec<(usize, Candidate)>,
) -> BTreeMap<usize, Candidate> {
    let mut settled: BTreeMap<usize, Candidate> = BTreeMap::new();
    let mut open: BTreeSet<Open> = entries.into_iter().map(|(node, route)| Open { node, route }).collect();
    while let Some(Open { node, route }) = open.pop_first() {
        if settled.contains_key(&node) {
            continue;
        }
        if route.node_path.len() < LONGEST {
            let open_at = |next: &usize| !settled.contains_key(next) && world.wants(*next, service);
            for next in world.internal(node).filter(open_at) {
                open.insert(Open { node: next, route: passed_on(world, node, &route) });
            }
        }
        settled.insert(node, route);
    }
    settled
}

/// The route as the neighbours of `node` hold it.
pub(crate) fn passed_on(world: &World, node: usize, route: &Candidate) -> Candidate {
    let mut onward = route.clone();
    onward.node_path.insert(0, world.nodes[node].name.node().to_owned());
    onward.rank.node_len += 1;
    onward.rank.local.0 = false;
    onward.rank.via = world.nodes[node].name.clone();
    onward.cost = route.rank.cost;
    onward.marks.leaving |= world.nodes[node].leaving;
    onward.rank.local_pref.0 = rules::preferred(route.rank.local_pref.0, onward.marks.leaving);
    onward.tags.clone_from(&route.tags_inside);
    onward.mark.clone_from(&route.mark_inside);
    onward
}

/// Whether a neighbour would be told of this route at all.
pub(crate) fn can_pass(route: &Candidate) -> bool {
    route.node_path.len() < LONGEST
}

struct Open {
    node: usize,
    route: Candidate,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.route.rank, self.node).cmp(&(&other.route.rank, other.node))
    }
}
