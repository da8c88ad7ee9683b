//! What becomes of routes: announced, changed, withdrawn, lost, refused.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use catalyst_control::Notice;
use catalyst_policy::Role;
use catalyst_testkit::any::StoreKind;
use catalyst_testkit::{Exit, Fault, LinkPlan, Net, Noticed};

use common::{
    acme, agreement, best, border, down, export, hops, import, node, notices, rest, service, until, up,
};

#[test]
fn a_line_propagates_and_withdraws_with_no_zombie() {
    let mut net = acme(3, &[[0, 1], [1, 2]]);
    net.apply(up(0, "inventory", 3));
    rest(&mut net);
    let held = best(&net, 2, "inventory.acme.example", "a").unwrap();
    assert_eq!(held, ("b.acme.example".to_owned(), vec!["b".to_owned(), "a".to_owned()]));
    net.apply(down(0, "inventory"));
    rest(&mut net);
    for node in 0..3 {
        assert!(net.see(node).unwrap().adj_in.is_empty(), "node {node} keeps a zombie");
        assert!(net.nodes()[node].forwards().is_empty());
    }
}

#[test]
fn a_ring_never_loops() {
    for count in 3..=8 {
        let links: Vec<[usize; 2]> = (0..count).map(|i| [i, (i + 1) % count]).collect();
        let mut net = acme(count, &links);
        // Loops would show as a path that meets itself, or as a network that never comes to rest.
        for round in 0..4 {
            net.apply(up(round % count, "s", 0));
            net.run_for(2);
            net.apply(down(round % count, "s"));
            net.run_for(1);
            net.apply(up(round % count, "s", 1));
            rest(&mut net);
            net.apply(down(round % count, "s"));
            rest(&mut net);
        }
        assert!((0..count).all(|n| net.see(n).unwrap().stored == 0));
    }
}

#[test]
fn registrations_at_the_same_moment_hang_nobody() {
    for count in [2, 3] {
        let mut net = acme(count, if count == 2 { &[[0, 1]] } else { &[[0, 1], [1, 2], [0, 2]] });
        rest(&mut net);
        for n in 0..count {
            net.apply(up(n, &format!("s{n}"), 0));
        }
        until(&mut net, 50, "rest", Net::quiet);
        rest(&mut net);
        for n in 0..count {
            assert_eq!(net.see(n).unwrap().loc_rib.len(), count);
        }
    }
}

#[test]
fn a_late_joiner_gets_the_full_table() {
    let mut net = acme(2, &[[0, 1]]);
    for n in 0..50 {
        net.apply(up(0, &format!("s{n}"), n));
    }
    rest(&mut net);
    let late = net.add_node(node("late.acme.example"));
    // A small window: the table comes in many pieces.
    net.add_link(LinkPlan { window: 600, ..LinkPlan::new([late, 1]) });
    rest(&mut net);
    assert_eq!(net.see(late).unwrap().loc_rib.len(), 50);
    assert!(net.see(late).unwrap().peers["b.acme.example"].synced);
}

/// a has the service; d reaches it by b, and by c as the next best.
fn diamond() -> Net {
    let mut net = acme(4, &[[0, 1], [0, 2], [1, 3], [2, 3]]);
    net.apply(up(0, "s", 0));
    rest(&mut net);
    assert_eq!(hops(&net, 3, "s.acme.example"), ["b", "+c"]);
    net
}

#[test]
fn when_the_best_path_is_lost_the_second_takes_over_at_once() {
    let mut net = diamond();
    let frames = net.stats().frames;
    net.apply(Fault::Cut(2, Noticed::Only(1), 500));
    until(&mut net, 10, "the loss", |net| hops(net, 3, "s.acme.example") != ["b", "+c"]);
    assert_eq!(hops(&net, 3, "s.acme.example"), ["c"]);
    assert!(net.stats().frames - frames <= 1, "the second path needs no word from anyone");
    rest(&mut net);
    assert_eq!(hops(&net, 3, "s.acme.example"), ["b", "+c"], "the link came back");
}

#[test]
fn a_withdrawal_by_another_than_the_best_changes_nothing() {
    let mut net = diamond();
    net.apply(Fault::Cut(1, Noticed::Both, 3_000_000));
    // The cut link stays away, so rest never comes: look when c has said so.
    until(&mut net, 20, "c's withdrawal", |net| hops(net, 3, "s.acme.example") != ["b", "+c"]);
    assert_eq!(hops(&net, 3, "s.acme.example"), ["b"]);
    let held = best(&net, 3, "s.acme.example", "a").unwrap();
    assert_eq!(held.0, "b.acme.example");
    net.run_for(1_000);
    assert_eq!(hops(&net, 3, "s.acme.example"), ["b"]);
    assert_eq!(hops(&net, 2, "s.acme.example"), ["d"], "c goes round by d");
}

