//! Entry points for fuzzers: any bytes in, no panic, and what decodes must encode again to the same meaning.
//!
//! The ordinary tests run them over a corpus and over random bytes; cargo-fuzz calls them directly.

use crate::attr::{Attrs, TRANSITIVE, Unknown};
use crate::cursor::Writer;
use crate::error::Full;
use crate::frame::{Frame, HEADER, Header};
use crate::interest::Interest;
use crate::limits::Limits;
use crate::notify::Notify;
use crate::open::Open;
use crate::refresh::Refresh;
use crate::small::{Keepalive, Refused};
use crate::trust::{Revocations, Trust};
use crate::update::{Announced, Update, UpdateWriter, Withdrawn, write_entry, write_key, write_overtaken};

const FRAME: usize = HEADER + Limits::FRAME_BODY;

/// A body with less room than this to spare may not fit when it is written again.
const CROWDED: usize = 8;

/// A stream of frames, as a peer would send it.
///
/// # Panics
/// When a header is not the same after being written, and as [`fuzz_body`].
pub fn fuzz_frames(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((frame, next))) = Frame::split(rest) {
        if let Ok(Some(kind)) = frame.kind() {
            let head = Header::write(kind, frame.body.len()).map(Header::read);
            let same = Header { code: frame.code, flags: 0, len: frame.body.len() };
            assert_eq!(head, Ok(Ok(same)), "a header that was read must be writable");
        }
        fuzz_body(frame.body);
        rest = next;
    }
}

/// A body, read as each type in turn.
///
/// # Panics
/// When what was read is not the same after being written and read again.
pub fn fuzz_body(body: &[u8]) {
    let mut buf = [0u8; FRAME];
    if let Ok(open) = Open::read(body) {
        assert_eq!(Open::read(body_of(open.write(&mut buf))), Ok(open));
    }
    if let Ok(notify) = Notify::read(body) {
        assert_eq!(Notify::read(body_of(notify.write(&mut buf))), Ok(notify));
    }
    if let Ok(keepalive) = Keepalive::read(body) {
        assert_eq!(Keepalive::read(body_of(keepalive.write(&mut buf))), Ok(keepalive));
    }
    if let Ok(refused) = Refused::read(body) {
        assert_eq!(Refused::read(body_of(refused.write(&mut buf))), Ok(refused));
    }
    if let Ok(refresh) = Refresh::read(body) {
        assert_eq!(Refresh::read(body_of(refresh.write(&mut buf))), Ok(refresh));
    }
    if let Ok(interest) = Interest::read(body) {
        let patterns = (!interest.all).then(|| interest.patterns());
        let (frame, fit) = Interest::write(patterns, &mut buf).unwrap_or_default();
        let again = Interest::read(body_of(Ok(frame)));
        let old = interest.patterns().take(if interest.all { 0 } else { fit });
        assert!(again.is_ok_and(|again| again.all == interest.all && again.patterns().eq(old)));
    }
    if let Ok(trust) = Trust::read(body) {
        assert_eq!(Trust::read(body_of(trust.write(&mut buf))), Ok(trust));
        fuzz_statement(trust.statement);
    }
    fuzz_statement(body);
    fuzz_update(body);
}

/// A statement of revoked nodes.
fn fuzz_statement(bytes: &[u8]) {
    let Ok(read) = Revocations::read(bytes) else { return };
    // Minimal numbers and no tails: what is written is never longer.
    let mut buf = [0u8; FRAME];
    let written = Revocations::write(read.org, read.epoch, read.entries(), &mut buf);
    let again = written.ok().and_then(|n| Revocations::read(buf.get(..n)?).ok());
    let same =
        again.is_some_and(|a| a.org == read.org && a.epoch == read.epoch && a.entries().eq(read.entries()));
    assert!(same, "a statement that was read is the same after being written");
}

