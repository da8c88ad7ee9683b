//! UPDATE: announcements, then withdrawals, applied as one.

use catalyst_names::{Limits as NameLimits, check};

use crate::attr::{AttrError, Attrs};
use crate::cursor::{Reader, Writer, varint_len};
use crate::error::{FrameError, Full};
use crate::frame::{FrameType, HEADER, Header};
use crate::limits::Limits;

/// A decoded route entry, borrowed from the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry<'a> {
    /// The service's full name, checked.
    pub service: &'a str,
    /// The origin id, checked.
    pub origin: &'a str,
    /// The attributes as they stood in the frame.
    pub raw: &'a [u8],
    /// The attributes, decoded.
    pub attrs: Attrs<'a>,
}

/// One element of the announcements.
// A route is what nearly every element is; a box would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced<'a> {
    /// A route.
    Route(RouteEntry<'a>),
    /// The key is readable, an attribute is not: withdraw this one route (RFC 7606 section 2).
    Malformed {
        /// The service's full name, checked.
        service: &'a str,
        /// The origin id, checked.
        origin: &'a str,
        /// What is wrong.
        why: AttrError,
    },
    /// Not even the key is readable: count it and go on, for the entry's length is known.
    NoKey,
}

/// One element of the withdrawals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn<'a> {
    /// A key.
    Key {
        /// The service's full name, checked.
        service: &'a str,
        /// The origin id, checked.
        origin: &'a str,
    },
    /// Not a key: count it and go on.
    NoKey,
}

/// An UPDATE, borrowed from the frame. Its two regions are sound; the elements are checked as they are read.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    announced: &'a [u8],
    withdrawn: &'a [u8],
}

fn key<'a>(reader: &mut Reader<'a>) -> Option<(&'a str, &'a str)> {
    let service = reader.text(NameLimits::SERVICE).ok()?;
    let origin = reader.text(NameLimits::LABEL).ok()?;
    check::service(service, "service name").ok()?;
    check::label(origin, "origin").ok()?;
    Some((service, origin))
}

impl<'a> Update<'a> {
    /// Reads the two regions. A tail after them belongs to a later version and is skipped.
    ///
    /// # Errors
    /// [`FrameError`] when a region or an element's length does not fit: then nothing after it can be trusted.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(body);
        let announced = reader.bytes(Limits::FRAME_BODY)?;
        let withdrawn = if reader.is_empty() { &[][..] } else { reader.bytes(Limits::FRAME_BODY)? };
        for region in [announced, withdrawn] {
            let mut elements = Reader::new(region);
            while !elements.is_empty() {
                elements.bytes(Limits::FRAME_BODY)?;
            }
        }
        Ok(Update { announced, withdrawn })
    }

    /// The announcements, in order.
    pub fn announced(&self) -> impl Iterator<Item = Announced<'a>> + use<'a> {
        let mut region = Reader::new(self.announced);
        core::iter::from_fn(move || region.bytes(Limits::FRAME_BODY).ok()).map(|element| {
            let mut reader = Reader::new(element);
            let Some((service, origin)) = key(&mut reader) else { return Announced::NoKey };
            let raw = reader.rest();
            if element.len() > Limits::ENTRY {
                return Announced::Malformed { service, origin, why: AttrError::Framing };
            }
            match Attrs::read(raw) {
                Ok(attrs) => Announced::Route(RouteEntry { service, origin, raw, attrs }),
                Err(why) => Announced::Malformed { service, origin, why },
            }
        })
    }

    /// The withdrawals, in order.
    pub fn withdrawn(&self) -> impl Iterator<Item = Withdrawn<'a>> + use<'a> {
        let mut region = Reader::new(self.withdrawn);
        core::iter::from_fn(move || region.bytes(Limits::FRAME_BODY).ok()).map(|element| {
            match key(&mut Reader::new(element)) {
                Some((service, origin)) => Withdrawn::Key { service, origin },
                None => Withdrawn::NoKey,
            }
        })
    }
}

/// Writes one element of the announcements: length, key, attributes. Returns its bytes in `buf`.
///
/// # Errors
/// [`Full`] when it does not fit `buf`; and, with a buffer of any size, when the route is beyond
/// [`Limits::ENTRY`] or another limit that a receiver would refuse: then do not announce it.
pub fn write_entry<'b>(
    buf: &'b mut [u8],
    service: &str,
    origin: &str,
    attrs: &Attrs<'_>,
) -> Result<&'b [u8], Full> {
    write_element(buf, |out| {
        out.text(service)?;
        out.text(origin)?;
        attrs.write(out)
    })
}