#[test]
fn a_change_of_attributes_or_health_reaches_everyone() {
    let mut net = acme(4, &[[0, 1], [1, 2], [2, 3]]);
    net.apply(up(0, "s", 0));
    rest(&mut net);
    let mut changed = service("s", 9);
    changed.weight = 7;
    changed.tags = vec!["acme.example:blue".to_owned()];
    net.apply(Fault::ServiceUp(0, changed.clone()));
    rest(&mut net);
    let row = |net: &Net, n: usize| {
        let seen = net.see(n).unwrap();
        let (_, routes) = seen.adj_in.into_iter().next()?;
        routes.into_values().next().map(|r| (r.cost, r.weight, r.tags))
    };
    for n in 0..4 {
        assert_eq!(row(&net, n), Some((9, 7, vec!["acme.example:blue".to_owned()])), "node {n}");
    }
    net.apply(Fault::Health(0, "s".parse().unwrap(), false));
    rest(&mut net);
    assert!((1..4).all(|n| row(&net, n).is_none()));
    net.apply(Fault::Health(0, "s".parse().unwrap(), true));
    rest(&mut net);
    assert_eq!(row(&net, 3), Some((9, 7, vec!["acme.example:blue".to_owned()])));
}

#[test]
fn a_remote_withdrawal_leaves_the_local_service_of_that_name() {
    let mut net = acme(2, &[[0, 1]]);
    net.apply(up(0, "s", 0));
    net.apply(up(1, "s", 0));
    rest(&mut net);
    assert_eq!(hops(&net, 0, "s.acme.example"), ["local", "b"]);
    net.apply(down(1, "s"));
    rest(&mut net);
    assert_eq!(hops(&net, 0, "s.acme.example"), ["local"]);
    assert_eq!(hops(&net, 1, "s.acme.example"), ["a"]);
}

#[test]
fn a_full_table_refuses_what_is_new_and_says_so() {
    let mut net = Net::empty(1);
    net.refuses();
    net.add_node(node("a.acme.example"));
    let mut small = node("b.acme.example");
    small.store = StoreKind::Fixed(3);
    net.add_node(small);
    net.add_link(LinkPlan::new([0, 1]));
    for n in 0..3 {
        net.apply(Fault::ServiceUp(0, service(&format!("old{n}"), 0)));
        net.settle().unwrap();
    }
    let before = net.established(0);
    for n in 0..4 {
        net.apply(up(0, &format!("new{n}"), 0));
    }
    net.settle().unwrap();
    let seen = net.see(1).unwrap();
    let held: Vec<&str> = seen.loc_rib.keys().map(|k| k.0.as_str()).collect();
    assert_eq!(held, ["old0.acme.example", "old1.acme.example", "old2.acme.example"]);
    assert_eq!(net.established(0), before, "the session stays");
    assert_eq!(seen.peers["a.acme.example"].refused, 4);
    let mut told = notices(&net, 0).into_iter().rev().filter_map(|n| match n {
        Notice::RefusedBy(who, count, why) => Some((who.as_str(), *count, why.as_str())),
        _ => None,
    });
    assert_eq!(told.next(), Some(("b.acme.example", 4, "the route table is full")));
    // What it holds can still change, and go; then one of the others finds room.
    net.apply(up(0, "old1", 5));
    net.apply(down(0, "old0"));
    net.settle().unwrap();
    let seen = net.see(1).unwrap();
    let held: Vec<&str> = seen.loc_rib.keys().map(|k| k.0.as_str()).collect();
    assert_eq!(held, ["new0.acme.example", "old1.acme.example", "old2.acme.example"]);
    assert_eq!(seen.peers["a.acme.example"].refused, 3);
    assert_eq!(seen.adj_in[&("old1.acme.example".into(), "a".into())]["a.acme.example"].cost, 5);
}

#[test]
fn a_peer_at_its_limit_is_warned_of_refused_and_kept() {
    let mut net = Net::empty(1);
    let mut a = node("a.acme.example");
    a.exports = export("beta.example");
    let mut b = node("b.beta.example");
    b.imports = import("acme.example");
    net.add_node(a);
    net.add_node(b);
    let five = Some(agreement("acme.example", "beta.example", Role::Peer, 5));
    net.add_link(border([0, 1], [five.clone(), five]));
    for n in 0..7 {
        net.apply(up(0, &format!("s{n}"), 0));
        net.settle().unwrap();
        let warned = notices(&net, 1).iter().any(|x| matches!(x, Notice::NearLimit(_)));
        assert_eq!(warned, n >= 3, "80 % of 5 is 4");
    }
    assert_eq!(net.see(1).unwrap().loc_rib.len(), 5);
    assert!(net.established(0).is_some());
    let told = |x: &&&Notice| matches!(x, Notice::RefusedBy(_, 2, why) if why.contains("5 routes"));
    assert_eq!(notices(&net, 0).iter().filter(told).count(), 1);
}

