//! Typed attributes of a route entry: type, flags, length, value.
//!
//! Known attributes stand in ascending order of their types, at most once, and only where they differ from
//! their default, so that equal routes are equal bytes.

use core::fmt;

use catalyst_names::{Limits as NameLimits, Protocol, check};

use crate::cursor::{Reader, Writer, varint_len};
use crate::error::{FrameError, Full};
use crate::limits::Limits;
use crate::path::Path;
use crate::seqno::{Seqno, Seqnos};

/// A receiver that does not know the type ignores the attribute instead of the route.
pub const OPTIONAL: u8 = 1;
/// An unknown optional attribute with this flag is carried on.
pub const TRANSITIVE: u8 = 2;

/// Numbers of the attribute types. Never reused.
pub mod kind {
    /// What the service speaks: u8. Default: tcp.
    pub const PROTOCOL: u16 = 1;
    /// Organisations passed, nearest first: list of text. Default: none.
    pub const ORG_PATH: u16 = 2;
    /// Nodes of this organisation passed, nearest first: list of text. Default: none.
    pub const NODE_PATH: u16 = 3;
    /// Rank inside the organisation: number. Default: absent, which stands for 400, a service of our own.
    pub const LOCAL_PREF: u16 = 4;
    /// Lower is better: number. Default: 0.
    pub const COST: u16 = 5;
    /// Share among equals: number of 16 bits. Default: 100.
    pub const WEIGHT: u16 = 6;
    /// `org:tag`: list of text. Default: none.
    pub const TAGS: u16 = 7;
    /// Bits of [`super::WellKnown`]: number. Default: 0.
    pub const WELL_KNOWN: u16 = 8;
    /// [`super::Health`]: u8. Default: up.
    pub const HEALTH: u16 = 9;
    /// Only-to-customer (RFC 9234 section 5): the organisation that set it. Default: absent.
    pub const ONLY_TO_CUSTOMER: u16 = 10;
    /// SHA-256 of the GraphQL schema: 32 bytes. Default: absent.
    pub const SCHEMA_DIGEST: u16 = 11;
    /// Where proof of the route is found: bytes. Default: absent.
    pub const ATTESTATION: u16 = 12;
    /// The numbers of the words that the nodes of node_path spoke: [`crate::Seqnos`]. Only inside an organisation. Optional, not transitive. Default: absent. The last number of one byte: 13 and 14 stand in golden
    /// files as numbers that nobody knows.
    pub const SEQNOS: u16 = 127;
}

/// The known types are those up to here, and [`kind::SEQNOS`].
const LAST_KNOWN: u16 = kind::ATTESTATION;

/// Whether the service answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// It answers, or nobody checks.
    #[default]
    Up = 0,
    /// It does not; the route is kept but not used.
    Down = 1,
}

/// Well-known marks of a route, as bits. Unknown bits are carried on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WellKnown(pub u32);

impl WellKnown {
    /// Must not leave the organisation (RFC 1997 NO_EXPORT).
    pub const NO_EXPORT: u32 = 1;
    /// Its node is about to stop (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: u32 = 2;
    /// Long-lived stale (RFC 9494).
    pub const STALE: u32 = 4;
    /// Must not become long-lived stale (RFC 9494 NO_LLGR): better none than an old one.
    pub const FAIL_CLOSED: u32 = 8;

    /// Whether the mark is set.
    #[must_use]
    pub fn has(self, mark: u32) -> bool {
        self.0 & mark != 0
    }
}

/// What is wrong with an attribute. It costs the route, not the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrError {
    /// The list of attributes is cut short or overlong.
    Framing,
    /// This type stands twice or out of order.
    Order(u16),
    /// The value of this type does not decode, or is beyond a limit.
    Value(u16),
    /// An unknown type that is not optional.
    Unknown(u16),
}

