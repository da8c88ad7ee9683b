//! Which frame may come when, and what it means.

use catalyst_wire::{
    Announced, Attrs, FrameError, FrameType, Interest, Keepalive, Notify, NotifyCode, Refresh, Refused,
    Trust, UpdateWriter, small, update::write_entry,
};
use proptest::prelude::*;

use super::kit::{established, feed, open_bytes, optional, plain, raw, terms, their_open};
use crate::{Failure, Input, Phase, Session};

#[test]
fn nothing_but_open_and_notify_may_come_first() {
    for kind in FrameType::ALL {
        if matches!(kind, FrameType::Open | FrameType::Notify) {
            continue;
        }
        let mut session = Session::start(terms(1000), 0);
        let frame = plain(kind);
        let failure = feed(&mut session, &frame, 0).unwrap_err();
        assert_eq!(failure, Failure::Unexpected(kind, false));
        assert_eq!(failure.code(), NotifyCode::UNEXPECTED);
        assert!(matches!(session.phase(), Phase::OpenSent(_)), "{kind:?} must not establish");
    }
}

#[test]
fn a_second_open_ends_the_session() {
    let mut session = established(1000, 1000, 0);
    let frame = open_bytes(&their_open());
    assert_eq!(feed(&mut session, &frame, 1).unwrap_err(), Failure::Unexpected(FrameType::Open, true));
}

#[test]
fn unknown_types_are_skipped_if_optional_and_end_the_session_if_not() {
    for code in [0, 11, 200, 255] {
        for mut session in [Session::start(terms(1000), 0), established(1000, 1000, 0)] {
            let before = session.clone();
            let skipped = optional(code);
            assert!(matches!(feed(&mut session, &skipped, 0), Ok(Input::Nothing)));
            assert_eq!(session, before, "a skipped frame changes nothing");
            let mandatory = raw(code, 0, b"later");
            let failure = feed(&mut session, &mandatory, 0).unwrap_err();
            assert_eq!(failure, Failure::Malformed(FrameError::UnknownType(code)));
        }
    }
}

#[test]
fn an_optional_frame_does_not_stretch_the_time_for_open() {
    let mut session = Session::start(terms(1000), 0);
    let until = session.deadline();
    let skipped = optional(99);
    feed(&mut session, &skipped, 4_000).unwrap();
    assert_eq!(session.deadline(), until);
}

#[test]
fn every_frame_type_has_its_meaning_once_established() {
    let mut session = established(1000, 1000, 0);
    let mut buf = [0u8; 2048];
    let frame = raw(FrameType::DialData as u8, 0, &[1, 2, 3]);
    assert!(matches!(feed(&mut session, &frame, 1), Ok(Input::Nothing)), "for the transport");
    let frame = Refresh::BEGIN.write(&mut buf).unwrap().to_vec();
    assert!(matches!(feed(&mut session, &frame, 1), Ok(Input::Refresh(Refresh::BEGIN))));
    let frame = Interest::write(Some(["*.acme.example"].into_iter()), &mut buf).unwrap().0.to_vec();
    match feed(&mut session, &frame, 1) {
        Ok(Input::Interest(interest)) => assert!(interest.patterns().eq(["*.acme.example"])),
        other => panic!("{other:?}"),
    }
    let frame = Keepalive::default().write(&mut buf).unwrap().to_vec();
    assert!(matches!(feed(&mut session, &frame, 1), Ok(Input::Nothing)));
    let frame = Keepalive { digest: Some([4; 16]) }.write(&mut buf).unwrap().to_vec();
    assert!(matches!(feed(&mut session, &frame, 1), Ok(Input::Digest(d)) if d == [4; 16]));
    let frame = small::write_end_of_rib(&mut buf).unwrap().to_vec();
    assert!(matches!(feed(&mut session, &frame, 1), Ok(Input::EndOfRib)));
    let frame = Trust { kind: 1, statement: &[1, 2], signature: &[3] }.write(&mut buf).unwrap().to_vec();
    match feed(&mut session, &frame, 1) {
        Ok(Input::Trust(trust)) => assert_eq!((trust.statement, trust.signature), (&[1, 2][..], &[3][..])),
        other => panic!("{other:?}"),
    }
    assert!(feed(&mut session, &raw(FrameType::Trust as u8, 0, &[1, 9]), 1).is_err(), "cut short");
    let frame = Refused { count: 5, reason: "full", services: "" }.write(&mut buf).unwrap().to_vec();
    match feed(&mut session, &frame, 1) {
        Ok(Input::Refused(refused)) => assert_eq!((refused.count, refused.reason), (5, "full")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_update_is_handed_on_as_it_came() {
    let mut session = established(1000, 1000, 0);
    let mut entry = [0u8; 512];
    let entry = write_entry(&mut entry, "inventory.acme.example", "edge-1", &Attrs::default()).unwrap();
    let mut buf = [0u8; 1024];
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    writer.announce(entry).unwrap();
    let frame = writer.finish().unwrap().to_vec();
    let Ok(Input::Update(update)) = feed(&mut session, &frame, 1) else { panic!("not an update") };
    let routes: std::vec::Vec<_> = update
        .announced()
        .map(|e| match e {
            Announced::Route(r) => (r.service, r.origin),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(routes, [("inventory.acme.example", "edge-1")]);
}

#[test]
fn a_body_that_cannot_be_read_ends_the_session() {
    let broken = [
        (FrameType::Update, &[200u8][..]),
        (FrameType::Refused, &[]),
        (FrameType::Notify, &[1]),
        (FrameType::Keepalive, &[5, 1]),
    ];
    for (kind, body) in broken {
        let mut session = established(1000, 1000, 0);
        let frame = raw(kind as u8, 0, body);
        let failure = feed(&mut session, &frame, 1).unwrap_err();
        assert_eq!(failure.code(), NotifyCode::MALFORMED, "{kind:?}");
    }
}

#[test]
fn notify_ends_the_session_in_every_state() {
    let mut buf = [0u8; 1024];
    let said = Notify { code: NotifyCode::SHUTDOWN, reason: "maintenance until noon", document: "" };
    let frame = said.write(&mut buf).unwrap().to_vec();
    for mut session in [Session::start(terms(1000), 0), established(1000, 1000, 0)] {
        match feed(&mut session, &frame, 1) {
            Ok(Input::Ended(heard)) => assert_eq!(heard, said),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn no_frame_panics_in_any_state(
        frames in prop::collection::vec((0u8..14, 0u8..4, prop::collection::vec(any::<u8>(), 0..80)), 1..8),
        open_first in any::<bool>(),
    ) {
        let mut session =
            if open_first { established(1000, 1000, 0) } else { Session::start(terms(1000), 0) };
        for (at, (code, flags, body)) in frames.into_iter().enumerate() {
            let frame = raw(code, flags, &body);
            if let Err(failure) = feed(&mut session, &frame, at as u64) {
                let words = std::format!("{failure}");
                prop_assert!(!words.is_empty());
                break;
            }
        }
    }
}
