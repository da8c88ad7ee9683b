//! OPEN against our terms: versions, identity, agreement, times.

use catalyst_names::NodeName;
use catalyst_wire::{Frame, FrameError, FrameType, NotifyCode, Open};

use super::kit::{feed, name, open_bytes, raw, terms, their_open};
use crate::{Agreed, Failure, Input, Limits, Session, Terms};

fn judge(terms: Terms, open: &Open<'_>) -> Result<Agreed, Failure> {
    let mut session = Session::start(terms, 10);
    let bytes = open_bytes(open);
    match feed(&mut session, &bytes, 20)? {
        Input::Established(agreed, _) => {
            assert_eq!(session.established().map(|e| e.agreed), Some(agreed));
            Ok(agreed)
        }
        other => panic!("an OPEN that fits establishes, but this came: {other:?}"),
    }
}

#[test]
fn the_highest_common_version_is_used_and_none_ends_the_session() {
    type Range = (u8, u8);
    let table: [(Range, Range, Option<u8>); 9] = [
        ((1, 1), (1, 1), Some(1)),
        ((1, 3), (1, 2), Some(2)),
        ((1, 2), (1, 3), Some(2)),
        ((1, 3), (3, 9), Some(3)),
        ((3, 9), (1, 3), Some(3)),
        ((1, 9), (4, 5), Some(5)),
        ((1, 1), (2, 3), None),
        ((2, 3), (1, 1), None),
        ((0, 0), (255, 255), None),
    ];
    for (ours, theirs, expected) in table {
        let terms = Terms { versions: ours, ..terms(1000) };
        let open = Open { version_min: theirs.0, version_max: theirs.1, ..their_open() };
        match (judge(terms, &open), expected) {
            (Ok(agreed), Some(version)) => assert_eq!(agreed.version, version, "{ours:?} {theirs:?}"),
            (Err(failure), None) => {
                assert_eq!(failure, Failure::Version(ours, theirs));
                assert_eq!(failure.code(), NotifyCode::VERSION);
            }
            (got, _) => panic!("{ours:?} and {theirs:?} gave {got:?}"),
        }
    }
}

#[test]
fn the_name_in_open_must_be_the_certificates() {
    for other in ["c.acme.example", "b.globex.example", "a.acme.example"] {
        let failure = judge(terms(1000), &Open { node: other, ..their_open() }).unwrap_err();
        assert_eq!(failure, Failure::Identity(name(other)));
        assert_eq!(failure.code(), NotifyCode::IDENTITY);
    }
}

#[test]
fn both_sides_must_hold_the_same_agreement() {
    let (one, two) = (Some([1; 32]), Some([2; 32]));
    for (ours, theirs) in [(None, None), (one, one), (one, two), (one, None), (None, one)] {
        let terms = Terms { agreement: ours, ..terms(1000) };
        let got = judge(terms, &Open { agreement: theirs, ..their_open() });
        if ours == theirs {
            assert!(got.is_ok());
        } else {
            let failure = got.unwrap_err();
            assert_eq!(failure, Failure::Agreement(ours, theirs));
            assert_eq!(failure.code(), NotifyCode::AGREEMENT);
        }
    }
}

#[test]
fn what_was_agreed_comes_from_both_opens() {
    let open =
        Open { incarnation: 99, restart_ms: 120_000, capabilities: 0xf0, hold_ms: 900, ..their_open() };
    let agreed = judge(terms(1000), &open).unwrap();
    let expected =
        Agreed { version: 1, incarnation: 99, hold_ms: 900, restart_ms: 120_000, capabilities: 0xf0 };
    assert_eq!(agreed, expected);
}

#[test]
fn the_smaller_hold_time_counts_within_bounds_and_one_side_alone_cannot_switch_it_off() {
    let table = [
        (3_000, 1_000, 1_000),
        (1_000, 3_000, 1_000),
        (0, 3_000, 3_000),
        (3_000, 0, 3_000),
        (3_000, 1, Limits::HOLD_MIN_MS),
        (1, 3_000, Limits::HOLD_MIN_MS),
        (0, u32::MAX, Limits::HOLD_MAX_MS),
        (0, 0, 0),
        (u32::MAX, u32::MAX, Limits::HOLD_MAX_MS),
    ];
    for (ours, theirs, expected) in table {
        let agreed = judge(terms(ours), &Open { hold_ms: theirs, ..their_open() }).unwrap();
        assert_eq!(agreed.hold_ms, expected, "{ours} and {theirs}");
    }
}

#[test]
fn our_open_says_our_terms() {
    let terms =
        Terms { restart_ms: 5, capabilities: 3, agreement: Some([9; 32]), versions: (1, 4), ..terms(2500) };
    let mut buf = [0u8; 512];
    let frame = Frame::whole(terms.open("", &mut buf).unwrap()).unwrap();
    assert_eq!(frame.kind(), Ok(Some(FrameType::Open)));
    let expected = Open {
        version_min: 1,
        version_max: 4,
        node: "a.acme.example",
        incarnation: 7,
        hold_ms: 2500,
        restart_ms: 5,
        capabilities: 3,
        agreement: Some([9; 32]),
        mesh_address: "",
    };
    assert_eq!(Open::read(frame.body), Ok(expected));
}

#[test]
fn five_hundred_and_twelve_bytes_hold_every_open_of_ours() {
    let label = "n".repeat(63);
    let org = std::format!("{}.{}", "o".repeat(63), "p".repeat(36));
    let long: NodeName = std::format!("{label}.{org}").parse().unwrap();
    let terms = Terms {
        own: long.clone(),
        peer: long,
        incarnation: u64::MAX,
        hold_ms: u32::MAX,
        restart_ms: u32::MAX,
        capabilities: u32::MAX,
        agreement: Some([255; 32]),
        versions: (0, 255),
    };
    assert!(terms.open("", &mut [0; 512]).is_ok());
    assert!(terms.open("", &mut [0; 32]).is_err());
}

#[test]
fn an_open_that_cannot_be_read_ends_the_session() {
    let good = open_bytes(&their_open());
    for cut in 0..good.len() - 5 {
        let mut session = Session::start(terms(1000), 0);
        let bytes = raw(FrameType::Open as u8, 0, &good[4..4 + cut]);
        let failure = feed(&mut session, &bytes, 0).unwrap_err();
        assert_eq!(failure.code(), NotifyCode::MALFORMED, "cut at {cut}");
    }
    let mut session = Session::start(terms(1000), 0);
    let bytes = raw(FrameType::Open as u8, 0, &[2, 1]);
    assert_eq!(feed(&mut session, &bytes, 0).unwrap_err(), Failure::Malformed(FrameError::Truncated));
}
