//! REFRESH: the full table once more within a running session (RFC 2918, with the marks of RFC 7313).

use crate::cursor::Reader;
use crate::error::{FrameError, Full};
use crate::frame::FrameType;
use crate::open::write_frame;

/// REFRESH: a wish for the full table, or the begin or end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// One of the constants; a receiver passes over kinds that it does not know.
    pub kind: u8,
}

impl Refresh {
    /// "Please send all of your table again."
    pub const REQUEST: Refresh = Refresh { kind: 1 };
    /// All of the sender's table follows (BoRR).
    pub const BEGIN: Refresh = Refresh { kind: 2 };
    /// That was all of it: what was not among it is gone (EoRR).
    pub const END: Refresh = Refresh { kind: 3 };

    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &[u8]) -> Result<Self, FrameError> {
        Reader::new(body).u8().map(|kind| Refresh { kind })
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        write_frame(buf, FrameType::Refresh, |out| out.u8(self.kind))
    }
}
