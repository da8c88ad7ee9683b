//! NOTIFY: why the session ends, in a code and in words a person can act on.

use core::fmt;

use crate::cursor::Reader;
use crate::error::{FrameError, Full};
use crate::frame::FrameType;
use crate::limits::Limits;
use crate::open::write_frame;

/// Why a session ends. Numbers are never reused; an unknown number is shown as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifyCode(pub u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl NotifyCode {
            $($(#[$doc])* pub const $name: NotifyCode = NotifyCode($code);)*

            /// All that this version knows.
            pub const ALL: &'static [NotifyCode] = &[$(NotifyCode::$name),*];

            /// The name in messages and logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self.0 {
                    $($code => $text,)*
                    _ => "unknown",
                }
            }
        }
    };
}

codes! {
    /// No version in common.
    VERSION = 1, "version-mismatch";
    /// The certificate's owner is not configured as a peer here.
    UNCONFIGURED = 2, "unconfigured-peer";
    /// OPEN names another node than the certificate.
    IDENTITY = 3, "wrong-identity";
    /// The two sides hold different agreements. Carries the sender's document.
    AGREEMENT = 4, "agreement-mismatch";
    /// Nothing heard within the hold time.
    HOLD = 5, "hold-timer-expired";
    /// A frame could not be understood.
    MALFORMED = 6, "malformed-frame";
    /// A frame came where it may not: before OPEN, or a second OPEN.
    UNEXPECTED = 7, "unexpected-frame";
    /// A newer connection of the same peer took over.
    SUPERSEDED = 8, "superseded";
    /// Both sides dialled; the other connection stays.
    COLLISION = 9, "collision";
    /// The node stops.
    SHUTDOWN = 10, "shutdown";
    /// The peer was removed from the configuration.
    REMOVED = 11, "peer-removed";
    /// The peer no longer reads (RFC 9687).
    SEND_HOLD = 12, "send-hold-timer-expired";
    /// A limit of the sender is reached.
    LIMIT = 13, "limit";
}

impl fmt::Display for NotifyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            "unknown" => write!(f, "unknown code {}", self.0),
            text => f.pad(text),
        }
    }
}

/// The body: code, reason, document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify<'a> {
    /// Why.
    pub code: NotifyCode,
    /// The same for a person: what happened and what to do. The sender's own words, as is the document:
    /// escape them before they reach a terminal.
    pub reason: &'a str,
    /// With [`NotifyCode::AGREEMENT`]: the agreement that the sender holds.
    pub document: &'a str,
}

impl<'a> Notify<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(body);
        let code = NotifyCode(r.u16()?);
        let reason = r.text(Limits::REASON)?;
        let document = if r.is_empty() { "" } else { r.text(Limits::DOCUMENT)? };
        Ok(Notify { code, reason, document })
    }

    /// Writes the whole frame; a reason that is too long is cut, a document that is too long is left out.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        write_frame(buf, FrameType::Notify, |out| {
            out.u64(u64::from(self.code.0))?;
            out.text(cut(self.reason, Limits::REASON))?;
            match self.document {
                "" => Ok(()),
                long if long.len() > Limits::DOCUMENT => Ok(()),
                document => out.text(document),
            }
        })
    }
}

/// The longest prefix of whole characters within `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    (0..=max).rev().find_map(|n| text.get(..n)).unwrap_or("")
}
