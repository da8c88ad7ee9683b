//! What neighbours of other organisations may use: grants follow what is announced to them.

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::Heap;

use super::kit::*;
use crate::export::Marks;
use crate::plugin::PropagationPlugin;
use crate::*;

/// The grants since this was asked before: peer, service, may.
fn grants(bench: &mut Bench) -> Vec<(String, String, bool)> {
    let of = |e| match e {
        Effect::Grant { peer, service, granted } => Some((peer.to_string(), service.to_string(), granted)),
        _ => None,
    };
    bench.effects().into_iter().filter_map(of).collect()
}

fn is(peer: &str, service: &str, granted: bool) -> (String, String, bool) {
    (peer.to_string(), service.to_string(), granted)
}

const P: &str = "p.globex.example";
const Q: &str = "q.globex.example";
const INV: &str = "inventory.acme.example";

/// Two nodes of globex under one agreement, configured; inventory and orders are offered, inventory is exported.
fn bench() -> Bench {
    let mut bench = Bench::new();
    for node in [P, Q] {
        bench.feed(peer(node, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    }
    bench.offer("inventory");
    bench.offer("orders");
    bench.feed(rules(&["inventory>globex.example"]));
    bench
}

#[test]
fn every_member_of_a_group_gets_its_grants_and_loses_them_with_its_session() {
    let mut bench = bench();
    bench.up(1, P);
    assert_eq!(grants(&mut bench), [is(P, INV, true)]);
    bench.up(2, Q);
    assert_eq!(grants(&mut bench), [is(Q, INV, true)], "the second member is no less welcome");
    bench.down(1);
    assert_eq!(grants(&mut bench), [is(P, INV, false)]);
    bench.up(3, P);
    assert_eq!(grants(&mut bench), [is(P, INV, true)]);
    bench.down(2);
    bench.down(3);
    assert_eq!(grants(&mut bench), [is(Q, INV, false), is(P, INV, false)]);
    bench.give_all_back();
}

#[test]
fn grants_follow_the_service_and_its_health() {
    let mut bench = bench();
    bench.up(1, P);
    grants(&mut bench);
    bench.stop_offering("inventory");
    assert_eq!(grants(&mut bench), [is(P, INV, false)]);
    bench.stop_offering("orders");
    assert_eq!(grants(&mut bench), []);
    bench.offer("inventory");
    assert_eq!(grants(&mut bench), [is(P, INV, true)]);
    bench.feed(Event::Health { label: "inventory".parse().unwrap(), healthy: false });
    assert_eq!(grants(&mut bench), [is(P, INV, false)]);
}

#[test]
fn grants_follow_the_rules_while_the_session_stays() {
    let mut bench = bench();
    bench.up(1, P);
    bench.up(2, Q);
    grants(&mut bench);
    bench.feed(rules(&["orders>globex.example"]));
    let mut got = grants(&mut bench);
    got.sort();
    let orders = "orders.acme.example";
    assert_eq!(got, [is(P, INV, false), is(P, orders, true), is(Q, INV, false), is(Q, orders, true)]);
    assert_eq!(bench.remote(1).services(), [orders]);
    bench.feed(rules(&["*>globex.example"]));
    let mut got = grants(&mut bench);
    got.sort();
    assert_eq!(got, [is(P, INV, true), is(Q, INV, true)], "what stays granted is not granted again");
    bench.feed(rules(&[]));
    assert_eq!(grants(&mut bench).iter().filter(|g| !g.2).count(), 4);
    assert!(bench.remote(1).table.is_empty() && bench.remote(2).table.is_empty());
    assert!(bench.closed().is_empty());
    bench.give_all_back();
}

#[test]
fn a_service_of_several_origins_is_granted_once_and_cut_with_the_last() {
    let mut bench = bench();
    bench.internal(5, "b.acme.example");
    bench.up(1, P);
    grants(&mut bench);
    bench.announce(5, &[(INV, "e1", through("b")), (INV, "e2", through("b"))]);
    assert_eq!(grants(&mut bench), []);
    assert_eq!(bench.remote(1).table.len(), 3);
    bench.stop_offering("inventory");
    bench.withdraw(5, &[(INV, "e1")]);
    assert_eq!(grants(&mut bench), []);
    bench.withdraw(5, &[(INV, "e2")]);
    assert_eq!(grants(&mut bench), [is(P, INV, false)]);
}

#[test]
fn a_service_that_moves_within_one_step_keeps_its_flows() {
    let mut bench = bench();
    bench.stop_offering("inventory");
    bench.internal(5, "b.acme.example");
    bench.up(1, P);
    // Two origins come and go in one UPDATE, in both orders of their numbers.
    for (old, new) in [("e1", "e2"), ("e2", "e1")] {
        bench.announce(5, &[(INV, old, through("b"))]);
        grants(&mut bench);
        // A looped route withdraws what stood under its key; it is the first element of the frame.
        let looped =
            catalyst_wire::Attrs { org_path: catalyst_wire::Path::one("acme.example"), ..through("b") };
        bench.announce(5, &[(INV, old, looped), (INV, new, through("b"))]);
        assert_eq!(grants(&mut bench), [], "flows would have been cut");
        assert_eq!(bench.remote(1).table.len(), 1);
        bench.withdraw(5, &[(INV, new)]);
    }
}

#[test]
fn nodes_of_our_own_need_no_grants() {
    let mut bench = bench();
    bench.internal(5, "b.acme.example");
    assert_eq!(grants(&mut bench), []);
}

#[test]
fn a_changed_agreement_takes_the_grants_away_until_both_hold_it() {
    let mut bench = bench();
    bench.up(1, P);
    grants(&mut bench);
    bench.feed(peer(P, Some(agreement("globex.example", Role::Peer, 10, 9999))));
    assert_eq!(grants(&mut bench), [is(P, INV, false)]);
    bench.up(2, P);
    assert_eq!(grants(&mut bench), [is(P, INV, true)]);
    // Q still has the old one: two agreements are two groups, with opaque ids of their own.
    bench.up(3, Q);
    assert_eq!(grants(&mut bench), [is(Q, INV, true)]);
    let origin = |session| bench.remote(session).table.keys().next().unwrap().1.clone();
    assert_ne!(origin(2), origin(3));
}

/// Keeps `orders` in, whatever the rules say.
struct NoOrders;

impl PropagationPlugin<Heap> for NoOrders {
    fn name(&self) -> &'static str {
        "no-orders"
    }

    fn evaluate(&self, state: &State<Heap>, changes: &Changes, marks: &mut Marks<'_>) {
        let table = state.table();
        for change in changes.routes.iter().filter(|c| table.text(c.key.service).starts_with("orders.")) {
            marks.groups().iter().for_each(|group| marks.withdraw(group.id, change.key));
        }
    }
}

#[test]
fn what_a_plugin_holds_back_is_not_granted_for_a_moment_and_leaves_no_trace() {
    let mut bench = bench();
    bench.core.add_propagation(Box::new(NoOrders));
    bench.feed(rules(&["*>globex.example"]));
    bench.up_with(1, P, 0);
    assert_eq!(grants(&mut bench), [is(P, INV, true)]);
    assert_eq!(bench.core.groups().remembered(SessionId(1)), 1);
    bench.stop_offering("orders");
    bench.offer("orders");
    bench.writable(1, PLENTY);
    assert_eq!(grants(&mut bench), []);
    assert_eq!(bench.heard(1).len(), 3, "OPEN, one UPDATE, END_OF_RIB");
    assert_eq!(bench.remote(1).services(), [INV]);
}
