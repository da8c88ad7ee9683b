//! Digests and refreshes: both ends agree on a table, and a difference heals by itself.

use std::vec::Vec;

use catalyst_wire::{Keepalive, Refresh};

use super::kit::*;
use crate::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn digest(digest: [u8; 16]) -> Vec<u8> {
    Keepalive { digest: Some(digest) }.write(&mut [0; 64]).unwrap().to_vec()
}

fn refresh(refresh: Refresh) -> Vec<u8> {
    refresh.write(&mut [0; 16]).unwrap().to_vec()
}

/// How often a neighbour was asked for its table.
fn asked(bench: &mut Bench, session: u64) -> usize {
    let heard = bench.heard(session);
    heard.iter().filter(|f| **f == Heard::Refresh(Refresh::REQUEST.kind)).count()
}

/// `a` between `b` and `c`, with two routes of `b` and one of its own.
fn line() -> Bench {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.offer("own");
    bench.announce(1, &[("x.acme.example", "o", through("b")), ("y.acme.example", "o", through("b"))]);
    bench.frame(1, plain(catalyst_wire::FrameType::EndOfRib));
    bench.heard(1);
    bench.heard(2);
    bench
}

/// The digest of what `b` announced in [`line`].
fn sum(bench: &Bench) -> [u8; 16] {
    bench.peer("b.acme.example").compared.sum()
}

/// Keepalives of `b` with this digest every second until a moment; `c` is kept alive too.
fn beat(bench: &mut Bench, says: impl Fn(&Bench) -> [u8; 16], until: u64) {
    while bench.now < until {
        let next = (bench.now + 1000).min(until);
        bench.run_until(next);
        let says = says(bench);
        bench.frame(1, digest(says));
        bench.frame(2, plain(catalyst_wire::FrameType::Keepalive));
    }
}

#[test]
fn a_keepalive_carries_the_digest_of_what_its_receiver_holds() {
    let mut bench = line();
    bench.run_until(bench.now + 1500);
    for session in [1, 2] {
        assert_eq!(bench.remote(session).digest, Some(bench.remote(session).sum()), "session {session}");
    }
    assert_ne!(bench.remote(1).digest, bench.remote(2).digest, "split horizon");
    assert_eq!(bench.remote(2).table.len(), 3);
}

#[test]
fn nothing_is_claimed_before_everything_was_sent() {
    let mut bench = line();
    bench.feed(peer("d.acme.example", None));
    // Room for OPEN, keepalives and no more.
    let long = std::format!("s{}.acme.example", "x".repeat(60));
    bench.announce(1, &[(&long, "o", through("b"))]);
    bench.up_with(3, "d.acme.example", 150);
    assert!(bench.remote(3).table.len() < 4);
    bench.run_until(bench.now + 1500);
    assert_eq!(bench.remote(3).digest, None);
    bench.writable(3, PLENTY);
    bench.run_until(bench.now + 1000);
    assert_eq!(bench.remote(3).digest, Some(bench.remote(3).sum()));
}

#[test]
fn equal_digests_ask_for_nothing() {
    let mut bench = line();
    beat(&mut bench, sum, 10 * MINUTE);
    assert_eq!(asked(&mut bench, 1), 0);
    let compared = &bench.peer("b.acme.example").compared;
    assert_eq!((compared.as_str(), compared.mismatches, compared.equal_at), ("equal", 0, Some(10 * MINUTE)));
}

#[test]
fn one_mismatch_is_not_enough_and_two_in_a_row_are() {
    let mut bench = line();
    for said in [[9; 16], sum(&bench), [9; 16]] {
        bench.frame(1, digest(said));
    }
    assert_eq!(asked(&mut bench, 1), 0);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "differs");
    bench.frame(1, digest([8; 16]));
    assert_eq!(asked(&mut bench, 1), 1);
    assert_eq!(bench.notices().iter().filter(|n| matches!(n, Notice::RefreshAsked(_))).count(), 1);
    let compared = &bench.peer("b.acme.example").compared;
    assert_eq!((compared.mismatches, compared.refreshes), (3, 1));
}

#[test]
fn a_peer_that_lies_is_asked_ever_more_seldom() {
    let mut bench = line();
    let begun = bench.now;
    beat(&mut bench, |_| [9; 16], begun + 4 * MINUTE);
    // At once, after one minute, after two more.
    assert_eq!(asked(&mut bench, 1), 3);
    beat(&mut bench, |_| [9; 16], begun + 10 * HOUR);
    // After 4, 8, 16, 32 minutes; then each hour.
    let more = asked(&mut bench, 1);
    assert!((12..=14).contains(&more), "{more} in ten hours");
    // Once it tells the truth, the next lie is looked into soon.
    beat(&mut bench, sum, begun + 12 * HOUR);
    assert_eq!(asked(&mut bench, 1), 0);
    let until = bench.now + 3000;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 1);
}

