//! Export groups: what each member hears, split horizon, tombstones, END_OF_RIB.

use std::format;
use std::vec::Vec;

use catalyst_wire::Attrs;

use super::kit::*;
use crate::*;

/// `a` in the middle of `b`, `c` and `d`.
fn star() -> Bench {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.internal(3, "d.acme.example");
    for session in 1..=3 {
        bench.heard(session);
    }
    bench
}

const X: (&str, &str) = ("x.acme.example", "e");

fn cost(node: &str, cost: u32) -> Attrs<'_> {
    Attrs { cost, ..through(node) }
}

fn said(announced: &[(&str, &str)], withdrawn: &[(&str, &str)]) -> Heard {
    let keys = |list: &[(&str, &str)]| list.iter().map(|(s, o)| key(s, o)).collect();
    Heard::Update(keys(announced), keys(withdrawn))
}

#[test]
fn a_route_goes_to_all_but_the_one_it_came_from() {
    let mut bench = star();
    bench.announce(1, &[(X.0, X.1, through("b"))]);
    assert_eq!(bench.heard(1), []);
    assert_eq!(bench.heard(2), [said(&[X], &[])]);
    assert_eq!(bench.heard(3), [said(&[X], &[])]);
    bench.withdraw(1, &[X]);
    assert_eq!(bench.heard(1), []);
    assert_eq!(bench.heard(2), [said(&[], &[X])]);
}