/// Writes one element of the withdrawals: length, key. Returns its bytes in `buf`.
///
/// # Errors
/// [`Full`].
pub fn write_key<'b>(buf: &'b mut [u8], service: &str, origin: &str) -> Result<&'b [u8], Full> {
    write_element(buf, |out| {
        out.text(service)?;
        out.text(origin)
    })
}

/// Leaves two bytes for the length, writes, then puts the length right in front of what was written.
fn write_element(
    buf: &mut [u8],
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<&[u8], Full> {
    const ROOM: usize = 2;
    const { assert!(varint_len(Limits::ENTRY as u64) <= ROOM, "the length of an entry must fit its room") }
    let body = buf.get_mut(ROOM..).ok_or(Full)?;
    let mut out = Writer::new(body);
    fill(&mut out)?;
    let len = out.len();
    if len > Limits::ENTRY {
        return Err(Full);
    }
    let width = varint_len(len as u64);
    let start = ROOM - width;
    Writer::new(buf.get_mut(start..ROOM).ok_or(Full)?).u64(len as u64)?;
    buf.get(start..ROOM + len).ok_or(Full)
}

/// Builds an UPDATE frame from elements that are already encoded: first all announcements, then all withdrawals.
#[derive(Debug)]
pub struct UpdateWriter<'a> {
    buf: &'a mut [u8],
    at: usize,
    announced: Option<usize>,
    count: usize,
}

/// Room for the length of a region: two bytes are enough for all that a body leaves to it.
const REGION: usize = 2;
const _: () = assert!(varint_len((Limits::FRAME_BODY - REGION) as u64) <= REGION);

// A short region's length in two bytes would not be its shortest form, so the region is moved up instead.
impl<'a> UpdateWriter<'a> {
    /// Starts a frame in `buf`, which should hold `HEADER + FRAME_BODY` bytes.
    ///
    /// # Errors
    /// [`Full`] when not even an empty frame fits.
    pub fn new(buf: &'a mut [u8]) -> Result<Self, Full> {
        if buf.len() < HEADER + 2 * REGION {
            return Err(Full);
        }
        Ok(UpdateWriter { buf, at: HEADER + REGION, announced: None, count: 0 })
    }

    /// How many elements were added.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds an announcement: the bytes that [`write_entry`] returned. One always fits a frame that is still empty.
    ///
    /// # Errors
    /// [`Full`]: finish this frame and start another. Also after the first withdrawal.
    pub fn announce(&mut self, element: &[u8]) -> Result<(), Full> {
        if self.announced.is_some() {
            return Err(Full);
        }
        self.push(element)
    }

    /// Adds a withdrawal: the bytes that [`write_key`] returned. No announcement can follow, even after an error.
    ///
    /// # Errors
    /// [`Full`]: finish this frame and start another.
    pub fn withdraw(&mut self, element: &[u8]) -> Result<(), Full> {
        self.close_announced()?;
        self.push(element)
    }

    fn push(&mut self, element: &[u8]) -> Result<(), Full> {
        let end = self.at.saturating_add(element.len());
        // The second region's length must still fit.
        if end.saturating_add(REGION) > self.buf.len().min(HEADER + Limits::FRAME_BODY) {
            return Err(Full);
        }
        self.buf.get_mut(self.at..end).ok_or(Full)?.copy_from_slice(element);
        self.at = end;
        self.count += 1;
        Ok(())
    }

    /// Puts the shortest form of its length in front of the region whose room begins at `start`, and closes the gap.
    fn seal(&mut self, start: usize) -> Result<(), Full> {
        let len = self.at - start - REGION;
        let width = varint_len(len as u64);
        let body = start + width;
        self.buf.copy_within(start + REGION..self.at, body);
        Writer::new(self.buf.get_mut(start..body).ok_or(Full)?).u64(len as u64)?;
        self.at = body + len;
        Ok(())
    }

    fn close_announced(&mut self) -> Result<(), Full> {
        if self.announced.is_none() {
            self.seal(HEADER)?;
            self.announced = Some(self.at);
            self.at += REGION;
        }
        Ok(())
    }

    /// Ends the frame and returns its bytes, header included. Withdrawals are left out when there are none.
    ///
    /// # Errors
    /// [`Full`] cannot happen after a successful [`UpdateWriter::new`].
    pub fn finish(mut self) -> Result<&'a [u8], Full> {
        match self.announced {
            None => self.seal(HEADER)?,
            // Opened for a withdrawal that did not fit.
            Some(start) if self.at == start + REGION => self.at = start,
            Some(start) => self.seal(start)?,
        }
        let header = Header::write(FrameType::Update, self.at - HEADER).map_err(|_| Full)?;
        self.buf.get_mut(..HEADER).ok_or(Full)?.copy_from_slice(&header);
        let UpdateWriter { buf, at, .. } = self;
        buf.get(..at).ok_or(Full)
    }
}
