//! A pause before better news: what waits, what ends the wait, and what never waits.

use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::{Role, Tag};
use catalyst_wire::{Announced, Attrs, Frame, Path, Seqno, Seqnos, Update};

use super::kit::*;
use crate::*;

const X: (&str, &str) = ("x.acme.example", "o");
const P: u64 = Limits::PAUSE_MS;

/// `a` between `b`, `c`, `d` and, as session 4, a listener `l`.
fn bench() -> Bench {
    let mut bench = Bench::new();
    for (session, node) in [(1, "b"), (2, "c"), (3, "d"), (4, "l")] {
        bench.internal(session, &format!("{node}.acme.example"));
    }
    bench.heard(4);
    bench
}

fn cost(node: &str, cost: u32) -> Attrs<'_> {
    Attrs { cost, ..through(node) }
}

/// By which neighbour the listener believes that `a` goes; it hears so many routes since it was asked before.
fn told(bench: &mut Bench) -> (Option<String>, usize) {
    let heard = bench.heard(4).into_iter().map(|heard| match heard {
        Heard::Update(announced, withdrawn) => announced.len() + withdrawn.len(),
        _ => 0,
    });
    let count = heard.sum();
    let raw = bench.remote(4).table.get(&key(X.0, X.1));
    let via = raw.and_then(|raw| Attrs::read(raw).unwrap().node_path.iter().nth(1).map(ToString::to_string));
    (via, count)
}

fn by(node: &str, count: usize) -> (Option<String>, usize) {
    (Some(node.into()), count)
}

fn say(bench: &mut Bench, session: u64, attrs: Attrs<'_>) {
    bench.announce(session, &[(X.0, X.1, attrs)]);
}

/// `b`'s route was told at once, and `c` has a better one that waits.
fn waiting() -> Bench {
    let mut bench = bench();
    say(&mut bench, 1, cost("b", 10));
    assert_eq!(told(&mut bench), by("b", 1), "the first word of a key leaves at once");
    bench.effects();
    bench.now += 50;
    say(&mut bench, 2, cost("c", 5));
    assert_eq!(told(&mut bench), by("b", 0));
    bench
}

#[test]
fn what_is_better_waits_here_and_is_used_at_once() {
    let mut bench = waiting();
    let next = |effect: &Effect| match effect {
        Effect::Forward(forward) => Some(forward.endpoints[0].next.clone()),
        _ => None,
    };
    let used: Vec<NextHop> = bench.effects().iter().filter_map(next).collect();
    assert_eq!(used, [NextHop::Peer(name("c.acme.example"))]);
    assert_eq!(bench.core.paused().count(), 1);
    assert!(!bench.core.all_told());
    bench.run_until(1000 + P - 1);
    assert_eq!(told(&mut bench), by("b", 0));
    bench.run_until(1000 + P);
    assert_eq!(told(&mut bench), by("c", 1));
    assert!(bench.core.all_told());
    assert!(!bench.remote(2).table.contains_key(&key(X.0, X.1)), "split horizon");
    assert!(bench.remote(1).table.contains_key(&key(X.0, X.1)));
    bench.check();
    bench.give_all_back();
}

#[test]
fn one_pause_is_enough_for_all_that_comes_meanwhile() {
    let mut bench = waiting();
    for (session, node, cost_of) in [(3, "d", 4), (2, "c", 3), (3, "d", 2), (2, "c", 1)] {
        bench.now += 30;
        say(&mut bench, session, cost(node, cost_of));
    }
    assert_eq!(told(&mut bench), by("b", 0));
    bench.run_until(1000 + P);
    assert_eq!(told(&mut bench), by("c", 1), "the pause did not begin anew");
    // After it another begins.
    bench.now += 1;
    say(&mut bench, 3, cost("d", 0));
    assert_eq!(told(&mut bench), by("c", 0));
    bench.run_until(1000 + 2 * P);
    assert_eq!(told(&mut bench), by("d", 1));
}

#[test]
fn a_key_that_was_at_rest_is_told_at_once() {
    let mut bench = bench();
    say(&mut bench, 1, cost("b", 10));
    bench.run_until(1000 + P);
    say(&mut bench, 2, cost("c", 5));
    assert_eq!(told(&mut bench), by("c", 2));
}

