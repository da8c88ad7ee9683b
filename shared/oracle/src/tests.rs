//! Small networks whose routes are worked out by hand.

use catalyst_names::{NodeName, OriginId, Protocol};
use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule};

use crate::{Key, Link, Node, Service, Table, World, solve};

fn node(name: &str, services: &[(&str, u32)]) -> Node {
    let service = |(label, cost): &(&str, u32)| Service {
        label: label.parse().unwrap(),
        protocol: Protocol::Http,
        cost: *cost,
        weight: 100,
        tags: Vec::new(),
        healthy: true,
        closed: false,
    };
    Node {
        name: name.parse().unwrap(),
        services: services.iter().map(service).collect(),
        exports: Vec::new(),
        imports: Vec::new(),
        interest: None,
        origins: usize::MAX,
        leaving: false,
    }
}

fn inside(ends: [usize; 2]) -> Link {
    Link { ends, agreement: None }
}

fn agreement(roles: [Role; 2]) -> Agreement {
    let party = |org: &str, role| Party {
        org: org.parse().unwrap(),
        role,
        max_services: 10,
        max_bytes: 1000,
        bundle: Default::default(),
        contact: Default::default(),
    };
    Agreement::new(party("acme.example", roles[0]), party("beta.example", roles[1])).unwrap()
}

fn id(exporter: usize, _: &Agreement, origin: &OriginId) -> OriginId {
    format!("o{exporter}-{origin}").parse().unwrap()
}

fn key(service: &str, origin: &str) -> Key {
    Key { service: service.parse().unwrap(), origin: origin.parse().unwrap() }
}

/// Winner, the next, node_path.
fn held(table: &Table, service: &str, origin: &str) -> Option<(String, Option<String>, Vec<String>)> {
    let held = table.loc_rib.get(&key(service, origin))?;
    let next = held.next.as_ref().map(NodeName::to_string);
    Some((held.best.rank.via.to_string(), next, held.best.node_path.clone()))
}

fn expect(via: &str, next: Option<&str>, path: &[&str]) -> Option<(String, Option<String>, Vec<String>)> {
    let texts = path.iter().map(ToString::to_string).collect();
    Some((via.to_owned(), next.map(str::to_owned), texts))
}

#[test]
fn a_line_has_one_way() {
    let nodes = ["a.acme.example", "b.acme.example", "c.acme.example"];
    let mut world = World {
        nodes: nodes.iter().map(|n| node(n, &[])).collect(),
        links: vec![inside([0, 1]), inside([1, 2])],
    };
    world.nodes[0] = node("a.acme.example", &[("s", 7)]);
    let tables = solve(&world, &id);
    assert_eq!(held(&tables[0], "s.acme.example", "a"), expect("a.acme.example", None, &[]));
    assert_eq!(held(&tables[1], "s.acme.example", "a"), expect("a.acme.example", None, &["a"]));
    assert_eq!(held(&tables[2], "s.acme.example", "a"), expect("b.acme.example", None, &["b", "a"]));
    // Split horizon: the middle never tells the origin.
    assert_eq!(tables[0].adj_in[&key("s.acme.example", "a")].len(), 1);
    assert_eq!(tables[2].loc_rib[&key("s.acme.example", "a")].best.rank.cost, 7);
}

#[test]
fn a_ring_breaks_its_tie_by_name() {
    // a - b - d - c - a: d has two ways of two nodes to a; the one by b wins.
    let mut nodes: Vec<Node> = ["a", "b", "c", "d"].map(|n| node(&format!("{n}.acme.example"), &[])).into();
    nodes[0] = node("a.acme.example", &[("s", 0)]);
    let links = [[0, 1], [1, 3], [3, 2], [2, 0]].map(inside).into();
    let tables = solve(&World { nodes, links }, &id);
    assert_eq!(
        held(&tables[3], "s.acme.example", "a"),
        expect("b.acme.example", Some("c.acme.example"), &["b", "a"])
    );
    // c hears a alone: d took b's route, and tells it to c, whom it has not passed.
    assert_eq!(
        held(&tables[2], "s.acme.example", "a"),
        expect("a.acme.example", Some("d.acme.example"), &["a"])
    );
    // b hears nothing from d: split horizon.
    assert_eq!(held(&tables[1], "s.acme.example", "a"), expect("a.acme.example", None, &["a"]));
}

