//! The envelope: type, flags, length, body.

use crate::error::FrameError;
use crate::limits::Limits;

/// Bytes of a frame's header.
pub const HEADER: usize = 4;

/// A receiver that does not know the type may skip a frame that carries this flag.
pub const OPTIONAL: u8 = 1;

/// The types of frames. Numbers are never reused; those without a reader yet are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum FrameType {
    /// First frame of each side: who, which versions, how long to hold.
    Open = 1,
    /// Announcements, then withdrawals, applied as one.
    Update = 2,
    /// Everything that stood at the start of the session has been sent.
    EndOfRib = 3,
    /// Begin or end of a repeated full table.
    Refresh = 4,
    /// The services that the sender wants to hear of.
    Interest = 5,
    /// A sign of life, with room for the digest of what was announced.
    Keepalive = 6,
    /// Routes that the sender did not take: how many and why.
    Refused = 7,
    /// A signed statement of the own organisation: who is revoked.
    Trust = 8,
    /// The reason why the session ends. Always the last frame.
    Notify = 9,
    /// "Please dial the data connection": from a side that cannot dial. Handled by the transport.
    DialData = 10,
}

impl FrameType {
    /// All of them.
    pub const ALL: [FrameType; 10] = [
        FrameType::Open,
        FrameType::Update,
        FrameType::EndOfRib,
        FrameType::Refresh,
        FrameType::Interest,
        FrameType::Keepalive,
        FrameType::Refused,
        FrameType::Trust,
        FrameType::Notify,
        FrameType::DialData,
    ];

    /// The type with this number, if this version knows it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| *t as u8 == code)
    }

    /// The name in messages and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FrameType::Open => "OPEN",
            FrameType::Update => "UPDATE",
            FrameType::EndOfRib => "END_OF_RIB",
            FrameType::Refresh => "REFRESH",
            FrameType::Interest => "INTEREST",
            FrameType::Keepalive => "KEEPALIVE",
            FrameType::Refused => "REFUSED",
            FrameType::Trust => "TRUST",
            FrameType::Notify => "NOTIFY",
            FrameType::DialData => "DIAL_DATA",
        }
    }
}

/// A header, read ahead of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the type.
    pub code: u8,
    /// [`OPTIONAL`] or nothing.
    pub flags: u8,
    /// Bytes of the body.
    pub len: usize,
}

impl Header {
    /// Reads a header, and refuses a body that is too long before any of it is read.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn read(bytes: [u8; HEADER]) -> Result<Self, FrameError> {
        let [code, flags, high, low] = bytes;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > Limits::FRAME_BODY {
            return Err(FrameError::TooLong(len));
        }
        Ok(Header { code, flags, len })
    }

    /// The header of a frame of this type.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn write(kind: FrameType, body: usize) -> Result<[u8; HEADER], FrameError> {
        let len = u16::try_from(body).ok().filter(|n| usize::from(*n) <= Limits::FRAME_BODY);
        let [high, low] = len.ok_or(FrameError::TooLong(body))?.to_be_bytes();
        Ok([kind as u8, 0, high, low])
    }
}

/// One whole frame, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The number of the type.
    pub code: u8,
    /// [`OPTIONAL`] or nothing.
    pub flags: u8,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits the first frame off `bytes`. `None` means that more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn split(bytes: &'a [u8]) -> Result<Option<(Frame<'a>, &'a [u8])>, FrameError> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::read(*head)?;
        let Some((body, rest)) = rest.split_at_checked(header.len) else { return Ok(None) };
        Ok(Some((Frame { code: header.code, flags: header.flags, body }, rest)))
    }

    /// Reads `bytes` as exactly one frame.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when it is not one, [`FrameError::TooLong`].
    pub fn whole(bytes: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        match Self::split(bytes)? {
            Some((frame, [])) => Ok(frame),
            _ => Err(FrameError::Truncated),
        }
    }

    /// The type; `None` for an unknown one that may be skipped.
    ///
    /// # Errors
    /// [`FrameError::UnknownType`] for an unknown one that may not.
    pub fn kind(&self) -> Result<Option<FrameType>, FrameError> {
        match FrameType::from_code(self.code) {
            Some(kind) => Ok(Some(kind)),
            None if self.flags & OPTIONAL != 0 => Ok(None),
            None => Err(FrameError::UnknownType(self.code)),
        }
    }
}
