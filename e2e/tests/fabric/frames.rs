//! Every kind of frame with a content that it must not have, at the wrong moment, and left out: what ends the session, what
//! is passed over, and that nobody else notices.

use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::{Fabric, Node, Org};
use catalyst_wire::{FrameType, Keepalive, Refused, Trust};
use serde_json::json;

use crate::rogue::Rogue;

/// A hub with an honest neighbour and the places of others, which do not run.
fn hub(rogues: &[&str]) -> (Org, Node, Node, Vec<Node>) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut hub = fabric.cloud(&org, "hub");
    let mut honest = fabric.edge(&org, "honest");
    honest.joins(&mut hub);
    honest.offers("good", "tcp", "127.0.0.1:9".parse().unwrap());
    let rogues: Vec<Node> = rogues.iter().map(|name| fabric.edge(&org, name)).collect();
    rogues.iter().for_each(|rogue| hub.awaits(rogue));
    hub.start();
    honest.start();
    hub.wait_route("good.acme.example");
    hub.wait_up(&honest);
    (org, hub, honest, rogues)
}

/// A frame of this type with this body, whatever it says.
fn frame(kind: FrameType, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind as u8, 0, high, low], body].concat()
}

/// INTEREST with so many patterns, and more to come.
fn patterns(count: usize) -> Vec<u8> {
    let list = b"\x0aa.b.exampl".repeat(count);
    let len = list.len();
    let length = [u8::try_from(len & 127).unwrap() | 128, u8::try_from(len >> 7).unwrap()];
    frame(FrameType::Interest, &[&[1][..], &length, &list].concat())
}