impl fmt::Display for AttrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttrError::Framing => f.write_str("the attributes are cut short"),
            AttrError::Order(t) => write!(f, "attribute {t} stands twice or out of order"),
            AttrError::Value(t) => write!(f, "attribute {t} has a bad value"),
            AttrError::Unknown(t) => write!(f, "attribute {t} is unknown and not optional"),
        }
    }
}

impl core::error::Error for AttrError {}

/// Attributes of types that this version does not know: read back one by one, or carried on. One that it knows may stand
/// among them, by its number; it is none of these.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown<'a>(&'a [u8]);

impl PartialEq for Unknown<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Unknown<'_> {}

impl<'a> Unknown<'a> {
    /// Type, flags and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u8, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || next_attr(&mut reader).ok()).filter(|(code, ..)| *code != kind::SEQNOS)
    }

    fn write(&self, out: &mut Writer<'_>, which: impl Fn(u16) -> bool) -> Result<(), Full> {
        for (code, flags, value) in self.iter() {
            if flags & TRANSITIVE != 0 && which(code) {
                write_head(out, code, flags, value.len())?;
                out.raw(value)?;
            }
        }
        Ok(())
    }
}

/// The attributes of one route, borrowed. [`Attrs::default`] has every default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attrs<'a> {
    /// What the service speaks.
    pub protocol: Protocol,
    /// Organisations passed, nearest first.
    pub org_path: Path<'a>,
    /// Nodes of this organisation passed, nearest first.
    pub node_path: Path<'a>,
    /// Rank inside the organisation, if it stands in the entry.
    pub local_pref: Option<u32>,
    /// Lower is better; compared always.
    pub cost: u32,
    /// Share among equals.
    pub weight: u16,
    /// `org:tag`.
    pub tags: Path<'a>,
    /// Well-known marks.
    pub well_known: WellKnown,
    /// Whether the service answers.
    pub health: Health,
    /// The organisation that set the only-to-customer mark.
    pub only_to_customer: Option<&'a str>,
    /// SHA-256 of the GraphQL schema.
    pub schema_digest: Option<[u8; 32]>,
    /// Where proof of the route is found.
    pub attestation: Option<&'a [u8]>,
    /// Which of their words this is, of the nodes of node_path.
    pub seqnos: Seqnos<'a>,
    /// Attributes of later versions.
    pub unknown: Unknown<'a>,
}

/// The default of [`Attrs::weight`].
pub const DEFAULT_WEIGHT: u16 = 100;

impl Default for Attrs<'_> {
    fn default() -> Self {
        Attrs {
            protocol: Protocol::default(),
            org_path: Path::EMPTY,
            node_path: Path::EMPTY,
            local_pref: None,
            cost: 0,
            weight: DEFAULT_WEIGHT,
            tags: Path::EMPTY,
            well_known: WellKnown(0),
            health: Health::Up,
            only_to_customer: None,
            schema_digest: None,
            attestation: None,
            seqnos: Seqnos::EMPTY,
            unknown: Unknown(&[]),
        }
    }
}

fn next_attr<'a>(reader: &mut Reader<'a>) -> Result<(u16, u8, &'a [u8]), FrameError> {
    let code = reader.u16()?;
    let flags = reader.u8()?;
    let value = reader.bytes(Limits::ENTRY)?;
    Ok((code, flags, value))
}

fn write_head(out: &mut Writer<'_>, code: u16, flags: u8, len: usize) -> Result<(), Full> {
    out.u64(u64::from(code))?;
    out.u8(flags)?;
    out.u64(len as u64)
}

