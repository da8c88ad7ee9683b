//! Which ways to a third organisation's service another one is told of, when there are more than it may be told.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::table::Candidate;

/// The place of a way among those to one service, the lowest first: what is neither kept for a lost node's sake nor about to
/// stop, then what passed fewer organisations, then as the node itself ranks it.
#[must_use]
pub fn place(route: &Candidate, origin: &str) -> impl Ord + use<> {
    let rank = &route.rank;
    let last = (rank.stale || route.marks.stale, route.marks.leaving);
    let near = route.org_path.len();
    let ranked = (rank.flapping, Reverse(rank.local_pref.0), rank.cost, rank.node_len);
    (last, near, ranked, origin.to_owned())
}

/// How many ways each group, such as one neighbour and one service, is told of.
pub type Told<G> = BTreeMap<G, usize>;

/// Leaves of ways the first `most` of each group, those of before counted. What has no group stays.
pub fn first<T, G: Ord, P: Ord>(
    ways: &mut Vec<T>,
    told: &mut Told<G>,
    place: impl Fn(&T) -> P,
    group: impl Fn(&T) -> Option<(G, usize)>,
) {
    ways.sort_by_key(&place);
    ways.retain(|way| {
        let Some((group, most)) = group(way) else { return true };
        let count = told.entry(group).or_default();
        *count += 1;
        *count <= most
    });
}
