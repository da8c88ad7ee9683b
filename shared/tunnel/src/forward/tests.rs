use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};

use catalyst_names::{NodeName, Protocol, ServiceName};

use super::{Caller, Endpoint, ForwardTable, Full, NextHop};
use crate::limits::Limits;
use crate::refusal::Refusal;

const SMALL: Limits = Limits { services: 3, endpoints: 3, grants: 2, flows: 4, packet_flows: 4 };

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn service(name: &str) -> ServiceName {
    name.parse().unwrap()
}

fn local(origin: &str) -> Endpoint {
    Endpoint { origin: Arc::new(origin.parse().unwrap()), next: NextHop::Local, weight: 1, equal: false }
}

fn via(origin: &str, peer: &str) -> Endpoint {
    Endpoint {
        origin: Arc::new(origin.parse().unwrap()),
        next: NextHop::Peer(Arc::new(node(peer))),
        weight: 1,
        equal: false,
    }
}

fn table() -> ForwardTable {
    let mut table = ForwardTable::new(SMALL);
    let endpoints = [via("e1", "b.acme.example"), via("e2", "c.acme.example"), local("a")];
    assert_eq!(table.set(&service("db.acme.example"), Protocol::Tcp, endpoints), Ok(0));
    table
}

fn origins(table: &ForwardTable, from: Caller<'_>, hops: u8) -> Result<Vec<alloc::string::String>, Refusal> {
    let choice = table.resolve(from, &service("db.acme.example"), None, hops, 0)?;
    let all = core::iter::once(choice.best).chain(choice.alternatives());
    Ok(all.map(|e| e.origin.to_string()).collect())
}

#[test]
fn a_local_client_gets_the_ranking() {
    assert_eq!(origins(&table(), Caller::Local, 8), Ok(vec!["e1".into(), "e2".into(), "a".into()]));
}

#[test]
fn a_flow_never_goes_back_to_where_it_came_from() {
    let (b, c) = (node("b.acme.example"), node("c.acme.example"));
    assert_eq!(origins(&table(), Caller::Internal(&b), 8), Ok(vec!["e2".into(), "a".into()]));
    assert_eq!(origins(&table(), Caller::Internal(&c), 8), Ok(vec!["e1".into(), "a".into()]));

    let mut table = table();
    table.set(&service("db.acme.example"), Protocol::Tcp, [via("e1", "b.acme.example")]).unwrap();
    assert_eq!(origins(&table, Caller::Internal(&b), 8), Err(Refusal::NoEndpoint));
}

#[test]
fn the_hop_limit_ends_loops_but_not_arrivals() {
    let choice = table();
    let choice = choice.resolve(Caller::Local, &service("db.acme.example"), None, 1, 0).unwrap();
    assert_eq!(choice.hop_limit, 0);
    assert_eq!(origins(&table(), Caller::Local, 0), Ok(vec!["a".into()]));

    let mut far = table();
    far.set(&service("db.acme.example"), Protocol::Tcp, [via("e1", "b.acme.example")]).unwrap();
    assert_eq!(origins(&far, Caller::Local, 0), Err(Refusal::HopLimit));
    assert_eq!(origins(&far, Caller::Internal(&node("b.acme.example")), 0), Err(Refusal::NoEndpoint));
}

#[test]
fn another_organisation_needs_a_grant_and_learns_nothing_without() {
    let mut table = table();
    let (partner, db, none) =
        (node("x.globex.example"), service("db.acme.example"), service("no.acme.example"));
    let ask = |t: &ForwardTable, s: &ServiceName| t.resolve(Caller::External(&partner), s, None, 8, 0).err();
    assert_eq!(ask(&table, &db), Some(Refusal::NotPermitted));
    assert_eq!(ask(&table, &none), Some(Refusal::NotPermitted));

    assert_eq!(table.grant(&partner, &db), Ok(true));
    assert_eq!(table.grant(&partner, &db), Ok(false));
    assert_eq!(ask(&table, &db), None);
    assert_eq!(ask(&table, &none), Some(Refusal::NotPermitted));
    let other = node("y.globex.example");
    assert_eq!(
        table.resolve(Caller::External(&other), &db, None, 8, 0).err(),
        Some(Refusal::NotPermitted),
        "a grant is for one neighbour"
    );

    assert!(table.revoke(&partner, &db));
    assert!(!table.revoke(&partner, &db));
    assert_eq!(ask(&table, &db), Some(Refusal::NotPermitted));
}

#[test]
fn grants_are_counted_and_bounded() {
    let mut table = table();
    let (x, y) = (node("x.globex.example"), node("y.globex.example"));
    let (a, b) = (service("a.acme.example"), service("b.acme.example"));
    table.grant(&x, &b).unwrap();
    table.grant(&x, &a).unwrap();
    assert_eq!(table.grant(&y, &a), Err(Full { what: "grants", limit: 2 }));
    assert!(!table.is_granted(&y, &a));
    assert_eq!(table.revoke_all(&x), [a.clone(), b]);
    assert!(table.revoke_all(&x).is_empty());
    assert_eq!(table.grant(&y, &a), Ok(true));
}

