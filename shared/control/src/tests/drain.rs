//! A node that is about to stop: what it announces, how that ranks elsewhere, what takes it back.

use std::string::String;
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{Attrs, NotifyCode, Seqnos, WellKnown};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const D: &str = "d.acme.example";
const P: &str = "p.globex.example";
const OWN: &str = "own.acme.example";
const X: &str = "x.acme.example";

fn leaving(attrs: Attrs<'_>) -> Attrs<'_> {
    Attrs { well_known: WellKnown(WellKnown::GRACEFUL_SHUTDOWN), ..attrs }
}

impl Bench {
    /// What a neighbour holds: the service, and whether it is marked.
    fn marks(&self, session: u64) -> Vec<(&str, bool)> {
        let marked = |raw: &Vec<u8>| Attrs::read(raw).unwrap().well_known.has(WellKnown::GRACEFUL_SHUTDOWN);
        self.remote(session).table.iter().map(|((s, _), raw)| (s.as_str(), marked(raw))).collect()
    }

    /// UPDATE frames that a neighbour heard since this was asked before: how many routes they announced and withdrew.
    fn news(&mut self, session: u64) -> (usize, usize) {
        let of = |heard: Heard| match heard {
            Heard::Update(announced, withdrawn) => (announced.len(), withdrawn.len()),
            _ => (0, 0),
        };
        self.heard(session).into_iter().map(of).fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1))
    }

    fn via(&self, service: &str) -> Vec<(String, bool)> {
        let rows = self.core.state().route_rows().into_iter();
        let best = rows.filter(|r| r.service == service && r.standing == "best");
        best.map(|r| (r.via, r.draining)).collect()
    }
}

/// A node with a service of its own, one that it passes on, and a neighbour on each side of the border.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.feed(rules(&["*>globex.example", "*.*>globex.example"]));
    bench.internal(1, B);
    bench.internal(2, C);
    bench.feed(peer(P, Some(agreement("globex.example", Role::Customer, 100, 9999))));
    bench.up(3, P);
    bench.offer("own");
    bench.announce(1, &[(X, "b", through("b"))]);
    (1..=3).for_each(|session| {
        bench.news(session);
    });
    bench
}

#[test]
fn all_that_is_announced_is_marked_and_undrain_takes_it_away() {
    let mut bench = bench();
    let plain = bench.remote(2).table.clone();
    assert!(!bench.core.state().is_draining());
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    assert!(bench.core.state().is_draining());
    assert_eq!(bench.marks(1), [(OWN, true)], "split horizon stays");
    assert_eq!(bench.marks(2), [(OWN, true), (X, true)], "what is passed on, too");
    assert_eq!(bench.marks(3), [(OWN, true), (X, true)], "across the border, too");
    assert_eq!(bench.news(2), (2, 0), "each route once, and none is withdrawn");
    assert_eq!(bench.via(X), [(B.into(), false)], "here nothing changes");
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    assert_eq!(bench.news(2), (0, 0), "once is enough");
    bench.feed(Event::DrainChanged(false));
    bench.run_until(bench.now);
    // But for the numbers of its words, which go on.
    let said = |raw| Attrs { seqnos: Seqnos::EMPTY, ..Attrs::read(raw).unwrap() };
    let now = &bench.remote(2).table;
    assert!(now.keys().eq(plain.keys()));
    assert!(now.values().zip(plain.values()).all(|(now, before)| said(now) == said(before)));
    assert_eq!(bench.marks(3), [(OWN, false), (X, false)]);
    bench.check();
    bench.give_all_back();
}

#[test]
fn new_sessions_new_services_and_changes_have_the_mark_while_it_drains() {
    let mut bench = bench();
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    bench.offer("later");
    bench.feed(Event::Health { label: "own".parse().unwrap(), healthy: false });
    bench.announce(1, &[(X, "b", Attrs { cost: 7, ..through("b") })]);
    let all = [("later.acme.example", true), (X, true)];
    assert_eq!(bench.marks(2), all);
    bench.down(2);
    bench.up(4, C);
    assert_eq!(bench.marks(4), all, "a session that comes back");
    bench.internal(5, D);
    assert_eq!(bench.marks(5), all, "a neighbour that is new");
    bench.down(3);
    bench.up(6, P);
    assert_eq!(bench.marks(6), all, "the only one of its export group");
    bench.feed(Event::DrainChanged(false));
    bench.run_until(bench.now);
    for session in [4, 5, 6] {
        assert_eq!(bench.marks(session), [("later.acme.example", false), (X, false)]);
    }
    bench.give_all_back();
}