#[test]
fn a_slow_peer_does_not_delay_another() {
    // b does not read; c does.
    let mut net = acme(3, &[[0, 2]]);
    net.add_link(LinkPlan { window: 1_024, ..LinkPlan::new([0, 1]) });
    rest(&mut net);
    let slow = net.established(1);
    net.apply(Fault::Stall(1, [true, false], 2_500));
    for round in 0..20 {
        for n in 0..100 {
            net.apply(up(0, &format!("s{n}"), round));
        }
    }
    let newest = |net: &Net| {
        let seen = net.see(2).unwrap();
        seen.adj_in.values().filter(|r| r["a.acme.example"].cost == 19).count() == 100
    };
    until(&mut net, 40, "the newest state at c", newest);
    let frames = net.stats().loud;
    net.run_for(2_000);
    assert!(net.see(1).unwrap().loc_rib.is_empty());
    rest(&mut net);
    assert_eq!(net.established(1), slow, "b was slow, not gone");
    assert_eq!(net.see(1).unwrap().loc_rib.len(), 100);
    assert!(net.stats().loud - frames <= 100, "what b missed is sent once, in its newest state");
}

#[test]
fn a_node_that_is_killed_comes_back_without_an_operator() {
    for exit in [Exit::Stop, Exit::Kill, Exit::Power] {
        let mut net = acme(3, &[[0, 1], [1, 2]]);
        net.apply(up(0, "s", 0));
        net.apply(up(1, "t", 0));
        rest(&mut net);
        let gone = net.now();
        net.apply(Fault::Down(1, exit, Some(20_000)));
        let limit = if exit == Exit::Power { 3_010 } else { 10 };
        until(&mut net, limit, "c to notice", |net| net.see(2).unwrap().loc_rib.is_empty());
        rest(&mut net);
        let back = net.now() - gone;
        assert!((20_000..35_000).contains(&back), "{exit:?}: back after {back} ms");
        assert_eq!(net.see(2).unwrap().loc_rib.len(), 2);
    }
}

#[test]
fn nothing_crosses_a_border_without_both_rules() {
    for (exported, imported) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut net = Net::empty(1);
        let mut a = node("a.acme.example");
        let mut b = node("b.beta.example");
        if exported {
            a.exports = export("beta.example");
        }
        if imported {
            b.imports = import("acme.example");
        }
        net.add_node(a);
        net.add_node(b);
        let held = Some(agreement("acme.example", "beta.example", Role::Customer, 10));
        net.add_link(border([0, 1], [held.clone(), held]));
        net.apply(up(0, "s", 0));
        net.apply(up(1, "private", 0));
        rest(&mut net);
        assert!(net.established(0).is_some(), "the session is there all the same");
        assert_eq!(hops(&net, 1, "s.acme.example").len(), usize::from(exported && imported));
        assert!(hops(&net, 0, "private.beta.example").is_empty());
        // Rules may come later, without a new session.
        let session = net.established(0);
        net.apply(Fault::Policy(0, export("beta.example"), Vec::new()));
        net.apply(Fault::Policy(1, Vec::new(), import("acme.example")));
        rest(&mut net);
        assert_eq!(hops(&net, 1, "s.acme.example"), ["a"]);
        net.apply(Fault::Policy(0, Vec::new(), Vec::new()));
        rest(&mut net);
        assert!(net.see(1).unwrap().adj_in.keys().all(|k| k.0 == "private.beta.example"));
        assert_eq!(net.established(0), session);
    }
}

#[test]
fn a_service_of_a_third_organisation_is_not_passed_on() {
    let mut net = Net::empty(1);
    for (name, rules) in
        [("a.acme.example", ["beta"]), ("b.beta.example", ["*"]), ("c.corp.example", ["beta"])]
    {
        let mut plan = node(name);
        let others = ["acme.example", "beta.example", "corp.example"];
        for other in
            others.iter().filter(|o| !name.ends_with(**o) && (rules[0] == "*" || o.starts_with(rules[0])))
        {
            plan.exports.extend(export(other));
            plan.imports.extend(import(other));
        }
        net.add_node(plan);
    }
    for (ends, orgs) in
        [([0, 1], ["acme.example", "beta.example"]), ([1, 2], ["beta.example", "corp.example"])]
    {
        let held = Some(agreement(orgs[0], orgs[1], Role::Customer, 10));
        net.add_link(border(ends, [held.clone(), held]));
    }
    net.apply(up(0, "s", 0));
    rest(&mut net);
    assert_eq!(hops(&net, 1, "s.acme.example"), ["a"]);
    assert!(net.see(2).unwrap().adj_in.is_empty());
}

#[test]
fn a_recording_survives_being_written_down() {
    let mut net = diamond();
    net.apply(Fault::Lose(2, Noticed::Both));
    rest(&mut net);
    for node in net.nodes() {
        let text = serde_json::to_string(node.recording().unwrap()).unwrap();
        let read: catalyst_control::record::Recording = serde_json::from_str(&text).unwrap();
        assert_eq!(read, *node.recording().unwrap());
        let again = catalyst_testkit::any::AnyCore::replay(&read, StoreKind::Heap).unwrap();
        assert_eq!(again.digest(), node.core().unwrap().digest());
    }
}
