//! Routes that change too often: when they rank behind, that they are never hidden, and when they rank as before.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{Attrs, FrameType, Health, Notify, NotifyCode, Open, Path, Refresh, WellKnown};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const P: &str = "p.globex.example";
const X: &str = "x.acme.example";
const Y: &str = "y.acme.example";
const FLAP: Flap = Flap { changes: 5, window_ms: 60_000, rest_ms: 90_000 };

fn bench_with(flap: Flap) -> Bench {
    let settings =
        Settings { mesh_address: "a:8443".into(), stale_max_ms: 500_000, flap, ..settings(Limits::CLOUD) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.join(1, B);
    bench.join(2, C);
    bench
}

fn bench() -> Bench {
    bench_with(FLAP)
}

/// As it comes from B, the better way.
fn short() -> Attrs<'static> {
    through("b")
}

/// As it comes from C, the longer way.
fn long() -> Attrs<'static> {
    Attrs { node_path: path(&["c", "b"]), ..Attrs::default() }
}

impl Bench {
    /// A session without a hold timer, with a mesh port, that asks for some time to come back.
    fn join(&mut self, session: u64, node: &str) {
        if self.core.state().peer(&name(node)).is_none() {
            self.feed(quiet(node, None));
        }
        let agreement = self.core.state().peer(&name(node)).and_then(|p| p.agreement);
        let open = Open {
            version_min: 1,
            version_max: 1,
            node,
            incarnation: session,
            hold_ms: 0,
            restart_ms: 30_000,
            capabilities: catalyst_wire::Capabilities::REFRESH,
            agreement,
            mesh_address: "b:8443",
        };
        let open = open.write(&mut [0; 1024]).unwrap().to_vec();
        self.up_by(session, node, open);
    }

    fn tells(&mut self, session: u64, cost: u32) {
        let base = if session == 1 { short() } else { long() };
        self.announce(
            session,
            &[(X, "b", Attrs { cost: if session == 2 { 1000 + cost } else { cost }, ..base })],
        );
    }

    /// So many changes of B's route to X, one second apart.
    fn change(&mut self, times: u32) {
        for n in 0..times {
            self.run_until(self.now + 1000);
            self.tells(1, 1 + n % 2 + 2 * u32::from(self.now.is_multiple_of(2000)));
        }
    }

    fn best_via(&self, service: &str) -> Option<String> {
        self.rows().into_iter().find(|r| r.0 == service && r.2 == "best").map(|r| r.1)
    }

    fn flaps(&self, via: &str) -> bool {
        self.core.state().route_rows().iter().any(|r| r.via == via && r.flapping)
    }
}

#[test]
fn more_changes_than_are_fine_put_a_route_behind_its_alternative_until_it_has_been_at_rest() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.tells(2, 0);
    bench.change(5);
    assert_eq!(bench.best_via(X).as_deref(), Some(B), "five are fine");
    bench.change(1);
    assert_eq!(bench.best_via(X).as_deref(), Some(C), "six are not");
    assert!(bench.flaps(B) && !bench.flaps(C));
    assert_eq!((bench.core.state().flapping(), bench.core.state().counters().demoted), (1, 1));
    bench.run_until(bench.now + FLAP.rest_ms - 1);
    assert_eq!(bench.best_via(X).as_deref(), Some(C));
    bench.run_until(bench.now + 1);
    assert_eq!(bench.best_via(X).as_deref(), Some(B), "it has been at rest");
    assert!(!bench.flaps(B));
    assert_eq!((bench.core.state().flapping(), bench.core.state().counters().demoted), (0, 1));
    bench.check();
    bench.give_all_back();
}

