//! More ways to a third organisation's service than another one is told of: the best are told, one takes another's place,
//! and the service is never gone meanwhile.

use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_wire::update::{write_entry, write_key};
use catalyst_wire::{Attrs, UpdateWriter, WellKnown};

use super::kit::*;
use crate::*;

const A: &str = "gw.initech.example";
const C: &str = "gw.globex.example";
const STOCK: &str = "stock.initech.example";

/// acme, which tells globex of `origins` ways to a service of initech.
fn between(origins: usize) -> Bench {
    let mut bench = Bench::limited(Limits { origins, ..Limits::CLOUD });
    bench.feed(rules(&["*.*>globex.example", "*.*<initech.example", "*>globex.example"]));
    bench.feed(peer(A, Some(agreement("initech.example", Role::Customer, 100, 99_999))));
    bench.feed(peer(C, Some(agreement("globex.example", Role::Customer, 100, 99_999))));
    bench.up(1, A);
    bench.up(2, C);
    bench
}

/// A route by which the origin can be told from others: its cost.
fn at(cost: u32) -> Attrs<'static> {
    Attrs { cost, ..across("initech.example") }
}

/// Costs of what globex has heard, the lowest first.
fn told(bench: &Bench) -> Vec<u32> {
    let table = &bench.remote(2).table;
    let mut costs: Vec<u32> = table
        .iter()
        .filter(|((service, _), _)| service == STOCK)
        .map(|(_, raw)| Attrs::read(raw).unwrap().cost)
        .collect();
    costs.sort_unstable();
    costs
}

fn grants(bench: &mut Bench) -> Vec<bool> {
    let effects = bench.effects().into_iter();
    effects.filter_map(|e| if let Effect::Grant { granted, .. } = e { Some(granted) } else { None }).collect()
}

#[test]
fn the_best_are_told_and_others_take_their_place() {
    let mut bench = between(2);
    for (origin, cost) in [("o5", 5), ("o3", 3), ("o4", 4), ("o1", 1), ("o2", 2)] {
        bench.announce(1, &[(STOCK, origin, at(cost))]);
    }
    assert_eq!(told(&bench), [1, 2]);
    assert_eq!(grants(&mut bench), [true], "the service was never gone");
    bench.withdraw(1, &[(STOCK, "o1")]);
    assert_eq!(told(&bench), [2, 3]);
    // One that is told gets worse, one that is not gets better, one stays with other words.
    bench.announce(1, &[(STOCK, "o2", at(9))]);
    assert_eq!(told(&bench), [3, 4]);
    bench.announce(1, &[(STOCK, "o5", at(0))]);
    assert_eq!(told(&bench), [0, 3]);
    bench.announce(1, &[(STOCK, "o3", at(2))]);
    assert_eq!(told(&bench), [0, 2]);
    assert!(grants(&mut bench).is_empty());
    bench.check();
    bench.withdraw(1, &[(STOCK, "o2"), (STOCK, "o3"), (STOCK, "o4"), (STOCK, "o5")]);
    assert!(told(&bench).is_empty());
    assert_eq!(grants(&mut bench), [false]);
    bench.check();
    // It begins anew.
    bench.announce(1, &[(STOCK, "o7", at(7)), (STOCK, "o8", at(8)), (STOCK, "o9", at(6))]);
    assert_eq!(told(&bench), [6, 7]);
    bench.give_all_back();
}

#[test]
fn a_place_does_not_depend_on_who_came_first() {
    let routes = [("o1", 4), ("o2", 4), ("o3", 4), ("o4", 1), ("o5", 9)];
    let told_after = |order: &[usize]| {
        let mut bench = between(3);
        order.iter().for_each(|i| bench.announce(1, &[(STOCK, routes[*i].0, at(routes[*i].1))]));
        let keys: Vec<_> = bench.remote(2).table.keys().cloned().collect();
        keys
    };
    let first = told_after(&[0, 1, 2, 3, 4]);
    assert_eq!(first.len(), 3);
    for order in [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 4, 0, 3, 2]] {
        assert_eq!(told_after(&order), first);
    }
}

