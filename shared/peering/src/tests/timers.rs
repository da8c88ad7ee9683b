//! Hold, keepalive, open and send-hold timers; and that a tick at the deadline always makes progress.

use proptest::prelude::*;

use super::kit::{established, feed, plain, terms};
use crate::{Failure, Limits, Session};
use catalyst_wire::FrameType;

#[test]
fn without_open_the_session_ends_in_time() {
    let mut session = Session::start(terms(1000), 100);
    let until = 100 + Limits::OPEN_MS;
    assert_eq!(session.deadline(), Some(until));
    assert_eq!(session.tick(until - 1), Ok(false));
    assert_eq!(session.tick(until), Err(Failure::OpenTimer(Limits::OPEN_MS)));
}

#[test]
fn on_a_slow_link_open_may_take_as_long_as_silence_may() {
    let mut session = Session::start(terms(50_000), 0);
    assert_eq!(session.tick(49_999), Ok(false));
    assert_eq!(session.tick(50_000), Err(Failure::OpenTimer(50_000)));
}

#[test]
fn the_open_timer_runs_though_the_hold_timer_is_off() {
    let mut session = Session::start(terms(0), 0);
    assert!(session.tick(Limits::OPEN_MS).is_err());
}

#[test]
fn silence_for_the_smaller_hold_time_ends_the_session() {
    for (ours, theirs) in [(900, 3000), (3000, 900)] {
        let mut session = established(ours, theirs, 1000);
        assert!(session.tick(1899).is_ok());
        assert_eq!(session.tick(1900), Err(Failure::Hold(900)));
    }
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let frames = [plain(FrameType::Keepalive), plain(FrameType::EndOfRib), super::kit::optional(250)];
    for frame in frames {
        let mut session = established(900, 900, 0);
        feed(&mut session, &frame, 800).unwrap();
        assert!(session.tick(1699).is_ok());
        assert_eq!(session.tick(1700), Err(Failure::Hold(900)));
    }
}

#[test]
fn a_keepalive_is_due_at_once_and_then_three_times_in_a_hold_time() {
    let mut session = established(900, 900, 0);
    assert_eq!(session.deadline(), Some(0), "the other side is told at once");
    let mut due = 0;
    for now in 0..900 {
        due += u32::from(session.tick(now).unwrap());
    }
    assert_eq!(due, 3);
}

#[test]
fn a_late_tick_asks_for_one_keepalive_only() {
    let mut session = established(9000, 9000, 0);
    assert_eq!(session.tick(8000), Ok(true));
    assert_eq!(session.tick(8000), Ok(false));
}

#[test]
fn zero_at_both_ends_switches_hold_keepalive_and_send_hold_off() {
    let mut session = established(0, 0, 0);
    session.blocked(0);
    assert_eq!(session.deadline(), None);
    assert_eq!(session.tick(u64::MAX), Ok(false));
}

#[test]
fn a_neighbour_without_timers_is_missed_by_ours_all_the_same() {
    let mut session = established(900, 0, 0);
    assert_eq!(session.tick(100), Ok(true), "a KEEPALIVE goes out");
    assert!(session.tick(901).is_err(), "nothing was heard");
}

#[test]
fn a_peer_that_does_not_read_ends_after_twice_the_hold_time_but_not_before_the_floor() {
    for (hold, limit) in [(900, Limits::SEND_HOLD_MS), (20_000, 40_000)] {
        let mut session = established(hold, hold, 0);
        session.blocked(5);
        let alive = plain(FrameType::Keepalive);
        let mut now = 5;
        while now < 5 + limit {
            assert!(session.tick(now).is_ok(), "at {now} of {limit}");
            feed(&mut session, &alive, now).unwrap();
            // Further complaints do not push the end away.
            session.blocked(now);
            now += u64::from(hold) / 3;
        }
        assert_eq!(session.tick(5 + limit), Err(Failure::SendHold(limit)));
    }
}

#[test]
fn reading_again_stops_the_send_hold_timer() {
    let mut session = established(60_000, 60_000, 0);
    session.blocked(0);
    session.moved();
    let deadline = session.deadline();
    let alive = plain(FrameType::Keepalive);
    feed(&mut session, &alive, 110_000).unwrap();
    assert!(session.tick(130_000).is_ok());
    assert!(deadline <= Some(60_000));
}

#[test]
fn blocked_before_open_counts_for_nothing() {
    let mut session = Session::start(terms(900), 0);
    session.blocked(0);
    session.moved();
    assert_eq!(session.deadline(), Some(Limits::OPEN_MS));
}

/// What the other side and the connection may do between two ticks.
#[derive(Clone, Copy, Debug)]
enum Op {
    Wait(u16),
    Hear,
    Blocked,
    Moved,
    TickAtDeadline,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0u16..2000).prop_map(Op::Wait),
        1 => Just(Op::Hear),
        1 => Just(Op::Blocked),
        1 => Just(Op::Moved),
        3 => Just(Op::TickAtDeadline),
    ]
}

proptest! {
    #[test]
    fn a_tick_at_the_deadline_always_makes_progress(
        ours in 0u32..5000,
        theirs in 0u32..5000,
        start in prop_oneof![0u64..10_000, Just(u64::MAX - 1)],
        waiting in any::<bool>(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut now = start;
        let mut session =
            if waiting { Session::start(terms(ours), now) } else { established(ours, theirs, now) };
        let alive = plain(FrameType::Keepalive);
        for op in ops {
            match op {
                Op::Wait(ms) => now = now.saturating_add(u64::from(ms)),
                Op::Hear if !waiting => drop(feed(&mut session, &alive, now)),
                Op::Hear => {}
                Op::Blocked => session.blocked(now),
                Op::Moved => session.moved(),
                Op::TickAtDeadline => {
                    let Some(deadline) = session.deadline() else { continue };
                    now = now.max(deadline);
                    let before = session.clone();
                    match session.tick(now) {
                        Err(_) => break,
                        Ok(due) => {
                            // Something was done, and the next deadline lies ahead: nobody spins.
                            prop_assert!(due || session != before, "a tick at {now} did nothing");
                            prop_assert!(session.deadline().is_none_or(|d| d > now));
                        }
                    }
                }
            }
        }
    }
}