#[test]
fn what_neighbours_hear_of_names_this_node() {
    let mut bench = star();
    bench.announce(1, &[(X.0, X.1, through("b"))]);
    bench.offer("own");
    let path = |bench: &Bench, k: &Key| {
        let raw = bench.remote(2).table[k].clone();
        let attrs = Attrs::read(&raw).unwrap();
        attrs.node_path.iter().map(std::string::ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(path(&bench, &key(X.0, X.1)), ["a", "b"]);
    assert_eq!(path(&bench, &key("own.acme.example", "a")), ["a"]);
}

#[test]
fn when_the_best_moves_its_new_source_hears_a_withdrawal_and_the_old_one_the_route() {
    let mut bench = star();
    bench.announce(1, &[(X.0, X.1, cost("b", 10))]);
    bench.heard(2);
    bench.heard(3);
    bench.now += Limits::PAUSE_MS;
    // The best moves from b to c: c heard b's, which is no longer what this node uses.
    bench.announce(2, &[(X.0, X.1, cost("c", 5))]);
    assert_eq!(bench.heard(2), [said(&[], &[X])]);
    assert_eq!(bench.heard(1), [said(&[X], &[])]);
    assert_eq!(bench.heard(3), [said(&[X], &[])]);
    // c changes its own route: c has nothing to take back a second time.
    bench.announce(2, &[(X.0, X.1, cost("c", 6))]);
    assert_eq!(bench.heard(2), []);
    assert_eq!(bench.heard(1), [said(&[X], &[])]);
    // And back to b.
    bench.withdraw(2, &[X]);
    assert_eq!(bench.heard(1), [said(&[], &[X])]);
    assert_eq!(bench.heard(2), [said(&[X], &[])]);
    assert_eq!(bench.remote(3).table.len(), 1);
    assert!(bench.remote(1).table.is_empty());
}

#[test]
fn a_source_that_reads_late_still_hears_the_withdrawal() {
    // c has no credit while the best moves to c, changes there, goes and comes again.
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.internal(3, "d.acme.example");
    bench.announce(1, &[(X.0, X.1, cost("b", 10))]);
    assert_eq!(bench.remote(2).table.len(), 1);
    exhaust(&mut bench, 2);
    bench.announce(2, &[(X.0, X.1, cost("c", 5))]);
    bench.announce(2, &[(X.0, X.1, cost("c", 4))]);
    bench.withdraw(1, &[X]);
    bench.withdraw(2, &[X]);
    bench.announce(2, &[(X.0, X.1, cost("c", 3))]);
    bench.heard(2);
    bench.writable(2, PLENTY);
    assert_eq!(bench.heard(2), [said(&[], &[X])]);
    assert!(bench.remote(2).table.is_empty(), "c holds nothing through this node");
    assert_eq!(bench.remote(3).table.len(), 1);
}

/// Takes all credit of a session away.
fn exhaust(bench: &mut Bench, session: u64) {
    let id = SessionId(session);
    bench.core.links.get_mut(&id).unwrap().credit = 0;
    bench.remotes.get_mut(&id).unwrap().credit = 0;
}

#[test]
fn an_announcement_without_news_makes_no_frame() {
    let mut bench = star();
    bench.announce(1, &[(X.0, X.1, cost("b", 10))]);
    bench.announce(3, &[(X.0, X.1, cost("d", 20))]);
    for session in 1..=3 {
        bench.heard(session);
    }
    // Its own route changes twice before the source reads again: it has nothing to hear of that.
    exhaust(&mut bench, 1);
    bench.offer("other");
    bench.announce(1, &[(X.0, X.1, cost("b", 9))]);
    bench.announce(1, &[(X.0, X.1, cost("b", 10))]);
    bench.writable(1, PLENTY);
    assert_eq!(bench.heard(1), [said(&[("other.acme.example", "a")], &[])]);
    bench.heard(2);
    bench.heard(3);
    // The same again; the second best comes, changes and goes; a service that did not change.
    bench.announce(1, &[(X.0, X.1, cost("b", 10))]);
    bench.announce(3, &[(X.0, X.1, cost("d", 21))]);
    bench.withdraw(3, &[X]);
    bench.withdraw(3, &[X]);
    for session in 1..=3 {
        assert_eq!(bench.heard(session), [], "session {session}");
    }
    bench.offer("own");
    bench.heard(1);
    bench.offer("own");
    bench.feed(Event::Health { label: "own".parse().unwrap(), healthy: true });
    assert_eq!(bench.heard(1), []);
}

#[test]
fn a_burst_is_heard_once_and_in_its_last_state() {
    let mut bench = star();
    exhaust(&mut bench, 2);
    for n in 0..50 {
        bench.announce(1, &[(X.0, X.1, cost("b", n))]);
    }
    bench.announce(1, &[("gone.acme.example", "e", through("b"))]);
    bench.withdraw(1, &[("gone.acme.example", "e")]);
    bench.writable(2, PLENTY);
    assert_eq!(bench.heard(2), [said(&[X], &[])], "and nothing of what it never heard");
    let raw = bench.remote(2).table[&key(X.0, X.1)].clone();
    assert_eq!(Attrs::read(&raw).unwrap().cost, 49);
    assert_eq!(bench.heard(3).len(), 52, "a neighbour that reads hears every change at once");
}

#[test]
fn announcements_go_before_withdrawals_in_one_frame() {
    let mut bench = star();
    bench.announce(1, &[("old.acme.example", "e", through("b"))]);
    bench.heard(2);
    exhaust(&mut bench, 2);
    bench.withdraw(1, &[("old.acme.example", "e")]);
    bench.announce(1, &[("new.acme.example", "e", through("b"))]);
    bench.writable(2, PLENTY);
    let expected = said(&[("new.acme.example", "e")], &[("old.acme.example", "e")]);
    assert_eq!(bench.heard(2), [expected]);
}

#[test]
fn the_bytes_of_an_entry_are_the_same_for_all_members() {
    let mut bench = star();
    bench.internal(4, "e.acme.example");
    bench.announce(1, &[(X.0, X.1, through("b"))]);
    bench.offer("own");
    let table = bench.remote(2).table.clone();
    assert_eq!(table.len(), 2);
    assert_eq!(bench.remote(3).table, table);
    assert_eq!(bench.remote(4).table, table);
    assert_eq!(bench.core.groups().infos().len(), 1, "one group for all nodes of the organisation");
}

#[test]
fn tombstones_stay_until_the_last_cursor_has_passed_and_no_longer() {
    let mut bench = star();
    let keys: Vec<_> = (0..20).map(|n| format!("s{n}.acme.example")).collect();
    let routes: Vec<_> = keys.iter().map(|k| (k.as_str(), "e", through("b"))).collect();
    bench.announce(1, &routes);
    exhaust(&mut bench, 2);
    for k in &keys {
        bench.withdraw(1, &[(k.as_str(), "e")]);
    }
    assert_eq!(bench.core.groups().remembered(SessionId(1)), 20, "c has not heard of it");
    assert!(bench.remote(3).table.is_empty(), "d has");
    let names = catalyst_route_table::Store::names(bench.core.state().table().store());
    bench.writable(2, PLENTY);
    assert!(bench.remote(2).table.is_empty());
    assert_eq!(bench.core.groups().remembered(SessionId(1)), 0);
    let left = catalyst_route_table::Store::names(bench.core.state().table().store());
    assert_eq!(names - left, 21, "20 services and their origin are forgotten");
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_tombstone_does_not_outlive_the_session_it_waited_for() {
    let mut bench = star();
    bench.announce(1, &[(X.0, X.1, through("b"))]);
    exhaust(&mut bench, 2);
    bench.withdraw(1, &[X]);
    assert_eq!(bench.core.groups().remembered(SessionId(1)), 1);
    bench.down(2);
    assert_eq!(bench.core.groups().remembered(SessionId(1)), 0);
    // One who comes later hears nothing of it.
    exhaust(&mut bench, 3);
    bench.announce(1, &[(X.0, X.1, through("b"))]);
    bench.writable(3, PLENTY);
    exhaust(&mut bench, 3);
    bench.withdraw(1, &[X]);
    bench.internal(5, "e.acme.example");
    assert_eq!(bench.heard(5), [Heard::Open, Heard::EndOfRib]);
    bench.give_all_back();
}

#[test]
fn the_only_member_hears_nothing_of_its_own_and_the_second_one_hears_all() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[(X.0, X.1, through("b"))]);
    bench.offer("own");
    assert_eq!(bench.core.groups().remembered(SessionId(1)), 1, "its own route is not even encoded");
    bench.heard(1);
    bench.internal(2, "c.acme.example");
    assert_eq!(bench.remote(2).services(), ["own.acme.example", "x.acme.example"]);
    assert_eq!(bench.heard(1), [], "the first one hears nothing new");
    // Alone again, a change of its own route costs nothing; then the next one comes.
    bench.down(2);
    bench.announce(1, &[(X.0, X.1, cost("b", 7))]);
    bench.heard(1);
    bench.internal(3, "d.acme.example");
    let raw = bench.remote(3).table[&key(X.0, X.1)].clone();
    assert_eq!(Attrs::read(&raw).unwrap().cost, 7);
    assert_eq!(bench.heard(1), []);
    bench.check();
    bench.give_all_back();
}

#[test]
fn the_only_member_hears_a_withdrawal_when_its_own_route_becomes_the_best() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.offer("x");
    let own = ("x.acme.example", "a");
    assert_eq!(bench.remote(1).table.len(), 1);
    bench.stop_offering("x");
    bench.announce(1, &[(own.0, own.1, through("b"))]);
    assert!(bench.remote(1).table.is_empty());
    bench.offer("x");
    assert_eq!(bench.remote(1).table.len(), 1);
}

