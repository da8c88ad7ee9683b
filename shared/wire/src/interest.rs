//! INTEREST: the services that the sender wants to hear of. A list may take several frames.

use catalyst_names::Limits as NameLimits;

use crate::cursor::{Reader, Writer};
use crate::error::{FrameError, Full};
use crate::frame::{FrameType, HEADER, Header};
use crate::limits::Limits;

/// One frame of a list of patterns. The frame after one without [`Interest::more`] begins a new list, which
/// replaces the former.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest<'a> {
    /// The list goes on in the next frame.
    pub more: bool,
    /// No list: the sender wants to hear of everything.
    pub all: bool,
    patterns: &'a [u8],
}

const MORE: u8 = 1;
const ALL: u8 = 2;

/// Whether text may be a pattern: lower-case letters, digits, `-`, `.` and `*`, and at least one dot.
fn is_pattern(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'*');
    text.bytes().all(good) && text.contains('.')
}

impl<'a> Interest<'a> {
    /// Reads the body; all patterns are checked for their characters and their length.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(body);
        let flags = r.u8()?;
        let patterns = r.bytes(Limits::FRAME_BODY)?;
        let mut list = Reader::new(patterns);
        while !list.is_empty() {
            if !is_pattern(list.text(NameLimits::SERVICE)?) {
                return Err(FrameError::Text);
            }
        }
        Ok(Interest { more: flags & MORE != 0, all: flags & ALL != 0, patterns })
    }

    /// The patterns: full names of services, in which `*` stands for any characters of the first label, or for any
    /// organisation.
    pub fn patterns(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let mut list = Reader::new(self.patterns);
        core::iter::from_fn(move || list.text(NameLimits::SERVICE).ok())
    }

    /// Writes one frame with as many patterns as fit; returns it and how many those were. With fewer than all,
    /// the frame says that more follow. `None` instead of a list: everything.
    ///
    /// # Errors
    /// [`Full`] when a pattern does not fit at all.
    pub fn write<'b, 'p>(
        patterns: Option<impl Iterator<Item = &'p str> + Clone>,
        buf: &'b mut [u8],
    ) -> Result<(&'b [u8], usize), Full> {
        // The flags, and the length of the list in its longest form.
        const ROOM: usize = 1 + 3;
        let most = Limits::FRAME_BODY.min(buf.len().saturating_sub(HEADER)).saturating_sub(ROOM);
        let (mut fit, mut bytes, mut more) = (0, 0, false);
        for pattern in patterns.clone().into_iter().flatten() {
            // A pattern is shorter than 256 bytes: two bytes of length are the most.
            let len = pattern.len() + 1 + usize::from(pattern.len() > 127);
            if bytes + len > most {
                more = true;
                break;
            }
            bytes += len;
            fit += 1;
        }
        if more && fit == 0 {
            return Err(Full);
        }
        let mut out = Writer::new(buf.get_mut(HEADER..).ok_or(Full)?);
        out.u8(if more { MORE } else { 0 } | if patterns.is_none() { ALL } else { 0 })?;
        out.u64(bytes as u64)?;
        patterns.into_iter().flatten().take(fit).try_for_each(|pattern| out.text(pattern))?;
        let len = out.len();
        let header = Header::write(FrameType::Interest, len).map_err(|_| Full)?;
        buf.get_mut(..HEADER).ok_or(Full)?.copy_from_slice(&header);
        Ok((buf.get(..HEADER + len).ok_or(Full)?, fit))
    }
}