#[test]
fn when_the_way_that_was_told_goes_or_changes_neighbours_hear_at_once() {
    type Blow = Box<dyn Fn(&mut Bench)>;
    let blows: [(&str, Blow); 5] = [
        ("withdrawn", Box::new(|bench| bench.withdraw(1, &[X]))),
        ("worse", Box::new(|bench| say(bench, 1, cost("b", 11)))),
        ("better, but not the best", Box::new(|bench| say(bench, 1, cost("b", 9)))),
        ("without its session", Box::new(|bench| bench.down(1))),
        ("without its neighbour", Box::new(|bench| bench.feed(Event::PeerRemoved(name("b.acme.example"))))),
    ];
    for (what, blow) in blows {
        let mut bench = waiting();
        blow(&mut bench);
        assert_eq!(told(&mut bench), by("c", 1), "{what}");
        assert_eq!(bench.core.paused().count(), 0, "{what}");
        bench.check();
        bench.give_all_back();
    }
}

/// The same attributes with the numbers of the first two nodes.
fn numbered<'a>(attrs: Attrs<'a>, words: [u32; 2]) -> Attrs<'a> {
    let [first, second] = words.map(|count| Seqno { run: 7, count });
    let tail = Attrs { seqnos: Seqnos::EMPTY.prepend(second), ..attrs };
    let frame: &'static [u8] = Box::leak(updates(&[(X.0, X.1, tail)], &[]).remove(0).into_boxed_slice());
    let update = Update::read(Frame::whole(frame).unwrap().body).unwrap();
    let Some(Announced::Route(route)) = update.announced().next() else { panic!("a route was written") };
    Attrs { seqnos: route.attrs.seqnos.prepend(first), ..attrs }
}

#[test]
fn when_the_way_that_was_told_is_overtaken_neighbours_hear_at_once() {
    let mut bench = bench();
    let two = |first, second, cost| Attrs { cost, node_path: path(&[first, second]), ..Attrs::default() };
    say(&mut bench, 1, numbered(two("b", "e", 10), [1, 1]));
    say(&mut bench, 2, cost("c", 5));
    assert_eq!(told(&mut bench), by("b", 1));
    // It is worse than both, and knows that e has given up what b leads through.
    say(&mut bench, 3, numbered(two("d", "e", 90), [1, 2]));
    assert_eq!(told(&mut bench), by("c", 1));
}

#[test]
fn when_the_better_way_goes_again_nobody_has_heard_of_it() {
    let mut bench = waiting();
    bench.withdraw(2, &[X]);
    assert_eq!(told(&mut bench), by("b", 0));
    assert_eq!(bench.core.paused().count(), 0);
    bench.run_until(1000 + 2 * P);
    assert_eq!(told(&mut bench), by("b", 0));
    assert!(bench.core.all_told());
    bench.check();
}

#[test]
fn a_better_way_that_gets_worse_waits_on_while_it_is_better_than_what_was_told() {
    let mut bench = waiting();
    say(&mut bench, 2, cost("c", 7));
    assert_eq!(told(&mut bench), by("b", 0));
    bench.run_until(1000 + P);
    assert_eq!(told(&mut bench), by("c", 1));
}

#[test]
fn a_withdrawal_never_waits() {
    let mut bench = waiting();
    bench.withdraw(1, &[X]);
    bench.withdraw(2, &[X]);
    assert_eq!(told(&mut bench), (None, 2));
    // What comes after it is told at once, for nobody holds anything of it.
    say(&mut bench, 3, cost("d", 1));
    assert_eq!(told(&mut bench), by("d", 1));
}

#[test]
fn what_policy_keeps_in_another_organisation_does_not_keep_until_the_pause_is_over() {
    let mut bench = bench();
    let partner = "gw.globex.example";
    let Event::PolicyChanged { mut exports, imports } = rules(&["*>globex.example", "*>globex.example"])
    else {
        panic!("rules are a policy")
    };
    exports[0].tag = Tag::parse("acme.example:inner").ok();
    exports[0].action = catalyst_policy::Action::Reject;
    bench.feed(Event::PolicyChanged { exports, imports });
    bench.feed(peer(partner, Some(agreement("globex.example", Role::Peer, 10, 9999))));
    bench.up(9, partner);
    say(&mut bench, 1, cost("b", 10));
    assert_eq!(bench.remote(9).services(), ["x.acme.example"]);
    let tagged = catalyst_wire::Attrs { tags: tags("acme.example:inner"), ..cost("c", 5) };
    say(&mut bench, 2, tagged);
    assert!(bench.remote(9).table.is_empty(), "what is used now is not for it");
    assert_eq!(told(&mut bench), by("b", 1), "inside it waits");
    // The way that was told is the best again: who lost it hears of it at once.
    bench.withdraw(2, &[X]);
    assert_eq!(bench.remote(9).services(), ["x.acme.example"]);
    assert_eq!(told(&mut bench), by("b", 0));
    bench.check();
    bench.give_all_back();
}

