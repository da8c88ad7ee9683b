//! The frames with next to nothing in them: KEEPALIVE, END_OF_RIB, REFUSED.

use crate::cursor::Reader;
use crate::error::{FrameError, Full};
use crate::frame::FrameType;
use crate::limits::Limits;
use crate::notify::cut;
use crate::open::write_frame;

/// KEEPALIVE: a sign of life, with room for a digest of everything announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// The digest, when the sender has one to compare: nothing or 16 bytes.
    pub digest: Option<[u8; 16]>,
}

impl Keepalive {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &[u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(body);
        if r.is_empty() {
            return Ok(Keepalive { digest: None });
        }
        match r.bytes(16)? {
            [] => Ok(Keepalive { digest: None }),
            bytes => {
                Ok(Keepalive { digest: Some(<[u8; 16]>::try_from(bytes).map_err(|_| FrameError::Value)?) })
            }
        }
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        write_frame(buf, FrameType::Keepalive, |out| match &self.digest {
            None => Ok(()),
            Some(digest) => out.bytes(digest),
        })
    }
}

/// REFUSED: how many routes of yours I do not hold, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// How many are refused at this moment.
    pub count: u32,
    /// Why, for a person. The sender's own words: escape them before they reach a terminal.
    pub reason: &'a str,
    /// Full names of services among them, parted by single spaces: as many as the sender knows and fit. Empty when it
    /// does not say.
    pub services: &'a str,
}

impl<'a> Refused<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(body);
        let (count, reason) = (r.u32()?, r.text(Limits::REASON)?);
        // A sender of before says no names; what does not read as names is the tail of some other version.
        let services = r.text(Limits::REASON).unwrap_or_default();
        Ok(Refused { count, reason, services })
    }

    /// Writes the whole frame; a reason that is too long is cut, names that are too many are left out.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        write_frame(buf, FrameType::Refused, |out| {
            out.u64(u64::from(self.count))?;
            out.text(cut(self.reason, Limits::REASON))?;
            if self.services.is_empty() {
                return Ok(());
            }
            let fits = cut(self.services, Limits::REASON);
            let whole = if fits.len() == self.services.len() {
                fits
            } else {
                fits.rsplit_once(' ').map_or("", |s| s.0)
            };
            out.text(whole)
        })
    }
}

/// Writes END_OF_RIB.
///
/// # Errors
/// [`Full`].
pub fn write_end_of_rib(buf: &mut [u8]) -> Result<&[u8], Full> {
    write_frame(buf, FrameType::EndOfRib, |_| Ok(()))
}
