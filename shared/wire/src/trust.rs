//! TRUST: signed statements of an organisation to its own nodes, handed from neighbour to neighbour.
//!
//! Who hands a statement on does not matter, for the organisation's root has signed it. There is one kind so far: the
//! nodes whose certificates count no longer.

use catalyst_names::Limits as NameLimits;

use crate::cursor::{Reader, Writer};
use crate::error::{FrameError, Full};
use crate::frame::FrameType;
use crate::limits::Limits;
use crate::open::write_frame;

/// TRUST: a statement and its signature. Reading it verifies nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust<'a> {
    /// What is stated: [`Trust::REVOCATIONS`], or something that this version passes over.
    pub kind: u8,
    /// The bytes that are signed, after [`Trust::DOMAIN`].
    pub statement: &'a [u8],
    /// ECDSA on P-256 with SHA-256 by a root of the organisation, in DER.
    pub signature: &'a [u8],
}

impl<'a> Trust<'a> {
    /// A statement of revoked nodes: [`Revocations`].
    pub const REVOCATIONS: u8 = 1;
    /// Stands before the statement in what is signed, so that no signature of another purpose can be passed off as this.
    pub const DOMAIN: &'static [u8] = b"catalyst-trust/1\0";

    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(body);
        Ok(Trust {
            kind: r.u8()?,
            statement: r.bytes(Limits::STATEMENT)?,
            signature: r.bytes(Limits::SIGNATURE)?,
        })
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        write_frame(buf, FrameType::Trust, |out| {
            out.u8(self.kind)?;
            out.bytes(self.statement)?;
            out.bytes(self.signature)
        })
    }
}

/// A node whose certificates are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked<'a> {
    /// The node within its organisation.
    pub node: &'a str,
    /// The fingerprint (SHA-256) of the one public key that it may use again, if it was invited anew.
    pub except: Option<[u8; 32]>,
}

/// All revoked nodes of an organisation. The statement with the highest epoch is the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocations<'a> {
    /// The organisation.
    pub org: &'a str,
    /// Grows with every statement.
    pub epoch: u64,
    entries: &'a [u8],
}

impl<'a> Revocations<'a> {
    /// Reads a statement; every entry of it is read once, so that one that can be read can be used whole.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(statement: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(statement);
        let (org, epoch) = (r.text(NameLimits::ORG)?, r.u64()?);
        let entries = r.rest();
        while !r.is_empty() {
            entry(r.bytes(Limits::STATEMENT)?)?;
        }
        Ok(Revocations { org, epoch, entries })
    }

    /// The revoked nodes.
    pub fn entries(&self) -> impl Iterator<Item = Revoked<'a>> + use<'a> {
        let mut r = Reader::new(self.entries);
        core::iter::from_fn(move || r.bytes(Limits::STATEMENT).ok().and_then(|e| entry(e).ok()))
    }

    /// Writes a statement.
    ///
    /// # Errors
    /// [`Full`] when it has no room in `buf`; [`Limits::STATEMENT`] bytes are all that a frame can carry.
    pub fn write<'b>(
        org: &str,
        epoch: u64,
        entries: impl IntoIterator<Item = Revoked<'b>>,
        buf: &mut [u8],
    ) -> Result<usize, Full> {
        let mut out = Writer::new(buf);
        out.text(org)?;
        out.u64(epoch)?;
        for one in entries {
            let mut element = [0u8; NameLimits::LABEL + 40];
            let mut inner = Writer::new(&mut element);
            inner.text(one.node)?;
            inner.bytes(one.except.as_ref().map_or(&[][..], |k| k.as_slice()))?;
            out.bytes(inner.written())?;
        }
        Ok(out.len())
    }
}

/// One entry; a tail of a later version is passed over.
fn entry(bytes: &[u8]) -> Result<Revoked<'_>, FrameError> {
    let mut r = Reader::new(bytes);
    let node = r.text(NameLimits::LABEL)?;
    let except = match r.bytes(32)? {
        [] => None,
        key => Some(<[u8; 32]>::try_from(key).map_err(|_| FrameError::Value)?),
    };
    Ok(Revoked { node, except })
}