#[test]
fn a_late_member_gets_the_whole_table_then_end_of_rib_once() {
    let mut bench = star();
    let keys: Vec<_> = (0..2000).map(|n| format!("service-{n:04}.acme.example")).collect();
    let routes: Vec<_> = keys.iter().map(|k| (k.as_str(), "e", through("b"))).collect();
    bench.announce(1, &routes);
    bench.internal(4, "e.acme.example");
    let heard = bench.heard(4);
    assert_eq!(bench.remote(4).table.len(), 2000);
    assert_eq!(heard[0], Heard::Open);
    assert_eq!(heard.last(), Some(&Heard::EndOfRib));
    assert_eq!(heard.iter().filter(|h| **h == Heard::EndOfRib).count(), 1);
    assert!(heard.len() > 4, "several frames");
    bench.offer("own");
    bench.run_until(bench.now + 2000);
    assert!(!bench.heard(4).contains(&Heard::EndOfRib));
}

#[test]
fn end_of_rib_comes_after_what_stood_and_changed_meanwhile() {
    let mut bench = star();
    let keys: Vec<_> = (0..100).map(|n| format!("service-{n:03}.acme.example")).collect();
    let routes: Vec<_> = keys.iter().map(|k| (k.as_str(), "e", through("b"))).collect();
    bench.announce(1, &routes);
    bench.feed(peer("e.acme.example", None));
    bench.up_with(4, "e.acme.example", 0);
    // The first of them changes before it was heard; then credit comes in small pieces.
    bench.announce(1, &[(keys[0].as_str(), "e", cost("b", 3))]);
    while !bench.heard(4).contains(&Heard::EndOfRib) {
        bench.writable(4, 60);
    }
    assert_eq!(bench.remote(4).table.len(), 100, "END_OF_RIB came before everything that stood");
}

#[test]
fn a_route_that_never_stops_changing_cannot_hold_end_of_rib_back() {
    let mut bench = star();
    let keys: Vec<_> = (0..60).map(|n| format!("service-{n:03}.acme.example")).collect();
    let routes: Vec<_> = keys.iter().map(|k| (k.as_str(), "e", through("b"))).collect();
    bench.announce(1, &routes);
    bench.feed(peer("e.acme.example", None));
    bench.up_with(4, "e.acme.example", 200);
    let mut rounds = 0;
    while !bench.heard(4).contains(&Heard::EndOfRib) {
        // More changes than the credit can carry.
        for service in &keys[..10] {
            bench.announce(1, &[(service.as_str(), "e", cost("b", rounds * 10 + 1))]);
        }
        bench.writable(4, 150);
        rounds += 1;
        assert!(rounds < 200, "END_OF_RIB never came");
    }
    let stable = keys[10..].iter().filter(|k| bench.remote(4).table.contains_key(&key(k, "e"))).count();
    assert_eq!(stable, 50, "everything that stood still was sent");
}

