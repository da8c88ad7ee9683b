//! What each neighbour has told each node, given who wins where.

use std::collections::BTreeMap;

use crate::settle::{can_pass, passed_on};
use crate::table::{Candidate, Key, Table};
use crate::world::World;

/// Puts what neighbours of the same organisation announce of a key into the tables: each its winner, except to
/// whom it came from (split horizon).
pub(crate) fn hear(world: &World, key: &Key, winners: &BTreeMap<usize, Candidate>, tables: &mut [Table]) {
    for (speaker, route) in winners.iter().filter(|(_, route)| can_pass(route)) {
        let onward = passed_on(world, *speaker, route);
        for listener in world.internal(*speaker) {
            let name = &world.nodes[listener].name;
            if route.rank.via == *name || !world.wants(listener, key.service.as_str()) {
                continue;
            }
            // What has passed the listener is kept, but never used.
            let looped = onward.node_path.iter().any(|n| n == name.node());
            put(
                &mut tables[listener],
                key,
                Candidate { eligible: onward.eligible && !looped, ..onward.clone() },
            );
        }
    }
}

/// Puts one route into Adj-RIB-In.
pub(crate) fn put(table: &mut Table, key: &Key, route: Candidate) {
    table.adj_in.entry(key.clone()).or_default().insert(route.rank.via.clone(), route);
}
