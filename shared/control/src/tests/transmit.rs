//! Credit, turns, and peers that do not read.

use std::format;
use std::vec::Vec;

use catalyst_wire::{FrameType, NotifyCode};

use super::kit::*;
use crate::*;

fn many(bench: &mut Bench, count: usize) {
    for n in 0..count {
        bench.offer(&format!("service-{n:04}"));
    }
}

#[test]
fn nothing_is_sent_without_credit_and_nothing_beyond_it() {
    // The kit asserts that no frame is larger than the credit that is left.
    let mut bench = Bench::new();
    many(&mut bench, 100);
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 0);
    assert!(bench.remotes.is_empty(), "not even OPEN");
    let mut granted = 0;
    while bench.remotes.get(&SessionId(1)).is_none_or(|r| !r.frames.contains(&Heard::EndOfRib)) {
        bench.writable(1, 7);
        granted += 7;
        assert!(granted < 100_000);
    }
    let remote = bench.remote(1);
    assert_eq!(remote.table.len(), 100);
    assert_eq!(remote.bytes + remote.credit, granted);
}

#[test]
fn a_frame_fills_the_credit_as_far_as_entries_fit() {
    let mut bench = Bench::new();
    many(&mut bench, 100);
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 0);
    bench.writable(1, 1000);
    let remote = bench.remote(1);
    assert!(remote.credit < 80, "{} bytes were left unused", remote.credit);
}

#[test]
fn connections_take_turns() {
    let mut bench = Bench::new();
    many(&mut bench, 3000);
    for (session, name) in [(1, "b.acme.example"), (2, "c.acme.example"), (3, "d.acme.example")] {
        bench.feed(peer(name, None));
        bench.up_with(session, name, 0);
    }
    bench.run_until(bench.now);
    let now = bench.moment();
    for session in [1, 2, 3] {
        bench.core.handle(&Event::Writable { session: SessionId(session), bytes: PLENTY }, now);
    }
    let mut order = Vec::new();
    while let Some((session, _)) = bench.core.poll_transmit() {
        order.push(session.0);
    }
    assert!(order.len() > 20);
    for turn in order.chunks_exact(3) {
        let mut turn = turn.to_vec();
        turn.sort_unstable();
        assert_eq!(turn, [1, 2, 3], "{order:?}");
    }
}

#[test]
fn a_stuck_peer_delays_nobody() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 100);
    bench.internal(2, "c.acme.example");
    many(&mut bench, 50);
    assert_eq!(bench.remote(2).table.len(), 50);
    assert!(bench.remote(1).table.len() < 2);
}

/// Runs with a live peer that does not read, until its session ends; gives the time it took.
fn until_closed(bench: &mut Bench, session: u64) -> u64 {
    let start = bench.now;
    loop {
        bench.run_until(bench.now + 500);
        let closed = bench.closed();
        if let Some((_, code, reason)) = closed.into_iter().find(|c| c.0 == session) {
            assert_eq!(code, Some(NotifyCode::SEND_HOLD), "{reason}");
            return bench.now - start;
        }
        assert!(bench.now - start < 60_000, "a peer that does not read is kept for ever");
        bench.frame(session, plain(FrameType::Keepalive));
    }
}

#[test]
fn a_peer_that_does_not_read_is_ended_though_it_is_alive() {
    // Nothing left at all, a little left that no frame fits, and a rest that a KEEPALIVE fits but no route.
    for credit in [64, 66, 90, 110] {
        let mut bench = Bench::new();
        bench.feed(peer("b.acme.example", None));
        bench.up_with(1, "b.acme.example", credit);
        bench.offer(&"a-service-with-a-very-long-name".repeat(2));
        let took = until_closed(&mut bench, 1);
        assert!((10_000..14_000).contains(&took), "{took} ms with a credit of {credit}");
        bench.check();
    }
}

#[test]
fn a_peer_that_reads_slowly_is_kept() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 100);
    many(&mut bench, 400);
    for _ in 0..60 {
        bench.run_until(bench.now + 1000);
        bench.frame(1, plain(FrameType::Keepalive));
        bench.writable(1, 60);
    }
    assert!(bench.closed().is_empty());
    assert!(bench.remote(1).table.len() > 5);
}

#[test]
fn credit_of_nothing_is_no_sign_of_reading() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 64);
    many(&mut bench, 10);
    for _ in 0..30 {
        bench.run_until(bench.now + 500);
        bench.frame(1, plain(FrameType::Keepalive));
        bench.writable(1, 0);
    }
    assert_eq!(bench.closed().len(), 1);
}

#[test]
fn an_idle_peer_without_credit_is_not_blamed() {
    // Everything was swept before it came, so the head of the journal lies ahead of it though nothing is there.
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    many(&mut bench, 5);
    for n in 0..5 {
        bench.stop_offering(&format!("service-{n:04}"));
    }
    bench.internal(2, "c.acme.example");
    assert!(bench.heard(2).contains(&Heard::EndOfRib));
    for _ in 0..40 {
        bench.run_until(bench.now + 500);
        bench.frame(1, plain(FrameType::Keepalive));
        bench.frame(2, plain(FrameType::Keepalive));
        // Exactly what the keepalives cost.
        for session in [1, 2] {
            let spent = PLENTY - bench.remote(session).credit;
            bench.writable(session, spent);
        }
    }
    assert!(bench.closed().is_empty());
}

#[test]
fn what_went_away_before_it_could_be_sent_is_not_held_against_the_peer() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.up_old(1, "b.acme.example", 150);
    let long = "a-service-with-a-very-long-name".repeat(2);
    for label in ["x", &long] {
        bench.offer(label);
    }
    let sent = bench.remote(1).services().len();
    bench.run_until(bench.now + 1500);
    bench.frame(1, plain(FrameType::Keepalive));
    bench.stop_offering(&long);
    for _ in 0..16 {
        bench.run_until(bench.now + 1000);
        bench.frame(1, plain(FrameType::Keepalive));
    }
    assert!(bench.remote(1).credit >= 4, "still room for a KEEPALIVE");
    assert_eq!((sent, bench.closed()), (1, Vec::new()));
}
