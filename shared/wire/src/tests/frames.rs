//! The envelope and the bodies other than UPDATE.

use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::kit::{frame, frame_of, post};
use super::model::{number, service};
use crate::notify::cut;
use crate::small::write_end_of_rib;
use crate::{
    Frame, FrameError, FrameType, Full, HEADER, Interest, Keepalive, Limits, Notify, NotifyCode, Open,
    Refresh, Refused, frame as env,
};

proptest! {
    #[test]
    fn open_is_what_postcard_writes(
        versions in (any::<u8>(), any::<u8>()), node in service(), incarnation in number(),
        times in (any::<u32>(), any::<u32>(), any::<u32>()), agreement in proptest::option::of(any::<[u8; 32]>()),
        mesh_address in "[!-~]{0,60}", tail in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let (version_min, version_max) = (versions.0.min(versions.1), versions.0.max(versions.1));
        let (hold_ms, restart_ms, capabilities) = times;
        let open = Open {
            version_min, version_max, node: &node, incarnation, hold_ms, restart_ms, capabilities, agreement,
            mesh_address: &mesh_address,
        };
        let digest: &[u8] = agreement.as_ref().map_or(&[], |d| d);
        let body = [
            post(&version_min), post(&version_max), post(&*node), post(&incarnation), post(&hold_ms),
            post(&restart_ms), post(&capabilities), post(digest), post(&*mesh_address),
        ].concat();
        let mut buf = [0xaa; 1024];
        assert_eq!(open.write(&mut buf).unwrap(), frame(FrameType::Open, &body));
        assert_eq!(Open::read(&body), Ok(open));
        assert_eq!(Open::read(&[&body[..], &tail].concat()), Ok(open), "an unknown tail is skipped");
        for end in 0..body.len() {
            assert!(Open::read(&body[..end]).is_err());
            assert_eq!(open.write(&mut vec![0; HEADER + end]), Err(Full));
        }
    }

    #[test]
    fn notify_is_what_postcard_writes(code in any::<u16>(), reason in ".{0,60}", document in ".{0,60}", tail in any::<[u8; 3]>()) {
        let notify = Notify { code: NotifyCode(code), reason: &reason, document: &document };
        let head = [post(&code), post(&*reason)].concat();
        let full = [&head[..], &post(&*document)].concat();
        let mut buf = [0xaa; 1024];
        let written = notify.write(&mut buf).unwrap();
        assert_eq!(written, frame(FrameType::Notify, if document.is_empty() { &head } else { &full }));
        assert_eq!(Notify::read(&full), Ok(notify));
        assert_eq!(Notify::read(&[&full[..], &tail].concat()), Ok(notify), "an unknown tail is skipped");
        assert_eq!(Notify::read(&head), Ok(Notify { document: "", ..notify }));
        for end in 0..head.len() {
            assert!(Notify::read(&head[..end]).is_err());
        }
    }

    #[test]
    fn keepalive_and_refused_are_what_postcard_writes(
        digest in any::<[u8; 16]>(), count in number(), reason in ".{0,60}", names in "[a-z]{1,9}( [a-z]{1,9}){0,5}", tail in any::<[u8; 3]>(),
    ) {
        let count = count as u32;
        let mut buf = [0xaa; 1024];
        let keepalive = Keepalive { digest: Some(digest) };
        let body = post(&digest[..]);
        assert_eq!(keepalive.write(&mut buf).unwrap(), frame(FrameType::Keepalive, &body));
        assert_eq!(Keepalive::read(&[&body[..], &tail].concat()), Ok(keepalive));

        let short = Refused { count, reason: &reason, services: "" };
        let body = [post(&count), post(&*reason)].concat();
        assert_eq!(short.write(&mut buf).unwrap(), frame(FrameType::Refused, &body));
        assert_eq!(Refused::read(&body), Ok(short));
        for end in 0..body.len() {
            assert!(Refused::read(&body[..end]).is_err());
        }

        let refused = Refused { services: &names, ..short };
        let body = [body, post(&*names)].concat();
        assert_eq!(refused.write(&mut buf).unwrap(), frame(FrameType::Refused, &body));
        assert_eq!(Refused::read(&[&body[..], &tail].concat()), Ok(refused));
    }

    #[test]
    fn frames_are_split_wherever_the_bytes_end(list in proptest::collection::vec(
        (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..5), cut_off in 1usize..8) {
        let frames: Vec<Vec<u8>> = list.iter().map(|(code, flags, body)| frame_of(*code, *flags, body)).collect();
        let bytes = frames.concat();
        let mut rest = &bytes[..];
        for (code, flags, body) in &list {
            let (one, next) = Frame::split(rest).unwrap().unwrap();
            assert_eq!(one, Frame { code: *code, flags: *flags, body });
            rest = next;
        }
        assert_eq!(Frame::split(rest), Ok(None));
        if let Some(one) = frames.first() {
            let short = &one[..one.len().saturating_sub(cut_off)];
            assert_eq!(Frame::split(short), Ok(None));
            assert_eq!(Frame::whole(short), Err(FrameError::Truncated));
            assert!(Frame::whole(one).is_ok());
            assert_eq!(Frame::whole(&[&one[..], &[0]].concat()), Err(FrameError::Truncated));
        }
    }

    #[test]
    fn cut_keeps_whole_characters(text in ".{0,40}", max in 0usize..60) {
        let short = cut(&text, max);
        assert!(short.len() <= max && text.starts_with(short));
        assert!(short.len() == text.len() || max - short.len() < 4);
    }
}

#[test]
fn a_list_of_patterns_goes_over_as_many_frames_as_it_takes() {
    let list: Vec<_> = (0..Limits::INTEREST).map(|n| format!("s{n:0>20}.globex.example")).collect();
    let mut buf = [0; HEADER + Limits::FRAME_BODY];
    let (mut rest, mut read, mut frames) = (&list[..], vec![], 0);
    loop {
        let texts = rest.iter().map(std::string::String::as_str);
        let (frame, fit) = Interest::write(Some(texts), &mut buf).unwrap();
        let frame = Frame::whole(frame).unwrap();
        let interest = Interest::read(frame.body).unwrap();
        assert_eq!((frame.kind(), interest.all), (Ok(Some(FrameType::Interest)), false));
        read.extend(interest.patterns().map(std::string::ToString::to_string));
        (rest, frames) = (&rest[fit..], frames + 1);
        assert_eq!(interest.more, !rest.is_empty());
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!((read, frames), (list, 3));
    // Not even one fits; nothing at all fits; a list of nothing is not everything.
    let long = "a.".repeat(100);
    let one = || Some(core::iter::once(long.as_str()));
    assert!(Interest::write(one(), &mut buf[..100]).is_err());
    assert!(Interest::write(one(), &mut buf[..HEADER]).is_err());
    let (frame, _) = Interest::write(None::<core::iter::Empty<&str>>, &mut buf).unwrap();
    assert!(Interest::read(&frame[HEADER..]).unwrap().all);
    // What is no pattern.
    for bad in ["", "nodot", "UPPER.case", "a b.c", "a.b\u{7}"] {
        let (frame, _) = Interest::write(Some(core::iter::once(bad)), &mut buf).unwrap();
        assert!(Interest::read(&frame[HEADER..]).is_err(), "{bad:?}");
    }
    assert!(
        Interest::read(&[]).is_err() && Interest::read(&[0]).is_err() && Interest::read(&[0, 3, 1]).is_err()
    );
}

#[test]
fn a_refresh_of_another_kind_is_read() {
    assert_eq!(Refresh::read(&[77, 1, 2]), Ok(Refresh { kind: 77 }));
    assert_eq!(Refresh::read(&[]), Err(FrameError::Truncated));
}

#[test]
fn numbers_of_the_types_never_change() {
    let numbers: Vec<_> = FrameType::ALL.iter().map(|t| (*t as u8, t.as_str())).collect();
    let fixed = [
        (1, "OPEN"),
        (2, "UPDATE"),
        (3, "END_OF_RIB"),
        (4, "REFRESH"),
        (5, "INTEREST"),
        (6, "KEEPALIVE"),
        (7, "REFUSED"),
        (8, "TRUST"),
        (9, "NOTIFY"),
        (10, "DIAL_DATA"),
    ];
    assert_eq!(numbers, fixed);
    for code in 0..=u8::MAX {
        let known = fixed.iter().any(|(n, _)| *n == code);
        assert_eq!(FrameType::from_code(code).map(|t| t as u8), known.then_some(code));
    }
}

#[test]
fn unknown_types_are_skipped_when_optional() {
    for code in [0, 11, 200, 255] {
        let kind = |flags| Frame { code, flags, body: &[1, 2] }.kind();
        assert_eq!(kind(0), Err(FrameError::UnknownType(code)));
        assert_eq!(kind(0xfe), Err(FrameError::UnknownType(code)), "the other flags do not count");
        assert_eq!(kind(env::OPTIONAL), Ok(None));
        assert_eq!(kind(0xff), Ok(None));
    }
    for known in FrameType::ALL {
        for flags in [0, env::OPTIONAL, 0xff] {
            assert_eq!(Frame { code: known as u8, flags, body: &[] }.kind(), Ok(Some(known)));
        }
    }
    // The frame behind it is reached.
    let bytes = [frame_of(200, env::OPTIONAL, b"new"), frame(FrameType::Keepalive, &[])].concat();
    let (_, rest) = Frame::split(&bytes).unwrap().unwrap();
    assert_eq!(Frame::whole(rest).unwrap().kind(), Ok(Some(FrameType::Keepalive)));
}

#[test]
fn frames_without_a_body() {
    let mut buf = [0xaa; HEADER];
    assert_eq!(write_end_of_rib(&mut buf), Ok(&[3, 0, 0, 0][..]));
    assert_eq!(write_end_of_rib(&mut buf[..3]), Err(Full));
    assert_eq!(Keepalive::default().write(&mut buf), Ok(&[6, 0, 0, 0][..]));
    assert_eq!(Keepalive::read(&[]), Ok(Keepalive { digest: None }));
    assert_eq!(Keepalive::read(&[0]), Ok(Keepalive { digest: None }));
    assert_eq!(Keepalive::read(&[0, 1, 2, 3]), Ok(Keepalive { digest: None }), "an unknown tail is skipped");
}

#[test]
fn a_digest_has_16_bytes_or_none() {
    for len in [1u8, 15, 17, 32] {
        let body = [&[len][..], &[7; 32]].concat();
        assert_eq!(Keepalive::read(&body), Err(FrameError::Value), "{len}");
    }
    assert_eq!(Keepalive::read(&[16, 1]), Err(FrameError::Truncated));
}

#[test]
fn open_is_refused_when_it_makes_no_sense() {
    let open = |versions: (u8, u8), node: &str, agreement: &[u8], mesh: &str| {
        let head = [post(&versions.0), post(&versions.1), post(node), vec![1, 2, 3, 4]].concat();
        Open::read(&[head, post(agreement), post(mesh)].concat()).map(|_| ())
    };
    let good = "edge-1.acme.example";
    assert_eq!(open((1, 1), good, &[], ""), Ok(()));
    assert_eq!(open((1, 2), good, &[5; 32], "[2001:db8::1]:8443"), Ok(()));
    assert_eq!(open((2, 1), good, &[], ""), Err(FrameError::Value));
    for node in ["", "edge-1", "Edge-1.acme.example", "edge-1.", ".acme.example", "edge 1.acme"] {
        assert_eq!(open((1, 1), node, &[], ""), Err(FrameError::Text), "{node:?}");
    }
    for agreement in [&[1u8][..], &[1; 31], &[1; 33]] {
        assert_eq!(open((1, 1), good, agreement, ""), Err(FrameError::Value));
    }
    for mesh in ["a b:1", "a:1\n", "\x1b[2J", "münchen.example:1", "\0"] {
        assert_eq!(open((1, 1), good, &[], mesh), Err(FrameError::Text), "{mesh:?}");
    }
}

#[test]
fn numbers_of_the_notify_codes_never_change() {
    let numbers: Vec<_> = NotifyCode::ALL.iter().map(|c| (c.0, c.as_str())).collect();
    let fixed = [
        (1, "version-mismatch"),
        (2, "unconfigured-peer"),
        (3, "wrong-identity"),
        (4, "agreement-mismatch"),
        (5, "hold-timer-expired"),
        (6, "malformed-frame"),
        (7, "unexpected-frame"),
        (8, "superseded"),
        (9, "collision"),
        (10, "shutdown"),
        (11, "peer-removed"),
        (12, "send-hold-timer-expired"),
        (13, "limit"),
    ];
    assert_eq!(numbers, fixed);
    assert_eq!(NotifyCode(99).to_string(), "unknown code 99");
    assert_eq!(NotifyCode::HOLD.to_string(), "hold-timer-expired");
}

#[test]
fn errors_say_what_is_wrong() {
    let long = FrameError::TooLong(20_000).to_string();
    assert_eq!(long, format!("a frame announces 20000 bytes; at most {} are allowed", Limits::FRAME_BODY));
    assert_eq!(
        FrameError::UnknownType(99).to_string(),
        "a frame has the unknown type 99 and is not optional"
    );
    for e in [FrameError::Truncated, FrameError::Number, FrameError::Text, FrameError::Value] {
        assert!(e.to_string().starts_with("a frame "));
    }
    assert_eq!(Full.to_string(), "the buffer is full");
}