#[test]
fn what_no_frame_may_hold_ends_the_session_with_a_reason() {
    let (org, hub, honest, rogues) = hub(&["rogue"]);
    let before = hub.status()["malformed_frames"].clone();
    let mut malformed = 0;
    let text = |kind| frame(kind, b"\x01\x04\xff\xfe\xfd\xfc");
    for (what, code, frames) in [
        ("a second OPEN without content", "unexpected-frame", vec![frame(FrameType::Open, b"")]),
        ("an UPDATE without regions", "malformed-frame", vec![frame(FrameType::Update, b"")]),
        ("an UPDATE longer than itself", "malformed-frame", vec![frame(FrameType::Update, &[0xff; 12])]),
        ("a REFRESH without a kind", "malformed-frame", vec![frame(FrameType::Refresh, b"")]),
        ("an INTEREST without a list", "malformed-frame", vec![frame(FrameType::Interest, b"")]),
        (
            "an INTEREST that is cut short",
            "malformed-frame",
            vec![frame(FrameType::Interest, b"\0\x20\x05a")],
        ),
        ("an INTEREST in capitals", "malformed-frame", vec![frame(FrameType::Interest, b"\0\x06\x05A.B.C")]),
        ("an INTEREST without end", "malformed-frame", vec![patterns(1_000), patterns(1_000)]),
        ("a digest of five bytes", "malformed-frame", vec![frame(FrameType::Keepalive, b"\x0512345")]),
        ("a digest that is cut short", "malformed-frame", vec![frame(FrameType::Keepalive, b"\x1012345")]),
        ("a REFUSED without a count", "malformed-frame", vec![frame(FrameType::Refused, b"")]),
        ("a REFUSED that is no text", "malformed-frame", vec![text(FrameType::Refused)]),
        ("a TRUST without a kind", "malformed-frame", vec![frame(FrameType::Trust, b"")]),
        ("a TRUST that is cut short", "malformed-frame", vec![frame(FrameType::Trust, b"\x01\x7f123")]),
        ("a NOTIFY without a code", "malformed-frame", vec![frame(FrameType::Notify, b"")]),
        ("a NOTIFY that is no text", "malformed-frame", vec![text(FrameType::Notify)]),
        ("a DIAL_DATA of the wrong side", "malformed-frame", vec![frame(FrameType::DialData, b"")]),
    ] {
        let rogue = Rogue::new(&rogues[0], &hub, &org).connect();
        rogue.open();
        rogue.frame(FrameType::Open);
        frames.iter().for_each(|bytes| rogue.send(bytes));
        let (got, reason) = rogue.notify();
        assert_eq!(got, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
        rogue.down();
        hub.wait_down(&rogues[0]);
        malformed += u64::from(code == "malformed-frame");
    }
    let after = hub.status()["malformed_frames"].clone();
    assert_eq!(after.as_u64().unwrap() - before.as_u64().unwrap(), malformed, "each is counted once");
    untouched(&hub, &honest);
}

#[test]
fn no_frame_comes_before_open() {
    let (org, hub, honest, rogues) = hub(&["rogue"]);
    let mut room = [0; 64];
    let early = [
        frame(FrameType::Update, b"\0\0"),
        frame(FrameType::EndOfRib, b""),
        frame(FrameType::Refresh, b"\x01"),
        frame(FrameType::Interest, b"\x02\0"),
        Keepalive { digest: None }.write(&mut room).unwrap().to_vec(),
        Refused { count: 1, reason: "why", services: "" }.write(&mut room).unwrap().to_vec(),
        Trust { kind: Trust::REVOCATIONS, statement: b"x", signature: b"y" }
            .write(&mut room)
            .unwrap()
            .to_vec(),
    ];
    for bytes in early {
        let rogue = Rogue::new(&rogues[0], &hub, &org).connect();
        rogue.send(&bytes);
        let (code, reason) = rogue.notify();
        assert_eq!(code, "unexpected-frame", "{reason}");
        assert!(reason.contains("came before OPEN"), "{reason}");
        rogue.down();
    }
    untouched(&hub, &honest);
}

#[test]
fn what_a_later_version_might_say_is_passed_over() {
    let (org, hub, honest, rogues) = hub(&["rogue"]);
    let rogue = Rogue::new(&rogues[0], &hub, &org).connect();
    rogue.open();
    rogue.frame(FrameType::Open);
    rogue.update(None, Some(("good.acme.example", "honest")));
    for bytes in [
        frame(FrameType::EndOfRib, b"a tail"),
        // Kinds of REFRESH and TRUST that do not exist yet; an end of a refresh that never began.
        frame(FrameType::Refresh, b"\xfa"),
        frame(FrameType::Refresh, b"\x03"),
        frame(FrameType::Trust, b"\xfa\x01a\x01b"),
        // A statement that nobody signed: looked at, and thrown away.
        frame(FrameType::Trust, b"\x01\x03abc\x02de"),
        frame(FrameType::Interest, b"\0\x0c\x0b*.*.example"),
        frame(FrameType::Refused, b"\x01\x03why\xff\xff"),
        frame(FrameType::Keepalive, b"\0a tail"),
    ] {
        rogue.send(&bytes);
    }
    hub.wait_peer(&rogues[0], "the last of it was read", |row| row["refused_by_peer"] == 1);
    hub.wait_up(&rogues[0]);
    let status = hub.status();
    assert_eq!(
        (&status["malformed_frames"], &status["sessions_ended"]),
        (&json!(0), &json!(0)),
        "{status:#}"
    );
    untouched(&hub, &honest);
}

/// The honest neighbour's session and route are as they were, its table still changes, and the hub is in one piece.
#[track_caller]
fn untouched(hub: &Node, honest: &Node) {
    let row = hub.peer(honest);
    assert_eq!((&row["sessions"], &row["state"]), (&json!(1), &json!("up")), "{row:#}");
    assert_eq!(hub.routes_to("good.acme.example").len(), 1);
    honest.add("more", "127.0.0.1:9".parse().unwrap());
    hub.wait_route("more.acme.example");
    let log = std::fs::read_to_string(hub.log()).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

/// The hub offers 2.5 s; the transport of the other side lives on, so that this timer alone can end a session.
#[test]
fn the_hold_time_is_the_smaller_of_both_keepalives_refresh_it_and_zero_leaves_it_to_the_other() {
    let (org, hub, honest, rogues) = hub(&["shorter", "longer", "lively", "none"]);
    let opened = |place: usize, hold_ms: u32| {
        let rogue = Rogue::new(&rogues[place], &hub, &org).connect();
        let begin = Instant::now();
        rogue.open_holding(hold_ms);
        rogue.end_of_rib();
        rogue.frame(FrameType::EndOfRib);
        (rogue, begin)
    };
    let silent = |place: usize, hold_ms: u32, least: Duration, most: Duration| {
        let (rogue, begin) = opened(place, hold_ms);
        let (code, reason) = rogue.notify();
        let took = begin.elapsed();
        assert_eq!(code, "hold-timer-expired", "{reason}");
        println!("hold time {hold_ms} ms offered: the silent session ended after {took:?}");
        assert!(least <= took && took <= most, "{hold_ms}: ended after {took:?}");
        hub.wait_down(&rogues[place]);
    };
    let ms = Duration::from_millis;
    thread::scope(|scope| {
        scope.spawn(|| silent(0, 1_000, ms(900), ms(2_300)));
        scope.spawn(|| silent(1, 30_000, ms(2_300), ms(6_000)));
        scope.spawn(|| {
            let (rogue, begin) = opened(2, 1_500);
            let mut room = [0; 64];
            while begin.elapsed() < ms(4_500) {
                rogue.send(Keepalive { digest: None }.write(&mut room).unwrap());
                thread::sleep(ms(300));
            }
            hub.wait_up(&rogues[2]);
            assert_eq!(hub.peer(&rogues[2])["sessions"], 1);
        });
        scope.spawn(|| silent(3, 0, ms(2_300), ms(6_000)));
    });
    assert_eq!(hub.peer(&honest)["sessions"], 1);
}