#[test]
fn what_is_marked_is_used_last_of_what_is_fresh() {
    let mut bench = bench();
    let marked = leaving(through("b"));
    bench.announce(1, &[(X, "b", marked)]);
    assert_eq!(bench.via(X), [(B.into(), true)], "while there is nothing else");
    // Worse in everything else that counts.
    bench
        .announce(2, &[(X, "b", Attrs { cost: 900, node_path: path(&["c", "z", "b"]), ..Attrs::default() })]);
    assert_eq!(bench.via(X), [(C.into(), false)]);
    bench.announce(2, &[(X, "b", Attrs { well_known: WellKnown(WellKnown::STALE), ..through("c") })]);
    assert_eq!(bench.via(X), [(B.into(), true)], "long-lived stale is worse still");
    bench.announce(1, &[(X, "b", through("b"))]);
    assert_eq!(bench.via(X), [(B.into(), false)], "undrain brings it back");
    bench.give_all_back();
}

#[test]
fn the_mark_is_carried_on_inside_and_across_the_border() {
    let mut bench = bench();
    bench.announce(1, &[(X, "b", leaving(through("b")))]);
    for session in [2, 3] {
        assert_eq!(bench.marks(session), [(OWN, false), (X, true)]);
    }
    bench.announce(1, &[(X, "b", through("b"))]);
    assert_eq!(bench.marks(3), [(OWN, false), (X, false)]);
    bench.give_all_back();
}

#[test]
fn an_origin_that_drains_comes_after_the_others_of_its_service() {
    let mut bench = bench();
    bench.announce(2, &[(X, "c", through("c"))]);
    bench.announce(1, &[(X, "b", leaving(through("b")))]);
    let last = bench.effects().into_iter().rev().find_map(|effect| match effect {
        Effect::Forward(forward) if forward.service.as_str() == X => Some(forward),
        _ => None,
    });
    let endpoints = last.unwrap().endpoints;
    let order: Vec<_> = endpoints.iter().map(|e| (e.origin.as_str(), e.equal)).collect();
    assert_eq!(order, [("c", false), ("b", false)]);
    bench.give_all_back();
}

/// Only who passes routes on has a table so large that it is gone through in pieces.
#[cfg(feature = "transit")]
#[test]
fn a_large_table_is_marked_in_steps_and_nobody_is_told_half_of_a_route() {
    let mut bench = bench();
    let names: Vec<_> = (0..4 * Limits::CLOUD.walked).map(|n| std::format!("s{n}.acme.example")).collect();
    let all: Vec<_> = names.iter().map(|s| (s.as_str(), "b", through("b"))).collect();
    bench.announce(1, &all);
    let held = bench.remote(2).table.len();
    (1..=3).for_each(|session| {
        bench.news(session);
    });
    bench.feed(Event::DrainChanged(true));
    let first = bench.news(2).0;
    assert!(first > 0 && first <= Limits::CLOUD.walked, "{first} in the first step");
    assert!(!bench.core.all_told());
    assert_eq!(bench.core.next_deadline(), Some(bench.now), "the next step is due at once");
    // Halfway through, it stays after all; and goes in the end.
    bench.feed(Event::Tick);
    bench.feed(Event::DrainChanged(false));
    bench.feed(Event::Tick);
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    assert!(bench.core.all_told());
    assert!(bench.marks(2).iter().all(|(_, marked)| *marked));
    assert_eq!(bench.remote(2).table.len(), held);
    assert_ne!(bench.core.next_deadline(), Some(bench.now));
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_neighbour_that_does_not_read_has_not_been_told() {
    let mut bench = bench();
    bench.feed(peer(D, None));
    bench.up_with(9, D, 0);
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    assert!(!bench.core.all_told());
    bench.writable(9, PLENTY);
    assert!(bench.core.all_told());
    assert_eq!(bench.marks(9), [(OWN, true), (X, true)]);
    bench.give_all_back();
}

#[test]
fn the_last_word_says_that_it_was_drained() {
    let mut bench = bench();
    bench.feed(Event::DrainChanged(true));
    bench.effects();
    bench.feed(Event::Stop);
    let closed = bench.closed();
    assert_eq!(closed.len(), 3);
    for (_, code, reason) in closed {
        assert_eq!((code, reason.as_str()), (Some(NotifyCode::SHUTDOWN), "drained"));
    }
}

#[test]
fn a_recording_of_it_replays() {
    let mut bench = bench();
    let plain = bench.core.digest();
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    assert_ne!(bench.core.digest(), plain);
    let again = bench.recording.replay(Heap::new(TableLimits::CLOUD)).unwrap();
    assert!(again.state().is_draining());
    assert_eq!(again.digest(), bench.core.digest());
    bench.feed(Event::DrainChanged(false));
    bench.run_until(bench.now);
    assert_eq!(bench.core.digest(), plain);
}
