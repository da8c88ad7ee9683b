//! Two parties and the frames they send.

use std::vec::Vec;

use catalyst_names::NodeName;
use catalyst_wire::{Frame, FrameType, HEADER, Open, frame};

use crate::{Failure, Input, Millis, Session, Terms};

pub(super) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// Our side: `a`, who expects `b`.
pub(super) fn terms(hold_ms: u32) -> Terms {
    Terms::new(name("a.acme.example"), name("b.acme.example"), 7, hold_ms)
}

/// The other side's OPEN, as it should be.
pub(super) fn their_open() -> Open<'static> {
    Open {
        version_min: 1,
        version_max: 1,
        node: "b.acme.example",
        incarnation: 3,
        hold_ms: 3_000,
        restart_ms: 0,
        capabilities: 0,
        agreement: None,
        mesh_address: "",
    }
}

pub(super) fn open_bytes(open: &Open<'_>) -> Vec<u8> {
    open.write(&mut [0; 1024]).unwrap().to_vec()
}

/// A frame of any type, flags and body.
pub(super) fn raw(code: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![code, flags];
    bytes.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    assert_eq!(bytes.len(), HEADER + body.len());
    bytes
}

pub(super) fn plain(kind: FrameType) -> Vec<u8> {
    raw(kind as u8, 0, &[])
}

pub(super) fn optional(code: u8) -> Vec<u8> {
    raw(code, frame::OPTIONAL, b"later")
}

pub(super) fn feed<'a>(session: &mut Session, bytes: &'a [u8], now: Millis) -> Result<Input<'a>, Failure> {
    session.receive(Frame::whole(bytes).unwrap(), now)
}

/// An established session: we offered `ours`, they `theirs`, at `now`.
pub(super) fn established(ours: u32, theirs: u32, now: Millis) -> Session {
    let mut session = Session::start(terms(ours), now);
    let open = open_bytes(&Open { hold_ms: theirs, ..their_open() });
    assert!(matches!(feed(&mut session, &open, now), Ok(Input::Established(..))));
    session
}