#[test]
fn a_named_origin_is_the_only_one_tried() {
    let table = table();
    let db = service("db.acme.example");
    let (e2, gone) = ("e2".parse().unwrap(), "e9".parse().unwrap());
    let choice = table.resolve(Caller::Local, &db, Some(&e2), 8, 0).unwrap();
    assert_eq!(choice.best, &via("e2", "c.acme.example"));
    assert_eq!(choice.alternatives().count(), 0);
    assert_eq!(table.resolve(Caller::Local, &db, Some(&gone), 8, 0).err(), Some(Refusal::NoEndpoint));
}

#[test]
fn services_are_bounded_and_removable() {
    let mut table = table();
    let db = service("db.acme.example");
    let many = (0..5).map(|i| local(&format!("o{i}")));
    assert_eq!(table.set(&db, Protocol::Udp, many), Ok(2));
    let (_, protocol, endpoints) = table.services().next().unwrap();
    assert_eq!((protocol, endpoints.len()), (Protocol::Udp, 3));

    table.set(&service("s2.acme.example"), Protocol::Tcp, []).unwrap();
    table.set(&service("s3.acme.example"), Protocol::Tcp, []).unwrap();
    let s4 = service("s4.acme.example");
    assert_eq!(table.set(&s4, Protocol::Tcp, []), Err(Full { what: "services", limit: 3 }));
    assert_eq!(table.set(&db, Protocol::Tcp, [local("a")]), Ok(0), "a known service can always be changed");
    assert!(table.remove(&db));
    assert!(!table.remove(&db));
    assert_eq!(table.resolve(Caller::Local, &db, None, 8, 0).err(), Some(Refusal::NoSuchService));
    assert_eq!(table.set(&s4, Protocol::Tcp, []), Ok(0));
    assert_eq!(table.resolve(Caller::Local, &s4, None, 8, 0).err(), Some(Refusal::NoEndpoint));
}

#[test]
fn a_neighbour_s_name_is_kept_once_and_not_for_ever() {
    let mut table = ForwardTable::new(SMALL);
    let [one, two]: [ServiceName; 2] = ["one.acme.example", "two.acme.example"].map(|s| s.parse().unwrap());
    for service in [&one, &two] {
        table.set(service, Protocol::Tcp, [via("o", "edge-1.acme.example")]).unwrap();
    }
    assert_eq!(table.peers.len(), 1);
    assert!(table.remove(&one) && table.remove(&two));
    table.set(&one, Protocol::Tcp, [via("o", "edge-2.acme.example")]).unwrap();
    assert_eq!(table.peers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["edge-2.acme.example"]);
}

/// How many of 8,000 flows each endpoint gets.
fn shares(table: &ForwardTable, from: Caller<'_>) -> Vec<(alloc::string::String, usize)> {
    let db = service("db.acme.example");
    let mut draws = crate::Draws::new(1);
    let mut counts: alloc::collections::BTreeMap<_, usize> = alloc::collections::BTreeMap::new();
    for _ in 0..8_000 {
        let choice = table.resolve(from, &db, None, 8, draws.draw()).unwrap();
        *counts.entry(choice.best.origin.to_string()).or_default() += 1;
        let mut others: Vec<_> = choice.alternatives().map(|e| e.origin.to_string()).collect();
        assert!(!others.contains(&choice.best.origin.to_string()), "nothing is tried twice");
        others.dedup();
        assert_eq!(others.len(), choice.alternatives().count());
    }
    counts.into_iter().collect()
}

fn weighted(all: &[(&str, &str, u32, bool)]) -> ForwardTable {
    let mut table = ForwardTable::new(Limits { endpoints: 8, ..SMALL });
    let endpoints = all.iter().map(|(origin, peer, weight, equal)| Endpoint {
        weight: *weight,
        equal: *equal,
        ..via(origin, peer)
    });
    table.set(&service("db.acme.example"), Protocol::Tcp, endpoints).unwrap();
    table
}

#[test]
fn equals_share_by_weight_and_the_worse_get_nothing() {
    let [a, b, c, d] = ["a.acme.example", "b.acme.example", "c.acme.example", "d.acme.example"];
    let table =
        weighted(&[("a", a, 100, false), ("b", b, 300, true), ("c", c, 0, true), ("d", d, 900, false)]);
    let near = |got: usize, wanted: usize| got.abs_diff(wanted) < wanted / 20;
    let all = shares(&table, Caller::Local);
    assert_eq!(all.len(), 2, "one without weight gets nothing: {all:?}");
    assert!(near(all[0].1, 2_000) && near(all[1].1, 6_000), "{all:?}");
    assert_eq!(shares(&table, Caller::Local), all, "the same seed, the same shares");
    // All others are there to be tried, whichever is drawn.
    let db = service("db.acme.example");
    for draw in [0, 99, 100, 399, u64::MAX] {
        let choice = table.resolve(Caller::Local, &db, None, 8, draw).unwrap();
        assert_eq!(choice.alternatives().count(), 3);
        assert_eq!(choice.best.origin.as_str(), if draw % 400 < 100 { "a" } else { "b" });
    }
    // What leads back is left out of the sharing.
    let b = node(b);
    assert_eq!(shares(&table, Caller::Internal(&b)), [("a".into(), 8_000)]);
    let a = node(a);
    assert_eq!(shares(&table, Caller::Internal(&a)), [("b".into(), 8_000)]);
}

#[test]
fn equals_without_any_weight_are_used_in_their_order() {
    let table = weighted(&[("a", "a.acme.example", 0, false), ("b", "b.acme.example", 0, true)]);
    assert_eq!(shares(&table, Caller::Local), [("a".into(), 8_000)]);
}