#[test]
fn what_drains_or_is_stale_or_came_further_comes_last() {
    let mut bench = between(1);
    let marked = |mark| Attrs { well_known: WellKnown(mark), ..at(0) };
    bench.announce(1, &[(STOCK, "o1", marked(WellKnown::GRACEFUL_SHUTDOWN))]);
    assert_eq!(told(&bench), [0]);
    let far = Attrs { org_path: path(&["initech.example", "other.example", "initech.example"]), ..at(0) };
    assert!(far.org_path.len() == 3);
    bench.announce(1, &[(STOCK, "o2", Attrs { cost: 7, ..far })]);
    assert_eq!(told(&bench), [7], "far, but it stays");
    bench.announce(1, &[(STOCK, "o3", at(9))]);
    assert_eq!(told(&bench), [9], "nearer, whatever it costs");
    bench.announce(1, &[(STOCK, "o3", Attrs { cost: 9, ..marked(WellKnown::STALE) })]);
    assert_eq!(told(&bench), [7]);
    bench.check();
}

#[test]
fn own_services_and_neighbours_inside_have_no_bound() {
    let mut bench = between(1);
    bench.internal(3, "b.acme.example");
    let own: Vec<_> = ["n1", "n2", "n3"].map(|n| ("mail.acme.example", n, through("b"))).into();
    bench.announce(3, &own);
    bench.announce(1, &[(STOCK, "o1", at(1)), (STOCK, "o2", at(2))]);
    let heard = bench.remote(2).table.keys().filter(|(service, _)| service == "mail.acme.example").count();
    assert_eq!(heard, 3);
    assert_eq!(bench.remote(3).table.len(), 2, "inside everything is shared");
    assert_eq!(told(&bench), [1]);
    bench.check();
}

#[test]
fn rules_and_new_sessions_find_the_same() {
    let mut bench = between(2);
    let routes: Vec<_> = [("o1", 1), ("o2", 2), ("o3", 3)].map(|(o, cost)| (STOCK, o, at(cost))).into();
    bench.announce(1, &routes);
    bench.feed(rules(&["*.*<initech.example"]));
    assert!(told(&bench).is_empty());
    bench.feed(rules(&["*.*>globex.example", "*.*<initech.example"]));
    assert_eq!(told(&bench), [1, 2]);
    bench.check();
    bench.down(2);
    bench.up(3, C);
    assert_eq!(bench.remote(3).table.len(), 2);
    bench.check();
}

#[test]
fn explain_says_who_is_kept_back() {
    let mut bench = between(1);
    bench.announce(1, &[(STOCK, "o1", at(1)), (STOCK, "o2", at(2))]);
    let shown = bench.core.explain(STOCK, Some(&name(C))).unwrap();
    let why: Vec<&str> = shown.origins.iter().map(|o| o.announced[0].why.as_str()).collect();
    assert_eq!(why, ["", "better ways to it are announced there, as many as may be"]);
}

#[test]
fn a_way_that_goes_as_there_come_too_many_is_gone() {
    let mut bench = between(2);
    bench.announce(1, &[(STOCK, "o2", at(2)), (STOCK, "o3", at(3))]);
    let (mut frame, mut element) = ([0u8; 1_000], [0u8; 500]);
    let mut update = UpdateWriter::new(&mut frame).unwrap();
    update.announce(write_entry(&mut element, STOCK, "o1", &at(1)).unwrap()).unwrap();
    update.withdraw(write_key(&mut element, STOCK, "o3").unwrap()).unwrap();
    bench.frame(1, update.finish().unwrap().to_vec());
    assert_eq!(told(&bench), [1, 2]);
    bench.withdraw(1, &[(STOCK, "o1"), (STOCK, "o2")]);
    assert!(told(&bench).is_empty());
    bench.check();
}