fn two_orgs(roles: [Role; 2], exported: bool, imported: bool) -> Vec<Table> {
    let mut a = node("a.acme.example", &[("s", 3)]);
    let mut b = node("b.beta.example", &[]);
    if exported {
        a.exports = vec![Rule::new(Pattern::any(), Neighbour::parse("beta.example").unwrap())];
    }
    if imported {
        b.imports = vec![Rule::new(Pattern::parse("s").unwrap(), Neighbour::parse("acme.example").unwrap())];
    }
    let c = node("c.beta.example", &[("s", 1)]);
    let border = Link { ends: [0, 1], agreement: Some(agreement(roles)) };
    solve(&World { nodes: vec![a, b, c], links: vec![border, inside([1, 2])] }, &id)
}

#[test]
fn a_border_needs_both_rules() {
    for (exported, imported) in [(false, false), (true, false), (false, true), (true, true)] {
        let tables = two_orgs([Role::Customer, Role::Provider], exported, imported);
        let key = key("s.acme.example", "o0-a");
        let both = exported && imported;
        assert_eq!(tables[1].loc_rib.contains_key(&key), both);
        assert_eq!(tables[2].loc_rib.contains_key(&key), both, "one import serves the whole organisation");
        // What is exported but not imported is remembered, not used.
        assert_eq!(tables[1].adj_in.contains_key(&key), exported);
        assert_eq!(tables[2].adj_in.contains_key(&key), both);
        assert_eq!(tables[0].granted.values().flatten().count(), usize::from(exported));
    }
}

#[test]
fn roles_give_the_rank() {
    let prefs = [(Role::Customer, Role::Provider, 300), (Role::Peer, Role::Peer, 200)];
    for (theirs, ours, pref) in prefs.into_iter().chain([(Role::Provider, Role::Customer, 100)]) {
        let tables = two_orgs([theirs, ours], true, true);
        let held = &tables[2].loc_rib[&key("s.acme.example", "o0-a")];
        assert_eq!(held.best.rank.local_pref.0, pref);
        assert_eq!(held.best.org_path[0].as_str(), "acme.example");
        assert_eq!(held.best.node_path, ["b"], "inner nodes of the other side stay unseen");
    }
}

#[test]
fn an_unhealthy_service_is_kept_at_home() {
    let mut a = node("a.acme.example", &[("s", 0)]);
    a.services[0].healthy = false;
    let world = World { nodes: vec![a, node("b.acme.example", &[])], links: vec![inside([0, 1])] };
    let tables = solve(&world, &id);
    assert!(tables[0].loc_rib.is_empty() && tables[1].adj_in.is_empty());
    assert_eq!(tables[0].adj_in.len(), 1);
}

#[test]
fn origins_are_ranked_by_distance_and_cost() {
    // a offers at cost 5, c at cost 1; b sits between them and prefers the lower cost.
    let nodes = vec![
        node("a.acme.example", &[("s", 5)]),
        node("b.acme.example", &[]),
        node("c.acme.example", &[("s", 1)]),
    ];
    let tables = solve(&World { nodes, links: vec![inside([0, 1]), inside([1, 2])] }, &id);
    let service = "s.acme.example".parse().unwrap();
    let ranked = |n: usize| -> Vec<&str> {
        tables[n].ranking(&service).into_iter().map(|k| k.origin.as_str()).collect()
    };
    assert_eq!(ranked(1), ["c", "a"]);
    assert_eq!(ranked(0), ["a", "c"], "its own comes first whatever it costs");
}

#[test]
fn a_link_to_nowhere_is_left_out() {
    let world = World { nodes: vec![node("a.acme.example", &[("s", 0)])], links: vec![inside([0, 9])] };
    assert_eq!(solve(&world, &id)[0].loc_rib.len(), 1);
}
