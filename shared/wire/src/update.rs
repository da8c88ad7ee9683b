//! UPDATE: announcements, then withdrawals, then news of what is overtaken, applied as one.

use catalyst_names::{Limits as NameLimits, check};

use crate::attr::{AttrError, Attrs};
use crate::cursor::{Reader, Writer, varint_len};
use crate::error::{FrameError, Full};
use crate::frame::{FrameType, HEADER, Header};
use crate::limits::Limits;
use crate::seqno::Seqno;

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

/// News that goes with a withdrawal, or with an announcement of another way: what `node` said before `seqno` of this key is
/// overtaken, whoever still passes it on. Only inside an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken<'a> {
    /// The service's full name, checked.
    pub service: &'a str,
    /// The origin id, checked.
    pub origin: &'a str,
    /// A node of the organisation, checked.
    pub node: &'a str,
    /// Its newest word.
    pub seqno: Seqno,
}

/// An UPDATE, borrowed from the frame. Its regions are sound; the elements are checked as they are read.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    announced: &'a [u8],
    withdrawn: &'a [u8],
    overtaken: &'a [u8],
}

/// Whether a region is elements and nothing else.
fn is_sound(region: &[u8]) -> Result<(), FrameError> {
    let mut elements = Reader::new(region);
    while !elements.is_empty() {
        elements.bytes(Limits::FRAME_BODY)?;
    }
    Ok(())
}

fn key<'a>(reader: &mut Reader<'a>) -> Option<(&'a str, &'a str)> {
    let service = reader.text(NameLimits::SERVICE).ok()?;
    let origin = reader.text(NameLimits::LABEL).ok()?;
    check::service(service, "service name").ok()?;
    check::label(origin, "origin").ok()?;
    Some((service, origin))
}

impl<'a> Update<'a> {
    /// Reads the regions. A tail after them belongs to a later version and is skipped. News that cannot be read is
    /// passed over: without it more is said until a network is at rest, and nothing else is different.
    ///
    /// # Errors
    /// [`FrameError`] when a region or an element's length does not fit: then nothing after it can be trusted.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(body);
        let announced = reader.bytes(Limits::FRAME_BODY)?;
        let withdrawn = if reader.is_empty() { &[][..] } else { reader.bytes(Limits::FRAME_BODY)? };
        is_sound(announced)?;
        is_sound(withdrawn)?;
        let overtaken = reader.bytes(Limits::FRAME_BODY).ok().filter(|region| is_sound(region).is_ok());
        Ok(Update { announced, withdrawn, overtaken: overtaken.unwrap_or(&[]) })
    }

    /// The news of what is overtaken, in order; what cannot be read is passed over.
    pub fn overtaken(&self) -> impl Iterator<Item = Overtaken<'a>> + use<'a> {
        let mut region = Reader::new(self.overtaken);
        core::iter::from_fn(move || region.bytes(Limits::FRAME_BODY).ok()).filter_map(|element| {
            let mut reader = Reader::new(element);
            let (service, origin) = key(&mut reader)?;
            let node = reader.text(NameLimits::LABEL).ok()?;
            check::label(node, "node").ok()?;
            let seqno = Seqno::read(&mut reader).ok()?;
            Some(Overtaken { service, origin, node, seqno })
        })
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

/// Writes one element of the news: length, key, node, number. Returns its bytes in `buf`.
///
/// # Errors
/// [`Full`].
pub fn write_overtaken<'b>(buf: &'b mut [u8], news: &Overtaken<'_>) -> Result<&'b [u8], Full> {
    write_element(buf, |out| {
        out.text(news.service)?;
        out.text(news.origin)?;
        out.text(news.node)?;
        news.seqno.write(out)
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

/// Builds an UPDATE frame from elements that are already encoded: first all announcements, then all withdrawals, then all
/// news.
#[derive(Debug)]
pub struct UpdateWriter<'a> {
    buf: &'a mut [u8],
    at: usize,
    /// The region that is being filled, from 0, and where the room for its length begins.
    region: u8,
    start: usize,
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
        Ok(UpdateWriter { buf, at: HEADER + REGION, region: 0, start: HEADER, count: 0 })
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
        self.push(0, element)
    }

    /// Adds a withdrawal: the bytes that [`write_key`] returned. No announcement can follow, even after an error.
    ///
    /// # Errors
    /// [`Full`]: finish this frame and start another.
    pub fn withdraw(&mut self, element: &[u8]) -> Result<(), Full> {
        self.push(1, element)
    }

    /// Adds news: the bytes that [`write_overtaken`] returned. Nothing else can follow, even after an error.
    ///
    /// # Errors
    /// [`Full`]: leave it out, or say it in another frame.
    pub fn overtake(&mut self, element: &[u8]) -> Result<(), Full> {
        self.push(2, element)
    }

    /// How far the frame may be filled.
    fn end(&self) -> usize {
        self.buf.len().min(HEADER + Limits::FRAME_BODY)
    }

    fn push(&mut self, region: u8, element: &[u8]) -> Result<(), Full> {
        while self.region < region {
            self.open_next()?;
        }
        let end = self.at.saturating_add(element.len());
        // The next region's length must still fit.
        if self.region > region || end.saturating_add(REGION) > self.end() {
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

    fn open_next(&mut self) -> Result<(), Full> {
        self.seal(self.start)?;
        (self.region, self.start) = (self.region + 1, self.at);
        self.at += REGION;
        if self.at > self.end() { Err(Full) } else { Ok(()) }
    }

    /// Ends the frame and returns its bytes, header included. Regions at the end are left out when they are empty.
    ///
    /// # Errors
    /// [`Full`] cannot happen after a successful [`UpdateWriter::new`].
    pub fn finish(mut self) -> Result<&'a [u8], Full> {
        if self.region > 0 && self.at == self.start + REGION {
            // Opened for an element that did not fit.
            self.at = self.start;
        } else {
            self.seal(self.start)?;
        }
        let header = Header::write(FrameType::Update, self.at - HEADER).map_err(|_| Full)?;
        self.buf.get_mut(..HEADER).ok_or(Full)?.copy_from_slice(&header);
        let UpdateWriter { buf, at, .. } = self;
        buf.get(..at).ok_or(Full)
    }
}