fn read_unknown(bytes: &[u8]) -> Result<(Unknown<'_>, Seqnos<'_>), AttrError> {
    let mut seqnos = Seqnos::EMPTY;
    let mut reader = Reader::new(bytes);
    let mut last = LAST_KNOWN;
    let mut carried = 0usize;
    while !reader.is_empty() {
        let before = reader.rest().len();
        let (code, flags, value) = next_attr(&mut reader).map_err(|_| AttrError::Framing)?;
        if code <= last {
            return Err(AttrError::Order(code));
        }
        last = code;
        if code == kind::SEQNOS {
            seqnos = Seqnos::read(&mut Reader::new(value)).map_err(|_| AttrError::Value(code))?;
            continue;
        }
        if flags & OPTIONAL == 0 {
            return Err(AttrError::Unknown(code));
        }
        if flags & TRANSITIVE != 0 {
            carried = carried.saturating_add(before - reader.rest().len());
        }
        if carried > Limits::UNKNOWN {
            return Err(AttrError::Value(code));
        }
    }
    Ok((Unknown(bytes), seqnos))
}

/// `org:tag`, where `org` is an organisation and `tag` a label.
fn is_tag(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(org, tag)| check::org(org, "tag").is_ok() && check::label(tag, "tag").is_ok())
}

fn is_org(text: &str) -> bool {
    check::org(text, "org_path").is_ok()
}

fn is_node(text: &str) -> bool {
    check::label(text, "node_path").is_ok()
}

/// The nodes of a route's node_path with the numbers of their words, nearest first, as far as they are numbered. Looks at no
/// other attribute, for it is asked for every candidate of a choice.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = (&str, Seqno)> {
    let (mut path, mut seqnos) = (Path::EMPTY, Seqnos::EMPTY);
    let mut reader = Reader::new(bytes);
    while let Ok((code, _, value)) = next_attr(&mut reader) {
        let mut value = Reader::new(value);
        if code == kind::NODE_PATH {
            path = Path::read(&mut value, Limits::NODE_PATH, NameLimits::LABEL, |_| true).unwrap_or_default();
        }
        if code == kind::SEQNOS {
            seqnos = Seqnos::read(&mut value).unwrap_or_default();
        }
    }
    path.iter().zip(seqnos.iter())
}

impl<'a> Attrs<'a> {
    /// Reads the attributes of an entry to the end of `bytes`. The flags of a known type do not count.
    ///
    /// # Errors
    /// [`AttrError`]: treat the route as withdrawn (RFC 7606).
    pub fn read(bytes: &'a [u8]) -> Result<Self, AttrError> {
        let mut attrs = Attrs::default();
        let mut reader = Reader::new(bytes);
        let mut last = 0u16;
        while !reader.is_empty() {
            let before = reader.rest();
            let (code, _, value) = next_attr(&mut reader).map_err(|_| AttrError::Framing)?;
            if code <= last {
                return Err(AttrError::Order(code));
            }
            if code > LAST_KNOWN {
                (attrs.unknown, attrs.seqnos) = read_unknown(before)?;
                return Ok(attrs);
            }
            last = code;
            let mut value = Reader::new(value);
            attrs.read_one(code, &mut value)?;
            // A known attribute may grow a tail in a later version; what we know of it stands in front.
        }
        Ok(attrs)
    }

    fn read_one(&mut self, code: u16, value: &mut Reader<'a>) -> Result<(), AttrError> {
        let bad = |_| AttrError::Value(code);
        match code {
            kind::PROTOCOL => {
                let number = value.u8().map_err(bad)?;
                self.protocol = Protocol::from_code(number).ok_or(AttrError::Value(code))?;
            }
            kind::ORG_PATH => {
                self.org_path = Path::read(value, Limits::ORG_PATH, NameLimits::ORG, is_org).map_err(bad)?;
            }
            kind::NODE_PATH => {
                self.node_path =
                    Path::read(value, Limits::NODE_PATH, NameLimits::LABEL, is_node).map_err(bad)?;
            }
            kind::LOCAL_PREF => self.local_pref = Some(value.u32().map_err(bad)?),
            kind::COST => self.cost = value.u32().map_err(bad)?,
            kind::WEIGHT => self.weight = value.u16().map_err(bad)?,
            kind::TAGS => self.tags = Path::read(value, Limits::TAGS, Limits::TAG, is_tag).map_err(bad)?,
            kind::WELL_KNOWN => self.well_known = WellKnown(value.u32().map_err(bad)?),
            kind::HEALTH => {
                self.health = match value.u8().map_err(bad)? {
                    0 => Health::Up,
                    1 => Health::Down,
                    _ => return Err(AttrError::Value(code)),
                };
            }
            kind::ONLY_TO_CUSTOMER => {
                let org = value.text(NameLimits::ORG).map_err(bad)?;
                if !is_org(org) {
                    return Err(AttrError::Value(code));
                }
                self.only_to_customer = Some(org);
            }
            kind::SCHEMA_DIGEST => {
                let bytes = value.take(32).map_err(bad)?;
                self.schema_digest = Some(<[u8; 32]>::try_from(bytes).map_err(|_| AttrError::Value(code))?);
            }
            kind::ATTESTATION => self.attestation = Some(value.bytes(Limits::ATTESTATION).map_err(bad)?),
            // Every number from 1 to LAST_KNOWN is listed.
            _ => return Err(AttrError::Unknown(code)),
        }
        Ok(())
    }