/// An UPDATE: every element is read, put into a new frame and read from there.
///
/// # Panics
/// When an element is not the same in the new frame.
pub fn fuzz_update(body: &[u8]) {
    let Ok(update) = Update::read(body) else { return };
    let mut buf = [0u8; FRAME];
    let again = match Update::read(body_of(rebuild(&update, &mut buf))) {
        Ok(again) => again,
        Err(e) => panic!("an UPDATE that was written must be readable: {e}"),
    };
    let routes = || {
        update.announced().filter_map(|element| match element {
            Announced::Route(route) => Some(route),
            Announced::Malformed { .. } | Announced::NoKey => None,
        })
    };
    let keys = || update.withdrawn().filter(|element| matches!(element, Withdrawn::Key { .. }));

    for (old, new) in routes().zip(again.announced()) {
        let Announced::Route(new) = new else { panic!("{old:?} became {new:?}") };
        assert_eq!((old.service, old.origin), (new.service, new.origin));
        assert!(same(&old.attrs, &new.attrs), "{old:?} became {new:?}");
    }
    for (old, new) in keys().zip(again.withdrawn()) {
        assert_eq!(old, new);
    }
    for (old, new) in update.overtaken().zip(again.overtaken()) {
        assert_eq!(old, new);
    }
    // The writer keeps room for the lengths of later regions, so only a crowded body may lose its end.
    let old = routes().count() + keys().count() + update.overtaken().count();
    let new = again.announced().count() + again.withdrawn().count() + again.overtaken().count();
    assert!(new <= old, "elements came from nowhere");
    assert!(new == old || body.len() > Limits::FRAME_BODY - CROWDED, "elements were lost");
}

/// The attributes of one entry.
///
/// # Panics
/// When they are not the same after being written and read again, or not the same bytes when written once more.
pub fn fuzz_attrs(bytes: &[u8]) {
    let Ok(attrs) = Attrs::read(bytes) else { return };
    let mut buf = [0u8; Limits::ENTRY];
    let mut out = Writer::new(&mut buf);
    if attrs.write(&mut out).is_err() {
        return assert!(bytes.len() > Limits::ENTRY, "attributes that were read must be writable");
    }
    assert!(out.len() <= bytes.len(), "what is written is the shortest form");
    let again = Attrs::read(out.written());
    assert!(again.is_ok_and(|again| same(&attrs, &again)), "{attrs:?} became {again:?}");
    let mut second = [0u8; Limits::ENTRY];
    let mut twice = Writer::new(&mut second);
    assert!(again.is_ok_and(|again| again.write(&mut twice).is_ok()));
    assert_eq!(out.written(), twice.written(), "writing is canonical");
}

/// A frame with the routes and keys of `update`, as far as they fit.
fn rebuild<'b>(update: &Update<'_>, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
    let mut element = [0u8; Limits::ENTRY + 2];
    let mut frame = UpdateWriter::new(buf)?;
    for announced in update.announced() {
        if let Announced::Route(r) = announced {
            // Full only at the end: a body that came without room to spare.
            if frame.announce(write_entry(&mut element, r.service, r.origin, &r.attrs)?).is_err() {
                return frame.finish();
            }
        }
    }
    for withdrawn in update.withdrawn() {
        if let Withdrawn::Key { service, origin } = withdrawn
            && frame.withdraw(write_key(&mut element, service, origin)?).is_err()
        {
            return frame.finish();
        }
    }
    for news in update.overtaken() {
        if frame.overtake(write_overtaken(&mut element, &news)?).is_err() {
            return frame.finish();
        }
    }
    frame.finish()
}

/// Equal but for the unknown attributes that are not carried on.
fn same(old: &Attrs<'_>, new: &Attrs<'_>) -> bool {
    fn known<'a>(attrs: &Attrs<'a>) -> Attrs<'a> {
        Attrs { unknown: Unknown::default(), ..*attrs }
    }
    let carried = old.unknown.iter().filter(|(_, flags, _)| flags & TRANSITIVE != 0);
    known(old) == known(new) && carried.eq(new.unknown.iter())
}

/// The body of a frame just written.
fn body_of(frame: Result<&[u8], Full>) -> &[u8] {
    match frame.map(|bytes| bytes.get(HEADER..)) {
        Ok(Some(body)) => body,
        other => panic!("what was read must be writable: {other:?}"),
    }
}
