//! Each reason why a service is not visible, in both directions.

use std::string::String;

use catalyst_policy::Role;
use catalyst_wire::{Attrs, Health, Refused};

use super::kit::*;
use crate::*;

const P: &str = "p.globex.example";

fn why(bench: &Bench, service: &str) -> String {
    let rows = bench.core.visibility().rows;
    let row = rows.iter().find(|r| r.service == service && r.peer == P).expect("a row for the service");
    assert_eq!(row.visible, row.why.is_empty());
    assert_eq!(row.ours, service.ends_with("acme.example"));
    row.why.clone()
}

fn bench(max: u32) -> Bench {
    let mut bench = Bench::new();
    bench.offer("inventory");
    bench.offer("orders");
    bench.feed(rules(&["inventory>globex.example", "stock<globex.example", "extra<globex.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Peer, max, 9999))));
    bench
}

#[test]
fn ours_has_a_reason_at_every_stage() {
    let mut bench = bench(10);
    assert_eq!(why(&bench, "inventory.acme.example"), "no session");
    assert!(why(&bench, "orders.acme.example").starts_with("not exported"));
    bench.up(1, P);
    assert_eq!(why(&bench, "inventory.acme.example"), "");
    bench.feed(Event::Health { label: "inventory".parse().unwrap(), healthy: false });
    assert!(why(&bench, "inventory.acme.example").starts_with("unhealthy"));
}

#[test]
fn one_way_that_goes_out_is_enough_whatever_the_others_are() {
    let mut bench = bench(10);
    bench.internal(2, "b.acme.example");
    let kept =
        Attrs { well_known: catalyst_wire::WellKnown(catalyst_wire::WellKnown::NO_EXPORT), ..through("b") };
    bench.announce(2, &[("inventory.acme.example", "b", kept)]);
    assert_eq!(why(&bench, "inventory.acme.example"), "no session", "it would go out");
    bench.up(1, P);
    assert!(bench.remote(1).services().contains(&"inventory.acme.example"));
    assert_eq!(why(&bench, "inventory.acme.example"), "");
    bench.stop_offering("inventory");
    assert!(why(&bench, "inventory.acme.example").contains("no-export"));
}

#[test]
fn without_an_agreement_that_is_the_reason() {
    let mut bench = Bench::new();
    bench.offer("inventory");
    bench.feed(rules(&["inventory>globex.example"]));
    bench.feed(peer(P, None));
    assert!(why(&bench, "inventory.acme.example").starts_with("no agreement"));
}

#[test]
fn what_the_neighbour_refuses_is_named() {
    let mut bench = bench(10);
    bench.up(1, P);
    let mut buf = [0; 512];
    let refused = Refused { count: 1, reason: "full at 3", services: "inventory.acme.example not..a..name" };
    let frame = refused.write(&mut buf).unwrap().to_vec();
    bench.frame(1, frame);
    let why = why(&bench, "inventory.acme.example");
    assert!(why.starts_with("refused by limit") && why.ends_with("full at 3"), "{why}");
    assert_eq!(bench.core.state().peers().next().unwrap().refused_names_by_peer.len(), 1);
}

#[test]
fn theirs_is_visible_not_imported_unhealthy_or_refused() {
    let mut bench = bench(3);
    bench.up(1, P);
    let route = || across("globex.example");
    bench.announce(1, &[("stock.globex.example", "o1", route()), ("secret.globex.example", "o2", route())]);
    bench.announce(1, &[("extra.globex.example", "o3", Attrs { health: Health::Down, ..route() })]);
    bench.announce(1, &[("late.globex.example", "o4", route())]);
    assert_eq!(why(&bench, "stock.globex.example"), "");
    assert!(why(&bench, "secret.globex.example").starts_with("not imported"));
    assert!(why(&bench, "extra.globex.example").starts_with("unhealthy"));
    let late = why(&bench, "late.globex.example");
    assert!(late.starts_with("refused by limit") && late.contains("3 routes"), "{late}");
    let told = bench
        .remote(1)
        .frames
        .iter()
        .any(|f| matches!(f, Heard::Refused(_, r) if r.contains("late.globex.example")));
    assert!(told, "the neighbour is told which");
}

#[test]
fn what_is_passed_on_has_a_row_for_each_rule_that_names_it_and_a_reason() {
    const Q: &str = "q.initech.example";
    let mut bench = Bench::new();
    bench.feed(rules(&["*<globex.example", "stock.globex.example>initech.example", "own>initech.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Customer, 9, 9999))));
    bench.feed(peer(Q, Some(agreement("initech.example", Role::Customer, 9, 9999))));
    bench.up(1, P);
    let all = ["stock", "extra"].map(|label| std::format!("{label}.globex.example"));
    let routes: std::vec::Vec<_> = all.iter().map(|s| (s.as_str(), "o", across("globex.example"))).collect();
    bench.announce(1, &routes);
    let rows = |bench: &Bench| -> std::vec::Vec<_> {
        let rows = bench.core.passed_on().rows.into_iter();
        rows.map(|r| (r.service, r.peer, r.ours, r.visible, r.why)).collect()
    };
    let row = |visible: bool, why: &str| {
        std::vec![("stock.globex.example".into(), String::from(Q), true, visible, String::from(why))]
    };
    assert_eq!(rows(&bench), row(false, "no session"), "what no rule names has no row, nor has its owner");
    bench.up(2, Q);
    assert_eq!(rows(&bench), row(true, ""));
    // A provider's or a peer's service is for customers.
    bench.feed(peer(Q, Some(agreement("initech.example", Role::Peer, 9, 9999))));
    let marked = Attrs { only_to_customer: Some("globex.example"), ..across("globex.example") };
    bench.feed(peer(P, Some(agreement("globex.example", Role::Provider, 9, 9999))));
    bench.up(3, P);
    bench.announce(3, &[("stock.globex.example", "o", marked)]);
    bench.up(4, Q);
    let found = rows(&bench);
    assert!(found[0].4.starts_with("it would be a leak"), "{found:?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn what_finds_no_room_is_counted() {
    let mut bench = Bench::new();
    bench.feed(rules(&["*.*<globex.example", "*.*>initech.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Customer, 9_999, 9_999_999))));
    bench.feed(peer("q.initech.example", Some(agreement("initech.example", Role::Customer, 9, 9_999))));
    bench.up(1, P);
    ["inventory", "orders"].into_iter().for_each(|label| bench.offer(label));
    // Two ways to each: a service has one row.
    for n in 0..Limits::VISIBILITY + 5 {
        let service = std::format!("s{n:05}.globex.example");
        let route = || across("globex.example");
        bench.announce(1, &[(&service, "o1", route()), (&service, "o2", route())]);
    }
    let services = Limits::VISIBILITY + 5;
    let seen = bench.core.visibility();
    // Two of ours for each neighbour, and all of theirs.
    assert_eq!((seen.rows.len(), seen.left_out), (Limits::VISIBILITY, 2 + services + 2 - Limits::VISIBILITY));
    let passed = bench.core.passed_on();
    assert_eq!((passed.rows.len(), passed.left_out), (Limits::VISIBILITY, services - Limits::VISIBILITY));
    bench.feed(Event::PeerRemoved(name(P)));
    bench.run_until(bench.now);
    assert_eq!(bench.core.visibility().left_out, 0);
    assert_eq!(bench.core.passed_on(), crate::visibility::Visibility::default());
}