#[test]
fn the_window_slides() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.tells(2, 0);
    // One every ten seconds: never more than six within a minute, and the sixth counts no more when the seventh comes.
    for n in 0..50 {
        bench.run_until(bench.now + 12_000);
        bench.tells(1, 1 + n % 2);
        assert_eq!(bench.best_via(X).as_deref(), Some(B), "change {n}");
    }
    bench.run_until(bench.now + 11_999);
    bench.tells(1, 77);
    assert_eq!(bench.best_via(X).as_deref(), Some(C), "the first of six was 59,999 ms ago");
}

#[test]
fn a_change_within_the_rest_begins_it_anew() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.tells(2, 0);
    bench.change(6);
    bench.run_until(bench.now + FLAP.rest_ms - 1);
    bench.tells(1, 99);
    bench.run_until(bench.now + FLAP.rest_ms - 1);
    assert_eq!(bench.best_via(X).as_deref(), Some(C));
    bench.run_until(bench.now + 1);
    assert_eq!(bench.best_via(X).as_deref(), Some(B));
    assert_eq!(bench.core.state().counters().demoted, 1);
}

#[test]
fn withdrawals_and_returns_are_changes_and_the_mark_outlives_them() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.tells(2, 0);
    for _ in 0..3 {
        bench.run_until(bench.now + 1000);
        bench.withdraw(1, &[(X, "b")]);
        assert_eq!(bench.best_via(X).as_deref(), Some(C));
        bench.tells(1, 0);
    }
    assert_eq!(bench.best_via(X).as_deref(), Some(C), "three times away and back are six changes");
    assert!(bench.flaps(B));
    // Away at the end of its rest: nothing is left of it, and its names are given back.
    bench.withdraw(1, &[(X, "b")]);
    bench.run_until(bench.now + FLAP.rest_ms);
    assert_eq!((bench.core.state().flapping(), bench.core.state.flaps.len()), (0, 0));
    bench.tells(1, 0);
    assert_eq!(bench.best_via(X).as_deref(), Some(B));
    bench.give_all_back();
}

#[test]
fn it_is_never_hidden() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.change(20);
    assert!(bench.flaps(B));
    assert_eq!(bench.best_via(X).as_deref(), Some(B), "the only way stays the way");
    let explained = bench.core.explain(X, None).unwrap();
    assert_eq!(explained.origins[0].candidates[0].why, "best: the only usable way");
    // What neighbours hear is the route, as ever: the mark is this node's own, and its end is no news to them.
    bench.heard(2);
    bench.run_until(bench.now + FLAP.rest_ms);
    assert!(!bench.flaps(B));
    assert_eq!(bench.heard(2), []);
}

#[test]
fn it_comes_before_long_lived_stale_ones_and_after_everything_else() {
    let mut bench = bench();
    bench.tells(1, 0);
    let stale = Attrs { well_known: WellKnown(WellKnown::STALE), ..long() };
    bench.announce(2, &[(X, "b", stale)]);
    bench.change(6);
    assert!(bench.flaps(B));
    assert_eq!(bench.best_via(X).as_deref(), Some(B));
    bench.announce(2, &[(X, "b", Attrs { well_known: WellKnown(WellKnown::GRACEFUL_SHUTDOWN), ..long() })]);
    assert_eq!(bench.best_via(X).as_deref(), Some(C), "even one whose node is about to stop");
    let why = |bench: &Bench, via: &str| {
        let ways = bench.core.explain(X, None).unwrap().origins.remove(0).candidates;
        ways.into_iter().find(|c| c.route.via == via).unwrap().why
    };
    assert_eq!(why(&bench, C), format!("best: before {B}: steady against flapping"));
    assert_eq!(why(&bench, B), format!("loses to {C}: steady against flapping"));
    // Two that change too often stand to each other as ever.
    for n in 0..6 {
        bench.tells(2, 10 + n);
    }
    assert!(bench.flaps(B) && bench.flaps(C));
    assert_eq!(bench.best_via(X).as_deref(), Some(B));
}

