//! Two processes with one identity are told from one that restarts.

use proptest::prelude::*;

use crate::{CloneVerdict, CloneWatch, Limits};

const FINE: CloneVerdict = CloneVerdict { alarm: false, held: false };

#[test]
fn restarts_and_reconnects_are_never_suspected() {
    let mut watch = CloneWatch::default();
    for run in 1..100 {
        for _ in 0..3 {
            assert_eq!(watch.judge(run, run % 2 == 0, run * 10), FINE);
        }
    }
    assert!(!watch.suspected(1_000));
}

#[test]
fn two_that_take_turns_are_suspected_and_the_one_that_is_connected_is_left_alone() {
    let mut watch = CloneWatch::default();
    for (run, at) in [(7, 0), (9, 1_000), (7, 2_000)] {
        assert_eq!(watch.judge(run, true, at), FINE);
    }
    assert_eq!(watch.judge(9, true, 3_000), CloneVerdict { alarm: true, held: true });
    assert_eq!(watch.judge(9, true, 4_000), CloneVerdict { alarm: false, held: true });
    assert_eq!(watch.judge(7, true, 5_000), FINE, "the connected one comes back to itself");
    assert_eq!(watch.runs().next(), Some(7));
    assert_eq!(watch.judge(9, false, 6_000), FINE, "nobody is connected");
    assert_eq!(watch.judge(7, true, 6_000 + Limits::CLONE_HOLD_MS), FINE, "held for long enough");
    let last = 6_000 + Limits::CLONE_HOLD_MS;
    assert!(watch.suspected(last + Limits::CLONE_QUIET_MS - 1));
    assert!(!watch.suspected(last + Limits::CLONE_QUIET_MS));
    assert_eq!(watch.judge(9, true, last + Limits::CLONE_QUIET_MS), FINE, "forgotten after quiet");
}

proptest! {
    #[test]
    fn an_alarm_comes_once_in_a_suspicion_and_sessions_change_hands_seldom(
        steps in proptest::collection::vec((1_u64..4, 0_u64..20_000), 1..200),
    ) {
        let (mut watch, mut now, mut last_change, mut holder) = (CloneWatch::default(), 0, None::<u64>, 0);
        for (run, pause) in steps {
            now += pause;
            let before = watch.suspected(now);
            let verdict = watch.judge(run, true, now);
            prop_assert!(!(verdict.alarm && before), "an alarm while suspected");
            prop_assert!(!verdict.held || watch.suspected(now));
            if !verdict.held && run != holder {
                if let Some(last) = last_change.filter(|_| before) {
                    prop_assert!(now - last >= Limits::CLONE_HOLD_MS, "changed hands after {}", now - last);
                }
                (holder, last_change) = (run, Some(now));
            }
        }
    }
}
