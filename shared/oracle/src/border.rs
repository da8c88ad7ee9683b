//! What crosses the borders between organisations.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use catalyst_names::{OriginId, ServiceName};
use catalyst_policy::Agreement;

use crate::choice::{self, Told};
use crate::rules::{self, Border};
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

/// A service that one node tells another of: exporter, importer, service.
pub(crate) type Passed = (usize, usize, ServiceName);

/// All routes that cross a border, given what wins inside each organisation, and what crossed before.
pub(crate) fn crossings(
    world: &World,
    inside: &BTreeMap<Key, BTreeMap<usize, Candidate>>,
    told: &mut Told<Passed>,
    opaque: Opaque<'_>,
) -> Vec<Crossing> {
    let mut found = Vec::new();
    for (key, held) in inside {
        for (from, route) in held {
            for (to, agreement) in world.external(*from) {
                let crossing = crossing(world, (key, route), *from, to, agreement, opaque);
                found.extend(crossing.map(|crossing| (crossing, route, &key.origin)));
            }
        }
    }
    let place =
        |(_, route, origin): &(Crossing, &Candidate, &OriginId)| choice::place(route, origin.as_str());
    choice::first(&mut found, told, place, |(crossing, route, _)| {
        let of = (crossing.from, crossing.to, crossing.key.service.clone());
        (!route.org_path.is_empty()).then(|| (of, world.nodes[crossing.from].origins))
    });
    found.into_iter().map(|(crossing, ..)| crossing).collect()
}

fn crossing(
    world: &World,
    (key, route): (&Key, &Candidate),
    from: usize,
    to: usize,
    agreement: &Agreement,
    opaque: Opaque<'_>,
) -> Option<Crossing> {
    let (exporter, importer) = (&world.nodes[from], &world.nodes[to]);
    let (here, there) = (exporter.name.org(), importer.name.org());
    let service = key.service.as_str();
    let out = Border { own: here, org: there, node: importer.name.as_str() };
    let role = rules::role(agreement, here, there)?;
    let (cost, tags, mark) = rules::exported(&exporter.exports, out, role, service, route)?;
    let mut org_path = vec![exporter.name.org_id()];
    org_path.extend(route.org_path.iter().cloned());
    let mut marks = route.marks;
    marks.leaving |= exporter.leaving;
    let came = Candidate { org_path, node_path: Vec::new(), cost, tags, mark, marks, ..route.clone() };
    let into = Border { own: there, org: here, node: exporter.name.as_str() };
    let role = rules::role(agreement, there, here)?;
    let taken = rules::imported(&importer.imports, into, role, service, &came);
    let eligible = taken.is_some();
    let (pref, cost, tags_inside) = taken.unwrap_or((0, came.cost, came.tags.clone()));
    let rank = Rank {
        stale: false,
        flapping: false,
        local_pref: Reverse(rules::preferred(pref, came.marks.leaving)),
        local: Reverse(false),
        org_len: came.org_path.len(),
        cost,
        node_len: 0,
        via: exporter.name.clone(),
    };
    let mark_inside = rules::mark_inside(role, here, came.mark.as_ref());
    let route = Candidate { rank, eligible, tags_inside, mark_inside, ..came };
    let key = Key { service: key.service.clone(), origin: opaque(from, agreement, &key.origin) };
    Some(Crossing { key, from, to, route })
}