#[test]
fn other_origins_of_a_service_are_alternatives_too() {
    let mut bench = bench();
    bench.announce(1, &[(X, "b", short())]);
    bench.announce(2, &[(X, "c2", long())]);
    bench.effects();
    bench.change(6);
    let mut last = bench.effects().into_iter().filter_map(|e| match e {
        Effect::Forward(forward) => Some(forward),
        _ => None,
    });
    let ways: Vec<String> =
        last.next_back().unwrap().endpoints.iter().map(|e| e.origin.to_string()).collect();
    assert_eq!(ways, ["c2", "b"]);
    assert_eq!(
        bench.core.explain(X, None).unwrap().origins[1].why,
        "behind the one before: steady against flapping"
    );
}

#[test]
fn a_route_that_is_gone_is_not_counted_as_flapping_and_comes_back_with_its_mark() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.change(6);
    assert_eq!(bench.core.state().flapping(), 1);
    bench.withdraw(1, &[(X, "b")]);
    assert!(bench.rows().is_empty());
    assert_eq!(bench.core.state().flapping(), 0, "no list shows it");
    bench.announce(1, &[(X, "b", short())]);
    assert!(bench.flaps(B));
    assert_eq!(bench.core.state().flapping(), 1);
    // Nor is one whose neighbour is configured no longer.
    bench.feed(Event::PeerRemoved(name(B)));
    assert_eq!(bench.core.state().flapping(), 0);
    bench.give_all_back();
}

#[test]
fn a_service_of_this_node_that_comes_and_goes_is_no_better() {
    let mut bench = bench();
    bench.offer("x");
    bench.announce(2, &[(X, "c", through("c"))]);
    for n in 0..6 {
        assert_eq!(bench.core.state().flapping(), 0, "{n}");
        bench.feed(Event::Health { label: "x".parse().unwrap(), healthy: n % 2 == 1 });
    }
    assert_eq!(bench.core.state().flapping(), 1);
    assert_eq!(bench.core.explain(X, None).unwrap().origins[0].origin, "c");
    bench.run_until(bench.now + FLAP.rest_ms);
    assert_eq!(bench.core.explain(X, None).unwrap().origins[0].origin, "a");
}

#[test]
fn sessions_that_end_and_refreshes_change_no_route() {
    let mut bench = bench();
    bench.tells(1, 0);
    bench.tells(2, 0);
    let refresh = |kind: Refresh| kind.write(&mut [0; 16]).unwrap().to_vec();
    for n in 0..10 {
        let session = 10 + n;
        let last = if n == 0 { 1 } else { session - 1 };
        bench.down(last);
        bench.run_until(bench.now + 1000);
        bench.join(session, B);
        bench.announce(session, &[(X, "b", short())]);
        bench.frame(session, plain(FrameType::EndOfRib));
        bench.frame(session, refresh(Refresh::BEGIN));
        bench.announce(session, &[(X, "b", short())]);
        bench.frame(session, refresh(Refresh::END));
    }
    assert_eq!((bench.core.state().flapping(), bench.core.state.flaps.len()), (0, 0));
    // Nor does a table that was flushed and comes back.
    for n in 0..10 {
        let frame = Notify { code: NotifyCode::SHUTDOWN, reason: "", document: "" };
        bench.frame(19 + n, frame.write(&mut [0; 64]).unwrap().to_vec());
        assert_eq!(bench.best_via(X).as_deref(), Some(C));
        bench.join(20 + n, B);
        bench.announce(20 + n, &[(X, "b", short())]);
    }
    assert_eq!((bench.core.state().flapping(), bench.core.state.flaps.len()), (0, 0));
    // But what comes back as another route has changed, and what has changed too often comes back with its mark.
    for n in 0..6 {
        bench.down(29 + n);
        bench.join(30 + n, B);
        bench.announce(30 + n, &[(X, "b", Attrs { cost: 1 + n as u32, ..short() })]);
    }
    assert!(bench.flaps(B));
    bench.down(35);
    bench.join(36, B);
    bench.announce(36, &[(X, "b", Attrs { cost: 6, ..short() })]);
    assert!(bench.flaps(B));
}