#[test]
fn what_was_not_taken_suspends_the_comparison() {
    let mut bench = Bench::limited(Limits { routes_per_peer: 1, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.announce(1, &[("x.acme.example", "o", through("b")), ("y.acme.example", "o", through("b"))]);
    bench.frame(1, plain(catalyst_wire::FrameType::EndOfRib));
    bench.heard(1);
    let until = bench.now + 50 * MINUTE;
    beat(&mut bench, |_| [9; 16], until);
    // What is refused now would be refused again.
    assert_eq!(asked(&mut bench, 1), 0);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "suspended");
    assert_eq!(bench.peer("b.acme.example").compared.mismatches, 0);
    // Once an hour, because things may have changed.
    let until = bench.now + 15 * MINUTE;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 1);
}

#[test]
fn a_peer_of_before_hears_no_refresh_and_its_digests_do_not_count() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.up_old(1, "b.acme.example", PLENTY);
    bench.frame(1, plain(catalyst_wire::FrameType::EndOfRib));
    (0..5).for_each(|_| bench.frame(1, digest([9; 16])));
    assert_eq!(asked(&mut bench, 1), 0);
    assert_eq!(bench.peer("b.acme.example").compared.mismatches, 0);
}

#[test]
fn a_wish_is_answered_with_the_whole_table_between_its_marks() {
    let mut bench = line();
    bench.frame(2, refresh(Refresh::REQUEST));
    let heard = bench.heard(2);
    let [Heard::Refresh(2), Heard::Update(announced, withdrawn), Heard::Refresh(3)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((announced.len(), withdrawn.len()), (3, 0));
    assert_eq!(bench.heard(1), [], "nobody else hears of it");
    // Its own routes are not among it.
    bench.frame(1, refresh(Refresh::REQUEST));
    let heard = bench.heard(1);
    assert!(matches!(&heard[1], Heard::Update(a, w) if a.len() == 1 && w.is_empty()), "{heard:?}");
}

#[test]
fn changes_go_on_during_a_refresh_and_its_end_comes_all_the_same() {
    let mut bench = line();
    let many: Vec<_> = (0..300).map(|n| std::format!("s{n:03}.acme.example")).collect();
    let routes: Vec<_> = many.iter().map(|s| (s.as_str(), "o", through("b"))).collect();
    bench.announce(1, &routes);
    bench.core.links.get_mut(&SessionId(2)).unwrap().credit = 0;
    bench.remotes.get_mut(&SessionId(2)).unwrap().credit = 0;
    bench.frame(2, refresh(Refresh::REQUEST));
    // As much as one small frame at a time, and before each a change: of what was told again, of what was not, of what is new.
    let mut rounds = 0;
    while bench.remote(2).refreshes == 0 {
        let (changed, gone) = (&many[rounds % 300], &many[(rounds * 7 + 1) % 300]);
        let cost = catalyst_wire::Attrs { cost: 1 + rounds as u32, ..through("b") };
        let new = std::format!("new{rounds}.acme.example");
        bench.announce(1, &[(changed, "o", cost), (&new, "o", through("b"))]);
        bench.withdraw(1, &[(gone, "o")]);
        bench.writable(2, 400);
        bench.check();
        rounds += 1;
        assert!(rounds < 1000, "the refresh has no end");
    }
    bench.writable(2, PLENTY);
    let held = bench.core.groups().announced(SessionId(2)).count();
    assert_eq!(bench.remote(2).table.len(), held);
    assert_eq!(
        bench.core.groups().digest(SessionId(2)).map(crate::sum::Sum::bytes),
        Some(bench.remote(2).sum())
    );
}

#[test]
fn what_a_refresh_does_not_confirm_goes_and_what_it_confirms_is_no_event() {
    let mut bench = line();
    bench.announce(1, &[("zombie.acme.example", "o", through("b"))]);
    bench.heard(2);
    bench.effects();
    bench.frame(1, refresh(Refresh::BEGIN));
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "refreshing");
    bench.frame(1, digest([9; 16]));
    bench.announce(1, &[("x.acme.example", "o", through("b")), ("y.acme.example", "o", through("b"))]);
    assert_eq!((bench.heard(2), bench.effects().len()), (Vec::new(), 0), "nothing is new");
    bench.check();
    bench.frame(1, refresh(Refresh::END));
    let until = bench.now + 1;
    bench.run_until(until);
    assert_eq!(bench.rows().iter().filter(|r| r.1 == "b.acme.example").count(), 2);
    assert_eq!(bench.remote(2).services().len(), 3, "b's two and its own");
    bench.check();
    let says = sum(&bench);
    bench.frame(1, digest(says));
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "equal");
    // An end without a begin is passed over.
    bench.frame(1, refresh(Refresh::END));
    assert_eq!(bench.rows().iter().filter(|r| r.1 == "b.acme.example").count(), 2);
}