fn tags(tag: &str) -> Path<'static> {
    path(&[tag])
}

#[test]
fn a_drain_a_policy_and_a_new_group_wait_for_no_pause() {
    let mut bench = waiting();
    bench.feed(Event::DrainChanged(true));
    bench.run_until(bench.now);
    assert_eq!(told(&mut bench), by("c", 1));
    assert!(bench.core.all_told());

    let mut bench = waiting();
    bench.feed(rules(&["*>globex.example"]));
    assert_eq!(told(&mut bench), by("c", 1));

    // Who comes now hears of the best; so does everyone, for groups must not hold different ways.
    let mut bench = waiting();
    bench.feed(rules(&["*>globex.example"]));
    say(&mut bench, 3, cost("d", 1));
    assert_eq!(told(&mut bench), by("c", 1));
    bench.feed(peer("gw.globex.example", Some(agreement("globex.example", Role::Peer, 10, 9999))));
    bench.up(9, "gw.globex.example");
    assert_eq!(told(&mut bench), by("d", 1));
    bench.check();
    bench.give_all_back();
}

#[test]
fn who_comes_into_a_group_that_waits_hears_what_the_others_hold() {
    let mut bench = waiting();
    bench.internal(5, "m.acme.example");
    assert_eq!(bench.remote(5).table, bench.remote(4).table);
    bench.run_until(1000 + P);
    assert_eq!(told(&mut bench), by("c", 1));
    assert_eq!(bench.remote(5).table, bench.remote(4).table);
}

#[test]
fn digests_are_those_of_what_was_told() {
    let mut bench = waiting();
    let before = bench.core.groups.digest(SessionId(4)).map(crate::sum::Sum::bytes);
    assert_eq!(before, Some(bench.remote(4).sum()));
    bench.core.groups.refresh(SessionId(4));
    bench.writable(4, PLENTY);
    assert_eq!(bench.remote(4).refreshes, 1);
    assert_eq!(told(&mut bench), by("b", 1), "a refresh tells what was told");
    bench.run_until(1000 + P);
    let after = bench.core.groups.digest(SessionId(4)).map(crate::sum::Sum::bytes);
    assert_eq!(after, Some(bench.remote(4).sum()));
}

#[test]
fn a_route_that_ranks_behind_for_its_changes_makes_nothing_wait() {
    let flap = Flap { changes: 1, window_ms: 60_000, rest_ms: 60_000 };
    let mut settings = settings(Limits::CLOUD);
    settings.flap = flap;
    let heap = catalyst_route_table::Heap::new(catalyst_route_table::Limits::CLOUD);
    let mut bench = Bench::with(heap, settings);
    for (session, node) in [(1, "b"), (2, "c"), (4, "l")] {
        bench.internal(session, &format!("{node}.acme.example"));
    }
    for cost_of in [9, 8, 7] {
        say(&mut bench, 1, cost("b", cost_of));
    }
    assert_eq!(bench.core.state().flapping(), 1);
    told(&mut bench);
    // Better here, and worse for everyone else.
    say(&mut bench, 2, cost("c", 50));
    assert_eq!(told(&mut bench), by("c", 1));
}

#[test]
fn only_so_many_keys_are_remembered_and_what_is_new_of_others_is_told_at_once() {
    let mut bench = bench();
    let names: Vec<String> = (0..=Limits::PAUSED).map(|n| format!("s{n:05}.acme.example")).collect();
    for name in &names {
        bench.announce(1, &[(name, "o", cost("b", 10))]);
    }
    let (first, last) = (names[0].as_str(), names[Limits::PAUSED].as_str());
    bench.heard(4);
    bench.announce(2, &[(first, "o", cost("c", 5)), (last, "o", cost("c", 5))]);
    let said = Heard::Update([key(last, "o")].into(), Vec::new());
    assert_eq!(bench.heard(4), [said]);
    // A pause later there is room again.
    bench.run_until(1000 + P);
    let said = Heard::Update([key(first, "o")].into(), Vec::new());
    assert!(bench.heard(4).contains(&said));
    bench.announce(1, &[("fresh.acme.example", "o", cost("b", 10))]);
    bench.announce(2, &[("fresh.acme.example", "o", cost("c", 5))]);
    assert_eq!(bench.heard(4).len(), 1, "the better one waits");
    bench.check();
    bench.give_all_back();
}