#[test]
fn rules_neither_flap_nor_heal() {
    let mut bench = bench();
    bench.feed(quiet(P, Some(agreement("globex.example", Role::Peer, 10, 9999))));
    bench.feed(rules(&["*<globex.example"]));
    bench.join(3, P);
    let service = "s.globex.example";
    bench.announce(3, &[(service, "o", across("globex.example"))]);
    for n in 0..20 {
        bench.feed(rules(if n % 2 == 0 { &[] } else { &["*<globex.example"] }));
    }
    assert_eq!(bench.core.state().flapping(), 0);
    for n in 0..6 {
        bench.announce(3, &[(service, "o", Attrs { cost: 1 + n, ..across("globex.example") })]);
    }
    assert!(bench.flaps(P));
    bench.feed(rules(&[]));
    bench.feed(rules(&["*<globex.example"]));
    assert!(bench.flaps(P));
    assert_eq!(bench.best_via(service).as_deref(), Some(P));
    bench.give_all_back();
}

#[test]
fn nothing_is_counted_without_the_setting() {
    let mut bench = bench_with(Flap::OFF);
    bench.tells(1, 0);
    bench.tells(2, 0);
    bench.change(50);
    assert_eq!(bench.best_via(X).as_deref(), Some(B));
    assert_eq!((bench.core.state.flaps.len(), bench.core.next_deadline()), (0, None));
}