#[test]
fn a_slow_peer_that_would_make_the_group_remember_too_much_starts_afresh() {
    // The hold timer is off, so nothing but this bound can end the session.
    let mut bench = Bench::limited(Limits { tombstones: 100, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "d.acme.example");
    let config = PeerConfig { name: name("c.acme.example"), agreement: None, hold_ms: 0, restart_ms: 0 };
    bench.feed(Event::PeerConfigured(std::boxed::Box::new(config)));
    bench.up_with(3, "c.acme.example", 2000);
    let mut most = 0;
    for n in 0..400 {
        // One is always there, so that the credit ends while the peer holds something.
        bench.announce(1, &[(&format!("s{}.acme.example", n + 1), "e", through("b"))]);
        bench.withdraw(1, &[(&format!("s{n}.acme.example"), "e")]);
        most = most.max(bench.core.groups().remembered(SessionId(1)));
    }
    assert!(most <= 110, "{most} keys remembered");
    let closed = bench.closed();
    assert!(matches!(closed[..], [(3, Some(catalyst_wire::NotifyCode::SEND_HOLD), _)]), "{closed:?}");
    assert!(bench.peer("d.acme.example").session.is_some(), "those who read stay");
    bench.check();
    bench.give_all_back();
}

#[test]
fn who_has_heard_nothing_yet_makes_nobody_remember() {
    let mut bench = Bench::limited(Limits { tombstones: 100, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "d.acme.example");
    bench.feed(peer("c.acme.example", None));
    bench.up_with(3, "c.acme.example", 0);
    for n in 0..400 {
        let service = format!("s{n}.acme.example");
        bench.announce(1, &[(&service, "e", through("b"))]);
        bench.withdraw(1, &[(&service, "e")]);
        assert!(bench.core.groups().remembered(SessionId(1)) <= 102);
    }
    assert!(bench.closed().is_empty(), "it may read yet");
    bench.offer("own");
    bench.writable(3, PLENTY);
    assert_eq!(bench.heard(3), [Heard::Open, said(&[("own.acme.example", "a")], &[]), Heard::EndOfRib]);
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_newcomer_is_not_ended_for_the_sake_of_the_slow_one() {
    let mut bench = Bench::limited(Limits { tombstones: 50, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.offer("own");
    exhaust(&mut bench, 2);
    bench.stop_offering("own");
    bench.feed(peer("d.acme.example", None));
    bench.up_with(3, "d.acme.example", 0);
    for n in 0..100 {
        let service = format!("s{n}.acme.example");
        bench.announce(1, &[(&service, "e", through("b"))]);
        bench.withdraw(1, &[(&service, "e")]);
    }
    let closed: Vec<_> = bench.closed().into_iter().map(|c| c.0).collect();
    assert_eq!(closed, [2]);
}

#[test]
fn a_table_that_goes_as_a_whole_ends_no_session() {
    let mut bench = Bench::limited(Limits { tombstones: 100, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    let keys: Vec<_> = (0..500).map(|n| format!("s{n}.acme.example")).collect();
    let routes: Vec<_> = keys.iter().map(|k| (k.as_str(), "e", through("b"))).collect();
    bench.announce(1, &routes);
    exhaust(&mut bench, 2);
    bench.down(1);
    assert_eq!(bench.core.groups().remembered(SessionId(2)), 500);
    assert!(bench.peer("c.acme.example").session.is_some());
    bench.offer("own");
    assert!(bench.peer("c.acme.example").session.is_some(), "nor does what comes after it");
    bench.writable(2, PLENTY);
    assert_eq!(bench.remote(2).services(), ["own.acme.example"]);
    assert_eq!(bench.core.groups().remembered(SessionId(2)), 1);
}

#[test]
fn a_burst_of_one_neighbour_ends_no_session_that_had_no_turn_in_it() {
    let mut bench = Bench::limited(Limits { tombstones: 100, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.internal(3, "d.acme.example");
    bench.offer("first");
    exhaust(&mut bench, 3);
    bench.offer("unheard");
    let now = bench.moment();
    // As a shell does with frames that wait: all of them, and only then it sends.
    for burst in 0..5 {
        let keys: Vec<_> = (0..80).map(|n| format!("s{burst}-{n}.acme.example")).collect();
        let routes: Vec<_> = keys.iter().map(|k| (k.as_str(), "e", through("b"))).collect();
        let gone: Vec<_> = keys.iter().map(|k| (k.as_str(), "e")).collect();
        for frame in updates(&routes, &[]).into_iter().chain(updates(&[], &gone)) {
            bench.core.handle(&Event::PeerFrame { session: SessionId(1), frame }, now);
        }
    }
    bench.offer("own");
    bench.offer("more");
    let closed = bench.closed();
    assert!(matches!(closed[..], [(3, Some(catalyst_wire::NotifyCode::SEND_HOLD), _)]), "{closed:?}");
    assert_eq!(
        bench.remote(2).services(),
        ["first.acme.example", "more.acme.example", "own.acme.example", "unheard.acme.example"]
    );
    assert!(bench.core.groups().remembered(SessionId(2)) <= 102);
    bench.check();
}
