//! The header that starts each stream of a data connection.
//!
//! ```text
//! version: u8 = 1 | length: u16, big-endian | length bytes: postcard fields, then a tail
//! tail: nothing, or kind: u8 (0 bytes, 1 packets), then a tail of later versions
//! ```
//!
//! A reader asks [`StreamHeader::needs`] how many bytes it wants, so that nothing of the payload behind the
//! header is read by mistake. A tail behind the known fields is skipped; new fields go there. A reader that does not
//! know of kinds takes every flow for one of bytes, and refuses it for a service of packets.

use core::fmt;

use catalyst_names::{NodeName, OriginId, ServiceName};
use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// Bytes before the fields: version and length.
pub const PREFIX: usize = 3;
const VERSION: u8 = 1;

/// What the receiving node must know of a flow before its first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHeader {
    /// The service that the caller wants.
    pub service: ServiceName,
    /// One origin of it, if the sender's route names one.
    pub origin: Option<OriginId>,
    /// The node at which the flow entered the fabric.
    pub caller: NodeName,
    /// Trace context of the flow (W3C Trace Context level 1, section 3.2.2).
    pub trace: Option<TraceContext>,
    /// The sender's policy epoch when it admitted the flow: a flow of an older epoch than a withdrawn permission is cut.
    pub policy_epoch: u64,
    /// Nodes that the flow may still pass. A node that would send it on with 0 refuses.
    pub hop_limit: u8,
    /// What flows behind the header. In the tail, left out for bytes.
    #[serde(skip)]
    pub kind: FlowKind,
}

/// What a flow carries. The number of each is what the wire carries; numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum FlowKind {
    /// A byte stream, as TCP.
    #[default]
    Bytes = 0,
    /// Packets with their boundaries, as UDP: see [`crate::packet`].
    Packets = 1,
}

/// The binary form of `traceparent`: who started this, and which step of it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// Of the whole trace.
    pub trace_id: [u8; 16],
    /// Of the sender's span.
    pub parent_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

/// Why bytes are no header. The stream that carried them is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// A version that this node does not read.
    Version(u8),
    /// Longer than [`Limits::HEADER`]: the length it claims.
    TooLong(usize),
    /// The bytes end before the header does.
    Truncated,
    /// The fields do not decode: a name with a wrong character, say.
    Fields,
    /// A kind of flow that this node does not know.
    Kind(u8),
    /// The buffer to encode into is too small.
    NoRoom,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Version(v) => {
                write!(f, "stream header of version {v}; this node reads version {VERSION}")
            }
            HeaderError::TooLong(n) => {
                write!(f, "stream header of {n} bytes; at most {} are allowed", Limits::HEADER)
            }
            HeaderError::Truncated => f.write_str("the stream ended inside its header"),
            HeaderError::Fields => f.write_str("the fields of the stream header do not decode"),
            HeaderError::Kind(kind) => {
                write!(f, "flow of kind {kind}; this node knows bytes (0) and packets (1)")
            }
            HeaderError::NoRoom => write!(f, "a stream header needs a buffer of {} bytes", Limits::HEADER),
        }
    }
}

impl core::error::Error for HeaderError {}

impl StreamHeader {
    /// Writes the header to the start of `out` and returns its length. `out` of [`Limits::HEADER`] bytes always suffices.
    ///
    /// # Errors
    /// [`HeaderError::NoRoom`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, HeaderError> {
        let (prefix, body) = out.split_at_mut_checked(PREFIX).ok_or(HeaderError::NoRoom)?;
        let mut len = postcard::to_slice(self, body).map_err(|_| HeaderError::NoRoom)?.len();
        if self.kind != FlowKind::Bytes {
            *body.get_mut(len).ok_or(HeaderError::NoRoom)? = self.kind as u8;
            len += 1;
        }
        let total = PREFIX + len;
        if total > Limits::HEADER {
            return Err(HeaderError::TooLong(total));
        }
        let [hi, lo] = u16::try_from(len).map_err(|_| HeaderError::TooLong(total))?.to_be_bytes();
        prefix.copy_from_slice(&[VERSION, hi, lo]);
        Ok(total)
    }

    /// How many bytes the header has in all, as far as `have` tells: [`PREFIX`] until the length is there.
    ///
    /// # Errors
    /// A version or a length that no header has; no more bytes need to be read then.
    pub fn needs(have: &[u8]) -> Result<usize, HeaderError> {
        if let Some(&version) = have.first().filter(|v| **v != VERSION) {
            return Err(HeaderError::Version(version));
        }
        let Some(&[_, hi, lo]) = have.first_chunk::<PREFIX>() else { return Ok(PREFIX) };
        let total = PREFIX + usize::from(u16::from_be_bytes([hi, lo]));
        if total > Limits::HEADER { Err(HeaderError::TooLong(total)) } else { Ok(total) }
    }

    /// Reads a header from the start of `bytes`; returns it and its length, behind which the payload starts.
    ///
    /// # Errors
    /// As [`StreamHeader::needs`], and what the fields get wrong.
    pub fn decode(bytes: &[u8]) -> Result<(StreamHeader, usize), HeaderError> {
        let total = Self::needs(bytes)?;
        let body = bytes.get(PREFIX..total).ok_or(HeaderError::Truncated)?;
        let (mut header, tail) =
            postcard::take_from_bytes::<StreamHeader>(body).map_err(|_| HeaderError::Fields)?;
        header.kind = match tail.first() {
            None | Some(0) => FlowKind::Bytes,
            Some(1) => FlowKind::Packets,
            Some(&kind) => return Err(HeaderError::Kind(kind)),
        };
        Ok((header, total))
    }
}

/// Entry point for fuzzing: whatever the bytes, decoding ends with a header or an error, and a header that
/// decodes encodes again to one that is equal.
///
/// # Panics
/// Only when the codec is wrong; that is what a fuzzer looks for.
pub fn fuzz_header(bytes: &[u8]) {
    let Ok((header, used)) = StreamHeader::decode(bytes) else { return };
    assert!(used <= bytes.len() && used <= Limits::HEADER, "a header reaches beyond its bytes");
    let mut again = [0; Limits::HEADER];
    let len = header.encode(&mut again);
    let back = len.and_then(|len| StreamHeader::decode(again.get(..len).unwrap_or(&[])));
    assert_eq!(back.map(|(h, _)| h), Ok(header), "a decoded header does not encode to itself");
}

#[cfg(test)]
mod tests;
