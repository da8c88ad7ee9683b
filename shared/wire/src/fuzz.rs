//! Entry points for fuzzers: any bytes in, no panic, and what decodes must encode again to the same meaning.
//!
//! The ordinary tests run them over a corpus and over random bytes; cargo-fuzz calls them directly.

use crate::attr::Attrs;
use crate::cursor::Writer;
use crate::frame::Frame;
use crate::limits::Limits;
use crate::notify::Notify;
use crate::open::Open;
use crate::small::{Keepalive, Refused};
use crate::update::{Announced, Update};

/// A stream of frames, as a peer would send it.
pub fn fuzz_frames(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((frame, next))) = Frame::split(rest) {
        let _ = frame.kind();
        fuzz_body(frame.body);
        rest = next;
    }
}

/// A body, read as each type in turn.
pub fn fuzz_body(body: &[u8]) {
    let _ = Open::read(body);
    let _ = Notify::read(body);
    let _ = Keepalive::read(body);
    let _ = Refused::read(body);
    fuzz_update(body);
}

/// An UPDATE: every element is read, and every route is written and read again.
///
/// # Panics
/// When a route that was read is not the same after being written and read again.
pub fn fuzz_update(body: &[u8]) {
    let Ok(update) = Update::read(body) else { return };
    for element in update.announced() {
        if let Announced::Route(route) = element {
            same_after_writing(&route.attrs);
        }
    }
    let _ = update.withdrawn().count();
}

/// The attributes of one entry.
///
/// # Panics
/// As [`fuzz_update`].
pub fn fuzz_attrs(bytes: &[u8]) {
    if let Ok(attrs) = Attrs::read(bytes) {
        same_after_writing(&attrs);
    }
}

fn same_after_writing(attrs: &Attrs<'_>) {
    let mut buf = [0u8; Limits::ENTRY + 64];
    let mut out = Writer::new(&mut buf);
    if attrs.write(&mut out).is_err() {
        return;
    }
    let first = out.len();
    let again = Attrs::read(out.written());
    let mut second = [0u8; Limits::ENTRY + 64];
    let mut twice = Writer::new(&mut second);
    let same = again.is_ok_and(|a| a.write(&mut twice).is_ok());
    assert!(same, "attributes that were read and written must be readable");
    assert_eq!(out.written().get(..first), Some(twice.written()), "writing is canonical");
}