#[test]
fn the_table_is_bounded_and_forgets_who_is_at_rest_for_longest() {
    let settings = Settings { flap: FLAP, ..settings(Limits { routes_per_peer: 16 * 20, ..Limits::CLOUD }) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.join(1, B);
    bench.join(2, C);
    let label = |n: u32| format!("s{n}.acme.example");
    let one = |bench: &mut Bench, session: u64, n: u32, cost: u32| {
        let base = if session == 1 { short() } else { long() };
        bench.announce(session, &[(&label(n), "b", Attrs { cost, ..base })]);
    };
    for n in 0..200 {
        one(&mut bench, 1, n, 0);
        one(&mut bench, 2, n, 1000);
    }
    assert_eq!(bench.core.state.flaps.len(), 0, "what comes in for the first time takes no room");
    // Those that rank behind stay before those that have changed a little.
    (1..7).for_each(|cost| one(&mut bench, 1, 0, cost));
    for n in 1..100 {
        bench.now += 1;
        one(&mut bench, 1, n, 1);
        assert!(bench.core.state.flaps.len() <= 20);
    }
    assert_eq!(bench.best_via(&label(0)).as_deref(), Some(C));
    // Full of those that rank behind: the oldest is forgotten and ranks as before.
    for n in 1..=20 {
        bench.now += 1;
        (2..8).for_each(|cost| one(&mut bench, 1, n, cost));
    }
    assert_eq!((bench.core.state.flaps.len(), bench.core.state().flapping()), (20, 20));
    assert_eq!(bench.best_via(&label(0)).as_deref(), Some(B));
    assert_eq!(bench.best_via(&label(20)).as_deref(), Some(C));
    bench.check();
    bench.give_all_back();
}

#[test]
fn many_restless_routes_of_one_neighbour_push_out_none_of_another() {
    let settings = Settings { flap: FLAP, ..settings(Limits { routes_per_peer: 16 * 20, ..Limits::CLOUD }) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.join(1, B);
    bench.join(2, C);
    let label = |n: u32| format!("s{n}.acme.example");
    let say = |bench: &mut Bench, session: u64, n: u32, cost: u32| {
        let base = if session == 1 { short() } else { long() };
        bench.announce(session, &[(&label(n), "b", Attrs { cost, ..base })]);
    };
    for n in 0..200 {
        say(&mut bench, 1, n, 0);
        say(&mut bench, 2, n, 1000);
    }
    // One of B is on its way to too many changes, and one of C has come to it.
    (1..5).for_each(|cost| say(&mut bench, 1, 0, cost));
    (1..7).for_each(|more| say(&mut bench, 2, 1, 1000 + more));
    assert_eq!(bench.core.state().flapping(), 1);
    // Then all of C changes too often, in turns.
    for round in 1..9 {
        for n in 2..102 {
            bench.now += 1;
            say(&mut bench, 2, n, 2000 + round);
            assert!(bench.core.state.flaps.len() <= 20);
        }
    }
    (5..7).for_each(|cost| say(&mut bench, 1, 0, cost));
    assert_eq!(bench.best_via(&label(0)).as_deref(), Some(C), "the changes of before count still");
    bench.check();
    bench.give_all_back();
    assert_eq!(bench.core.state.flaps.len(), 0);
}

#[derive(Clone, Debug)]
enum Op {
    /// By one of two neighbours, of one of two services: cost and health.
    Say(bool, bool, u32, bool),
    Withdraw(bool, bool),
    Lose(bool),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<bool>;
    prop_oneof![
        8 => (any(), any(), 0u32..3, prop::bool::weighted(0.8)).prop_map(|(n, s, c, h)| Op::Say(n, s, c, h)),
        4 => (any(), any()).prop_map(|(n, s)| Op::Withdraw(n, s)),
        1 => any().prop_map(Op::Lose),
        3 => (0u64..30_000).prop_map(Op::Wait),
    ]
}

fn run(ops: &[Op], flap: Flap) -> (Bench, bool) {
    let mut bench = bench_with(flap);
    let (mut sessions, mut next) = ([1u64, 2], 3u64);
    let mut ever = false;
    for op in ops {
        match op {
            Op::Say(n, s, cost, healthy) => {
                let health = if *healthy { Health::Up } else { Health::Down };
                let base = if *n { long() } else { Attrs { node_path: Path::one("b"), ..Attrs::default() } };
                let attrs = Attrs { cost: *cost, health, ..base };
                bench.announce(sessions[usize::from(*n)], &[(if *s { X } else { Y }, "b", attrs)]);
            }
            Op::Withdraw(n, s) => {
                bench.withdraw(sessions[usize::from(*n)], &[(if *s { X } else { Y }, "b")]);
            }
            Op::Lose(n) => {
                let at = usize::from(*n);
                bench.down(sessions[at]);
                sessions[at] = next;
                bench.join(next, [B, C][at]);
                next += 1;
            }
            Op::Wait(ms) => bench.run_until(bench.now + ms),
        }
        bench.check();
        ever |= bench.core.state().flapping() > 0;
        // Never hidden: whoever has an eligible way has a best one.
        let mut usable: BTreeMap<String, (bool, bool)> = BTreeMap::new();
        for row in bench.core.state().route_rows() {
            let entry = usable.entry(row.service.to_string()).or_default();
            entry.0 |= row.standing != "ineligible";
            entry.1 |= row.standing == "best";
        }
        assert!(usable.values().all(|(usable, best)| usable == best), "{usable:?}");
    }
    bench.run_until(bench.now + FLAP.rest_ms.max(FLAP.window_ms));
    (bench, ever)
}

#[test]
fn after_a_rest_everything_ranks_as_if_nothing_had_been_counted() {
    let mut marked = 0;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..300 {
        let ops = prop::collection::vec(op(), 1..60).new_tree(&mut runner).unwrap().current();
        let (counted, ever) = run(&ops, FLAP);
        let (plain, _) = run(&ops, Flap::OFF);
        assert_eq!(counted.rows(), plain.rows(), "{ops:?}");
        assert_eq!((counted.core.state().flapping(), counted.core.state.flaps.len()), (0, 0));
        assert_eq!(counted.core.digest(), plain.core.digest());
        marked += usize::from(ever);
    }
    assert!(marked > 50, "only {marked} of 300 had a route that changed too often");
}