    /// Writes the attributes that differ from their default, then the unknown transitive ones. Equal attributes
    /// give equal bytes. Names are taken as they are: use the checked types of `catalyst_names`.
    ///
    /// # Errors
    /// [`Full`] when the buffer ends, or when a value is beyond a limit of [`Limits`], as a path may be after
    /// [`Path::prepend`]: what this writes, [`Attrs::read`] takes.
    pub fn write(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        if self.protocol != Protocol::default() {
            write_head(out, kind::PROTOCOL, 0, 1)?;
            out.u8(self.protocol.code())?;
        }
        write_path(out, kind::ORG_PATH, &self.org_path, Limits::ORG_PATH)?;
        write_path(out, kind::NODE_PATH, &self.node_path, Limits::NODE_PATH)?;
        if let Some(pref) = self.local_pref {
            write_number(out, kind::LOCAL_PREF, pref)?;
        }
        if self.cost != 0 {
            write_number(out, kind::COST, self.cost)?;
        }
        if self.weight != DEFAULT_WEIGHT {
            write_number(out, kind::WEIGHT, u32::from(self.weight))?;
        }
        write_path(out, kind::TAGS, &self.tags, Limits::TAGS)?;
        if self.well_known.0 != 0 {
            write_number(out, kind::WELL_KNOWN, self.well_known.0)?;
        }
        if self.health != Health::Up {
            write_head(out, kind::HEALTH, 0, 1)?;
            out.u8(self.health as u8)?;
        }
        if let Some(org) = self.only_to_customer {
            write_head(out, kind::ONLY_TO_CUSTOMER, 0, varint_len(org.len() as u64) + org.len())?;
            out.text(org)?;
        }
        if let Some(digest) = &self.schema_digest {
            write_head(out, kind::SCHEMA_DIGEST, 0, digest.len())?;
            out.raw(digest)?;
        }
        if let Some(reference) = self.attestation {
            if reference.len() > Limits::ATTESTATION {
                return Err(Full);
            }
            let len = varint_len(reference.len() as u64) + reference.len();
            write_head(out, kind::ATTESTATION, 0, len)?;
            out.bytes(reference)?;
        }
        self.unknown.write(out, |code| code < kind::SEQNOS)?;
        if !self.seqnos.is_empty() {
            write_head(out, kind::SEQNOS, OPTIONAL, self.seqnos.encoded_len())?;
            self.seqnos.write(out)?;
        }
        self.unknown.write(out, |code| code > kind::SEQNOS)
    }
}

fn write_number(out: &mut Writer<'_>, code: u16, value: u32) -> Result<(), Full> {
    let value = u64::from(value);
    write_head(out, code, 0, varint_len(value))?;
    out.u64(value)
}

fn write_path(out: &mut Writer<'_>, code: u16, path: &Path<'_>, max: usize) -> Result<(), Full> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > max {
        return Err(Full);
    }
    write_head(out, code, 0, path.encoded_len())?;
    path.write(out)
}