#[test]
fn a_refresh_ends_a_suspension() {
    let mut bench = line();
    let mut bad = updates(&[("y.acme.example", "o", through("b"))], &[]).remove(0);
    // The last byte is the end of node_path: no label any more.
    *bad.last_mut().unwrap() = b'_';
    bench.frame(1, bad);
    assert_eq!(bench.peer("b.acme.example").malformed, 1);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "suspended");
    bench.frame(1, refresh(Refresh::BEGIN));
    bench.announce(1, &[("x.acme.example", "o", through("b")), ("y.acme.example", "o", through("b"))]);
    bench.frame(1, refresh(Refresh::END));
    let says = sum(&bench);
    bench.frame(1, digest(says));
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "equal");
}

#[test]
fn what_found_no_room_is_asked_for_when_there_is_some() {
    let mut bench = Bench::limited(Limits { routes_per_peer: 2, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    let (x, y, z) = ("x.acme.example", "y.acme.example", "z.acme.example");
    bench.announce(1, &[(x, "o", through("b")), (y, "o", through("b"))]);
    bench.frame(1, plain(catalyst_wire::FrameType::EndOfRib));
    beat(&mut bench, sum, 2_000);
    bench.heard(1);
    // One frame that brings one and takes another away: what is announced is looked at first.
    updates(&[(z, "o", through("b"))], &[(x, "o")]).into_iter().for_each(|f| bench.frame(1, f));
    assert_eq!(bench.rows().iter().filter(|r| r.1 == "b.acme.example").count(), 1);
    let until = bench.now + 1_000;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 1);
    bench.frame(1, refresh(Refresh::BEGIN));
    bench.announce(1, &[(y, "o", through("b")), (z, "o", through("b"))]);
    bench.frame(1, refresh(Refresh::END));
    let until = bench.now + 1_000;
    beat(&mut bench, sum, until);
    assert_eq!(bench.rows().iter().filter(|r| r.1 == "b.acme.example").count(), 2);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "equal");
    // What is refused while it is full is not asked for before the hour is over.
    bench.announce(1, &[(x, "o", through("b"))]);
    let until = bench.now + 50 * MINUTE;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 0);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "suspended");
    // Room again, and a neighbour that does not do as it is asked: once a minute.
    bench.withdraw(1, &[(y, "o")]);
    let until = bench.now + 2 * MINUTE + 2_000;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 3);
}

#[test]
fn a_difference_after_the_hourly_question_heals_at_once() {
    let mut bench = Bench::limited(Limits { routes_per_peer: 1, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.announce(1, &[("x.acme.example", "o", through("b")), ("y.acme.example", "o", through("b"))]);
    bench.frame(1, plain(catalyst_wire::FrameType::EndOfRib));
    let until = bench.now + 61 * MINUTE;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 1);
    bench.frame(1, refresh(Refresh::BEGIN));
    bench.announce(1, &[("x.acme.example", "o", through("b"))]);
    bench.frame(1, refresh(Refresh::END));
    let until = bench.now + 2 * MINUTE;
    beat(&mut bench, sum, until);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "equal");
    let until = bench.now + 2_000;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 1);
}

#[test]
fn equality_gives_back_the_patience_that_a_liar_has_used_up() {
    let mut bench = line();
    let until = bench.now + 5 * HOUR;
    beat(&mut bench, |_| [9; 16], until);
    assert!(asked(&mut bench, 1) > 3);
    let until = bench.now + 2 * MINUTE;
    beat(&mut bench, sum, until);
    let until = bench.now + 2_000;
    beat(&mut bench, |_| [9; 16], until);
    assert_eq!(asked(&mut bench, 1), 1);
}

#[test]
fn a_refresh_without_an_end_ends_by_itself() {
    let settings = Settings { stale_max_ms: 10 * MINUTE, ..settings(Limits::CLOUD) };
    let mut bench =
        Bench::with(catalyst_route_table::Heap::new(catalyst_route_table::Limits::CLOUD), settings);
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.announce(1, &[("x.acme.example", "o", through("b")), ("y.acme.example", "o", through("b"))]);
    bench.frame(1, plain(catalyst_wire::FrameType::EndOfRib));
    bench.frame(1, refresh(Refresh::BEGIN));
    bench.announce(1, &[("x.acme.example", "o", through("b"))]);
    let begun = bench.now;
    beat(&mut bench, |_| [9; 16], begun + 9 * MINUTE);
    // A beginning once more is no longer time.
    bench.frame(1, refresh(Refresh::BEGIN));
    bench.announce(1, &[("x.acme.example", "o", through("b"))]);
    beat(&mut bench, |_| [9; 16], begun + 10 * MINUTE - 1);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "refreshing");
    assert_eq!(bench.rows().iter().filter(|r| r.1 == "b.acme.example").count(), 2);
    beat(&mut bench, sum, begun + 10 * MINUTE + 1_000);
    assert_eq!(bench.rows().iter().filter(|r| r.1 == "b.acme.example").count(), 1);
    assert_eq!(bench.peer("b.acme.example").compared.as_str(), "equal");
}
