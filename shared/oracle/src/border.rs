//! What crosses the borders between organisations.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use catalyst_names::OriginId;
use catalyst_policy::Agreement;

use crate::rules;
use crate::table::{Candidate, Key, Rank};
use crate::world::World;

/// The id under which an exporting node (its place) announces an origin under an agreement. The caller gives it,
/// because it depends on secrets that the solver has no business with.
pub type Opaque<'a> = &'a dyn Fn(usize, &Agreement, &OriginId) -> OriginId;

/// A route that came over a border: the key as it is known there, who holds it now, and from whom.
pub(crate) struct Crossing {
    pub(crate) key: Key,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) route: Candidate,
}

/// All routes that cross a border, given what wins inside each organisation.
pub(crate) fn crossings(
    world: &World,
    inside: &BTreeMap<Key, BTreeMap<usize, Candidate>>,
    opaque: Opaque<'_>,
) -> Vec<Crossing> {
    let mut found = Vec::new();
    for (from, exporter) in world.nodes.iter().enumerate() {
        for (to, agreement) in world.external(from) {
            let importer = &world.nodes[to];
            let (there, here) = (importer.name.org(), exporter.name.org());
            let Some(pref) = rules::local_pref(agreement, there, here) else { continue };
            for (key, held) in inside {
                let Some(route) = held.get(&from) else { continue };
                if !rules::exported(&exporter.exports, key.service.label(), there) {
                    continue;
                }
                let rank = Rank {
                    local_pref: Reverse(pref),
                    local: Reverse(false),
                    org_len: 1,
                    cost: route.rank.cost,
                    node_len: 0,
                    via: exporter.name.clone(),
                };
                let entered = Candidate {
                    rank,
                    eligible: rules::imported(&importer.imports, key.service.label(), here),
                    org_path: vec![exporter.name.org_id()],
                    node_path: Vec::new(),
                    ..route.clone()
                };
                let key = Key { service: key.service.clone(), origin: opaque(from, agreement, &key.origin) };
                found.push(Crossing { key, from, to, route: entered });
            }
        }
    }
    found
}
