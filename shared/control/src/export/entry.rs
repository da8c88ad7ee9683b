//! What a group holds of one key, and how it goes into a frame.

use alloc::boxed::Box;

use catalyst_route_table::Sym;
use catalyst_wire::{Attrs, Full, Limits as WireLimits, Reader, Refresh, UpdateWriter, Writer};

use crate::news::NUMBERED;

/// One key of a group.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) version: u64,
    /// The first version of this key since it was last forgotten: a cursor before it holds nothing of the key.
    pub(super) born: u64,
    pub(super) source: Sym,
    /// The cursor of `source` may hold what this key was under another source: it needs a withdrawal.
    pub(super) moved: bool,
    pub(super) withdrawn: bool,
    pub(super) element: Box<[u8]>,
}

/// What a poll of one cursor gave.
pub(crate) enum Fill {
    /// An UPDATE frame of this many bytes.
    Update(usize),
    /// The table that stood at the start of the session has been sent.
    EndOfRib,
    /// The begin or the end of a refresh.
    Refresh(Refresh),
    /// The way through the table for a new INTEREST is not at its end: ask again in the next step.
    Later,
    /// There is something, but not within this many bytes.
    Blocked,
    /// Nothing to send.
    Idle,
}

/// Service, origin and attributes of an announcement element; of a withdrawal element without attributes.
pub(crate) fn parts(element: &[u8]) -> Option<(&str, &str, &[u8])> {
    let mut inner = Reader::new(Reader::new(element).bytes(WireLimits::ENTRY).ok()?);
    let service = inner.text(WireLimits::ENTRY).ok()?;
    let origin = inner.text(WireLimits::ENTRY).ok()?;
    Some((service, origin, inner.rest()))
}

/// Whether two announcements of one key say the same, whatever number this node gave to them: one that is only numbered
/// anew is no news.
pub(super) fn alike(old: &[u8], new: &[u8]) -> bool {
    let read = |element| parts(element).and_then(|(_, _, attrs)| Attrs::read(attrs).ok());
    old == new
        || NUMBERED
            && old.len().abs_diff(new.len()) <= 4
            && read(old).zip(read(new)).is_some_and(|(old, new)| {
                let passed_on = old.seqnos.iter().skip(1).eq(new.seqnos.iter().skip(1));
                passed_on && Attrs { seqnos: new.seqnos, ..old } == new
            })
}

/// The withdrawal element of an announcement element: its two leading texts with a length of their own.
pub(super) fn key_element(announcement: &[u8]) -> Option<Box<[u8]>> {
    let mut buf = [0u8; 512];
    withdrawal(announcement, &mut buf).map(Box::from)
}

/// The same in `buf`, unless the element is that of a withdrawal already. The element was written here: its texts are texts.
fn withdrawal<'e>(element: &'e [u8], buf: &'e mut [u8]) -> Option<&'e [u8]> {
    let body = Reader::new(element).bytes(WireLimits::ENTRY).ok()?;
    let mut inner = Reader::new(body);
    inner.bytes(WireLimits::ENTRY).ok()?;
    inner.bytes(WireLimits::ENTRY).ok()?;
    if inner.is_empty() {
        return Some(element);
    }
    let key = body.get(..body.len() - inner.rest().len())?;
    let mut out = Writer::new(buf);
    out.bytes(key).ok()?;
    let len = out.written().len();
    buf.get(..len)
}

/// Writes an UPDATE; returns its length.
pub(super) fn write(
    announced: &[&[u8]],
    withdrawn: &[&[u8]],
    news: &[&[u8]],
    buf: &mut [u8],
) -> Result<usize, Full> {
    let mut out = UpdateWriter::new(buf)?;
    announced.iter().try_for_each(|e| out.announce(e))?;
    for element in withdrawn {
        // A withdrawal to the source of an announcement carries only the key of it.
        let mut key = [0u8; 512];
        out.withdraw(withdrawal(element, &mut key).unwrap_or(element))?;
    }
    news.iter().try_for_each(|element| out.overtake(element))?;
    Ok(out.finish()?.len())
}
