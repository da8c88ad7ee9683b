//! Ways that take the place of a lost one: used at once, told later where nobody needs them.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_wire::{Attrs, Capabilities, Interest, Open, WellKnown};

use super::kit::*;
use crate::*;

const X: (&str, &str) = ("s.acme.example", "x");
const T: u64 = Limits::WITHHELD_MS;

fn join(bench: &mut Bench, session: u64, node: &str) {
    let name = format!("{node}.acme.example");
    bench.feed(quiet(&name, None));
    bench.up(session, &name);
}

fn by_way_of(node: &'static str) -> Attrs<'static> {
    Attrs { node_path: path(&[node, "x"]), ..Attrs::default() }
}

/// `a` beside `b`, `c`, `d`, all of them with links to `x` (session 9), which offers a service.
fn bench() -> Bench {
    let mut bench = Bench::new();
    for (session, node) in [(1, "b"), (2, "c"), (3, "d"), (9, "x")] {
        join(&mut bench, session, node);
    }
    bench.announce(9, &[(X.0, X.1, through("x"))]);
    for (session, node) in [(1, "b"), (2, "c"), (3, "d")] {
        bench.announce(session, &[(X.0, X.1, by_way_of(node))]);
    }
    assert_eq!(told(&mut bench, 3), ["a", "x"]);
    bench.effects();
    bench
}

/// The path that a neighbour believes in.
fn told(bench: &mut Bench, session: u64) -> Vec<String> {
    bench.heard(session);
    let raw = bench.remote(session).table.get(&key(X.0, X.1));
    let nodes = raw.map(|raw| Attrs::read(raw).unwrap().node_path.iter().map(ToString::to_string).collect());
    nodes.unwrap_or_default()
}

fn used(bench: &mut Bench) -> Option<NextHop> {
    let mut ways = bench.effects().into_iter().filter_map(|effect| match effect {
        Effect::Forward(forward) => forward.endpoints.first().map(|first| first.next.clone()),
        _ => None,
    });
    ways.next_back()
}

#[test]
fn it_is_used_at_once_and_told_when_all_had_time_to_notice() {
    let mut bench = bench();
    bench.down(9);
    assert_eq!(used(&mut bench), Some(NextHop::Peer(name("b.acme.example"))));
    assert!(told(&mut bench, 3).is_empty(), "what was told is taken back at once");
    assert_eq!(bench.core.withheld().count(), 1);
    let d = name("d.acme.example");
    let why = bench.core.explain(X.0, Some(&d)).unwrap().origins[0].announced[0].why.clone();
    assert!(why.contains("another way was lost"), "{why}");
    bench.run_until(1000 + T - 1);
    assert!(told(&mut bench, 3).is_empty());
    bench.run_until(1000 + T);
    assert_eq!(told(&mut bench, 3), ["a", "b", "x"]);
    assert_eq!(bench.core.withheld().count(), 0);
    bench.check();
    bench.give_all_back();
}

#[test]
fn who_has_no_way_of_its_own_hears_at_once() {
    let mut bench = bench();
    join(&mut bench, 4, "l");
    bench.down(9);
    assert_eq!(told(&mut bench, 4), ["a", "b", "x"]);
    assert_eq!(bench.core.withheld().count(), 0);
}

#[test]
fn few_ways_are_tried_out() {
    let mut bench = bench();
    bench.down(1);
    bench.down(9);
    assert_eq!(told(&mut bench, 3), ["a", "c", "x"]);
}

#[test]
fn who_took_back_its_way_of_late_has_noticed_before() {
    for (ms, withheld) in [(Limits::FALLEN_MS, 1), (Limits::FALLEN_MS + 1, 0)] {
        let mut bench = bench();
        bench.withdraw(2, &[X]);
        bench.run_until(1000 + ms);
        bench.now = 1000 + ms;
        bench.down(9);
        assert_eq!(bench.core.withheld().count(), withheld, "after {ms} ms");
    }
}

#[test]
fn when_the_last_way_is_gone_nothing_is_told_any_more() {
    let mut bench = bench();
    bench.down(9);
    for session in [1, 2, 3] {
        bench.now += Limits::WITHHELD_MAX_MS / 4;
        bench.run_until(bench.now);
        assert!(told(&mut bench, 3).is_empty(), "the loss of each way is waited for");
        bench.withdraw(session, &[X]);
    }
    assert_eq!(bench.core.withheld().count(), 0);
    bench.run_until(bench.now + 3 * T);
    assert!(told(&mut bench, 3).is_empty());
    assert_eq!(bench.heard(3).len(), 0);
    bench.check();
    bench.give_all_back();
}

#[test]
fn however_many_ways_are_lost_it_has_an_end() {
    let mut bench = bench();
    let others = ["e", "f", "g", "h"];
    for (session, node) in (11..).zip(others) {
        join(&mut bench, session, node);
        bench.announce(session, &[(X.0, X.1, by_way_of(node))]);
    }
    bench.down(9);
    for session in [1, 2, 3, 11] {
        bench.now += T - 500;
        bench.run_until(bench.now);
        if bench.now < 1000 + Limits::WITHHELD_MAX_MS {
            assert!(told(&mut bench, 14).is_empty());
        }
        bench.withdraw(session, &[X]);
    }
    assert!(bench.now > 1000 + Limits::WITHHELD_MAX_MS);
    bench.run_until(bench.now);
    let mut fresh = bench;
    fresh.run_until(1000 + 4 * (T - 500) + T);
    assert_eq!(told(&mut fresh, 14), ["a", "f", "x"]);
}

#[test]
fn a_better_way_ends_it() {
    let mut bench = bench();
    bench.down(9);
    bench.now += 100;
    bench.up(10, "x.acme.example");
    assert_eq!(told(&mut bench, 3), ["a", "b", "x"], "who has just come may need it");
    let mut bench = self::bench();
    bench.down(9);
    bench.now += 100;
    bench.announce(1, &[(X.0, X.1, Attrs { cost: 7, ..by_way_of("b") })]);
    bench.announce(2, &[(X.0, X.1, Attrs { node_path: path(&["c"]), ..Attrs::default() })]);
    assert_eq!(told(&mut bench, 3), ["a", "c"]);
    bench.check();
}

#[test]
fn what_has_no_room_is_told_at_once() {
    let mut bench = Bench::new();
    for (session, node) in [(1, "b"), (2, "c"), (3, "d"), (9, "x")] {
        join(&mut bench, session, node);
    }
    let names: Vec<String> = (0..=Limits::WITHHELD).map(|n| format!("s{n}.acme.example")).collect();
    let all = |attrs: Attrs<'static>| names.iter().map(move |n| (n.as_str(), "x", attrs)).collect::<Vec<_>>();
    bench.announce(9, &all(through("x")));
    for (session, node) in [(1, "b"), (2, "c"), (3, "d")] {
        bench.announce(session, &all(by_way_of(node)));
    }
    bench.down(9);
    bench.run_until(bench.now);
    bench.heard(3);
    assert_eq!(bench.core.withheld().count(), Limits::WITHHELD);
    assert_eq!(bench.remote(3).table.len(), 1);
}

#[test]
fn what_stands_between_may_be_lost_for_some_alone() {
    let mut bench = Bench::new();
    for (session, node) in [(1, "b"), (2, "c"), (3, "d"), (4, "e")] {
        join(&mut bench, session, node);
        bench.announce(session, &[(X.0, X.1, by_way_of(node))]);
    }
    assert_eq!(told(&mut bench, 4), ["a", "b", "x"]);
    bench.down(1);
    assert_eq!(told(&mut bench, 4), ["a", "c", "x"], "told at once: `e` may have gone through `b`, too");
    assert_eq!(bench.core.withheld().count(), 0);
}

#[test]
fn stale_ways_are_given_up_by_one_after_the_other() {
    let stale = |node| Attrs { well_known: WellKnown(WellKnown::STALE), ..by_way_of(node) };
    let mut bench = Bench::new();
    for (session, node) in [(1, "b"), (2, "c"), (3, "d"), (4, "e")] {
        join(&mut bench, session, node);
        bench.announce(session, &[(X.0, X.1, stale(node))]);
    }
    join(&mut bench, 5, "l");
    assert_eq!(told(&mut bench, 5), ["a", "b", "x"]);
    bench.effects();
    bench.withdraw(1, &[X]);
    assert_eq!(used(&mut bench), Some(NextHop::Peer(name("c.acme.example"))));
    assert!(told(&mut bench, 4).is_empty(), "`e` has one of its own, and `b` has given it up");
    assert!(told(&mut bench, 5).is_empty(), "even who has none hears later");
    assert_eq!(bench.core.withheld().count(), 1);
    bench.withdraw(2, &[X]);
    bench.withdraw(3, &[X]);
    assert!(told(&mut bench, 4).is_empty());
    bench.run_until(bench.now + T);
    assert_eq!(told(&mut bench, 3), ["a", "e", "x"]);
    bench.check();
    bench.give_all_back();
}

#[test]
fn who_took_back_a_way_around_may_need_another() {
    // Before this node loses its way, and after.
    for before in [true, false] {
        let mut bench = bench();
        join(&mut bench, 4, "e");
        bench.announce(4, &[(X.0, X.1, Attrs { node_path: path(&["e", "w", "x"]), ..Attrs::default() })]);
        if before {
            bench.withdraw(4, &[X]);
        }
        bench.down(9);
        assert_eq!(told(&mut bench, 4).is_empty(), !before);
        if !before {
            bench.withdraw(4, &[X]);
            bench.run_until(bench.now);
        }
        assert_eq!(told(&mut bench, 4), ["a", "b", "x"]);
        assert_eq!(bench.core.withheld().count(), 0);
        bench.check();
    }
}

#[test]
fn who_has_yet_to_say_what_it_wants_may_want_this() {
    let mut bench = bench();
    bench.feed(quiet("l.acme.example", None));
    let name = name("l.acme.example");
    bench.feed(Event::SessionUp { session: SessionId(4), peer: name, dialled: true });
    let open = bench.open_of("l.acme.example", 1);
    let promise = Capabilities::REFRESH | Capabilities::INTEREST | Capabilities::INTERESTED;
    let open = Open { capabilities: promise, ..Open::read(&open[4..]).unwrap() };
    bench.frame(4, open.write(&mut [0; 1024]).unwrap().to_vec());
    bench.writable(4, PLENTY);
    bench.down(9);
    assert_eq!(bench.core.withheld().count(), 0);
}

#[test]
fn who_wants_something_else_is_told_what_is_withheld() {
    let mut bench = bench();
    join(&mut bench, 4, "l");
    let interest = |pattern| Interest::write(Some([pattern].into_iter()), &mut [0; 64]).unwrap().0.to_vec();
    bench.frame(4, interest("none.acme.example"));
    bench.down(9);
    assert_eq!(bench.core.withheld().count(), 1, "it does not want this");
    bench.frame(4, interest("s.acme.example"));
    assert_eq!(told(&mut bench, 4), ["a", "b", "x"]);
    assert_eq!(bench.core.withheld().count(), 0);
}

#[test]
fn who_is_left_with_a_way_that_comes_back_here_has_none() {
    let looped = |node| Attrs { node_path: path(&[node, "b", "a", "x"]), ..Attrs::default() };
    let mut bench = bench();
    join(&mut bench, 4, "e");
    bench.announce(4, &[(X.0, X.1, Attrs { node_path: path(&["e", "w", "x"]), ..Attrs::default() })]);
    bench.down(9);
    bench.announce(2, &[(X.0, X.1, looped("c"))]);
    bench.run_until(bench.now);
    assert_eq!(bench.core.withheld().count(), 1, "`c` has noticed the same loss");
    bench.announce(4, &[(X.0, X.1, looped("e"))]);
    bench.run_until(bench.now);
    assert_eq!(told(&mut bench, 4), ["a", "b", "x"]);
    assert_eq!(bench.core.withheld().count(), 0);
    bench.check();
}

#[test]
fn where_nobody_is_left_nothing_is_withheld() {
    let mut bench = bench();
    bench.down(9);
    for session in [3, 2] {
        bench.down(session);
        assert_eq!(bench.core.withheld().count(), 1, "the way that is used stands");
    }
    bench.down(1);
    assert_eq!(bench.core.withheld().count(), 0);
    bench.give_all_back();
}
