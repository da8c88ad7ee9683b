//! The whole network: inside each organisation, over the borders, inside again.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use catalyst_names::{OriginId, ServiceName};

use crate::border::{Opaque, Passed, crossings};
use crate::choice::Told;
use crate::neighbours::{hear, put};
use crate::rules;
use crate::settle::settle;
use crate::table::{Candidate, Key, Marks, Rank, Table};
use crate::world::{Node, Service, World};

/// What wins at which node, by key.
type Inside = BTreeMap<Key, BTreeMap<usize, Candidate>>;

/// What every node holds once the network has come to rest, in the order of [`World::nodes`].
///
/// `opaque` says under which id an exporting node announces an origin; two exporting nodes, or two agreements,
/// must give two ids.
#[must_use]
pub fn solve(world: &World, opaque: Opaque<'_>) -> Vec<Table> {
    let mut tables = vec![Table::default(); world.nodes.len()];
    let mut inside: Inside = BTreeMap::new();
    for (home, node) in world.nodes.iter().enumerate() {
        for service in &node.services {
            let (key, route) = own(home, node, service);
            put(&mut tables[home], &key, route.clone());
            if service.healthy {
                let winners = settle(world, key.service.as_str(), vec![(home, route)]);
                inside.insert(key, winners);
            }
        }
    }
    // Beyond each border a key has another origin id, so what crosses next depends only on what crossed before, and on what
    // else is told of its service: that stands before it, because it is not marked as about to stop or passed fewer
    // organisations. So no two organisations wait for each other, whatever their rules. No organisation stands in a path
    // twice, so this ends.
    let mut told = Told::new();
    for (key, winners) in &inside {
        hear(world, key, winners, &mut tables);
    }
    let (mut calm, mut leaving) = (vec![Inside::new()], vec![Inside::new()]);
    share(inside, &mut calm[0], &mut leaving[0]);
    for pass in 0..2 {
        let mut depth = 0;
        while let Some(level) = if pass == 0 { calm.get(depth) } else { leaving.get(depth) } {
            let beyond = cross(world, level, &mut told, opaque, &mut tables);
            for (key, winners) in &beyond {
                hear(world, key, winners, &mut tables);
            }
            depth += 1;
            if !beyond.is_empty() {
                let length = calm.len().max(leaving.len()).max(depth + 1);
                calm.resize(length, Inside::new());
                leaving.resize(length, Inside::new());
                share(beyond, &mut calm[depth], &mut leaving[depth]);
            }
        }
    }
    tables.iter_mut().for_each(Table::elect);
    tables
}

/// Puts what wins at each node with what is about to stop, or with the rest.
fn share(inside: Inside, calm: &mut Inside, leaving: &mut Inside) {
    for (key, winners) in inside {
        for (node, route) in winners {
            let list = if route.marks.leaving { &mut *leaving } else { &mut *calm };
            list.entry(key.clone()).or_default().insert(node, route);
        }
    }
}

/// Lets everything cross the next border; gives back what wins beyond.
fn cross(
    world: &World,
    inside: &Inside,
    told: &mut Told<Passed>,
    opaque: Opaque<'_>,
    tables: &mut [Table],
) -> Inside {
    let mut entries: BTreeMap<Key, Vec<(usize, Candidate)>> = BTreeMap::new();
    for crossing in crossings(world, inside, told, opaque) {
        let to = &world.nodes[crossing.to].name;
        let granted = tables[crossing.from].granted.entry(to.clone()).or_default();
        granted.insert(crossing.key.service.clone());
        if !world.wants(crossing.to, crossing.key.service.as_str()) {
            continue;
        }
        put(&mut tables[crossing.to], &crossing.key, crossing.route.clone());
        if crossing.route.eligible {
            entries.entry(crossing.key).or_default().push((crossing.to, crossing.route));
        }
    }
    let settled = |(key, entries): (Key, _)| {
        let winners = settle(world, key.service.as_str(), entries);
        (key, winners)
    };
    entries.into_iter().map(settled).collect()
}

/// A service as its own node holds it.
fn own(home: usize, node: &Node, service: &Service) -> (Key, Candidate) {
    let key = Key {
        service: ServiceName::new(&service.label, &node.name.org_id()),
        origin: OriginId::from(&node.name.node_id()),
    };
    let rank = Rank {
        stale: false,
        flapping: false,
        local_pref: Reverse(rules::OWN),
        local: Reverse(true),
        org_len: 0,
        cost: service.cost,
        node_len: 0,
        via: node.name.clone(),
    };
    let route = Candidate {
        rank,
        eligible: service.healthy,
        overtaken: false,
        org_path: Vec::new(),
        node_path: Vec::new(),
        protocol: service.protocol,
        weight: service.weight,
        cost: service.cost,
        marks: Marks { closed: service.closed, ..Marks::default() },
        tags: service.tags.clone(),
        mark: None,
        tags_inside: service.tags.clone(),
        mark_inside: None,
        home,
    };
    (key, route)
}
