//! Where a body ends. Bytes are handed on as they are; this only counts.

use crate::error::BadMessage;
use crate::fields::number;
use crate::limits::Limits;

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// All up to the end of the connection; answers only.
    UntilClose,
}

/// A body on its way.
#[derive(Clone, Debug)]
pub struct Body(State);

#[derive(Clone, Debug)]
enum State {
    Done,
    Bytes(u64),
    UntilClose,
    /// In the line of a chunk's size: the digits so far, bytes of the line, what was seen.
    Size {
        size: u64,
        digits: u8,
        line: usize,
        part: Part,
    },
    Data(u64),
    /// CR LF after the data: how many of the two were seen.
    DataEnd(u8),
    /// Trailers: bytes so far, bytes of the line so far, whether a CR waits for its LF.
    Trailers {
        bytes: usize,
        line: usize,
        cr: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Digits,
    Extension,
    Cr,
}

const SIZE: State = State::Size { size: 0, digits: 0, line: 0, part: Part::Digits };

impl Body {
    /// At its first byte.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Body(match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(bytes) => State::Bytes(bytes),
            Framing::Chunked => SIZE,
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Whether all of it has passed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Whether the end of the connection is a proper end of it.
    #[must_use]
    pub fn may_close(&self) -> bool {
        matches!(self.0, State::Done | State::UntilClose)
    }

    /// How many of these bytes belong to the body; what follows is of the next message.
    ///
    /// # Errors
    /// A malformed chunk. What came before it in `bytes` must not be handed on.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, BadMessage> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match &mut self.0 {
                State::Done => break,
                State::UntilClose => return Ok(bytes.len()),
                State::Bytes(left) => {
                    at += pass(left, rest);
                    if *left == 0 {
                        self.0 = State::Done;
                    }
                }
                State::Data(left) => {
                    at += pass(left, rest);
                    if *left == 0 {
                        self.0 = State::DataEnd(0);
                    }
                }
                _ => {
                    self.0 = rest.first().map_or(Ok(State::Done), |byte| self.0.step(*byte))?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }
}

fn pass(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    taken
}

impl State {
    /// One byte of what frames chunks.
    fn step(&self, byte: u8) -> Result<State, BadMessage> {
        let bad = Err(BadMessage::Chunk);
        Ok(match *self {
            State::Size { size, digits, line, part } => {
                let line = line + 1;
                if line > Limits::CHUNK_LINE {
                    return bad;
                }
                match (part, byte) {
                    (Part::Cr, b'\n') if size == 0 => State::Trailers { bytes: 0, line: 0, cr: false },
                    (Part::Cr, b'\n') => State::Data(size),
                    (Part::Digits | Part::Extension, b'\r') if digits > 0 => {
                        State::Size { size, digits, line, part: Part::Cr }
                    }
                    (Part::Digits, b';') if digits > 0 => {
                        State::Size { size, digits, line, part: Part::Extension }
                    }
                    (Part::Digits, _) => {
                        let Some(digit) = number(&[byte], 16).filter(|_| digits < 16) else { return bad };
                        State::Size { size: size << 4 | digit, digits: digits + 1, line, part }
                    }
                    (Part::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                        State::Size { size, digits, line, part }
                    }
                    _ => return bad,
                }
            }
            State::DataEnd(0) if byte == b'\r' => State::DataEnd(1),
            State::DataEnd(1) if byte == b'\n' => SIZE,
            State::Trailers { bytes, .. } if bytes >= Limits::TRAILERS => return bad,
            State::Trailers { line: 0, cr: true, .. } if byte == b'\n' => State::Done,
            State::Trailers { bytes, cr: true, .. } if byte == b'\n' => {
                State::Trailers { bytes: bytes + 1, line: 0, cr: false }
            }
            State::Trailers { bytes, line, cr: false } if byte == b'\r' => {
                State::Trailers { bytes: bytes + 1, line, cr: true }
            }
            // No folded line, no bare LF.
            State::Trailers { line: 0, cr: false, .. } if byte == b' ' || byte == b'\t' => return bad,
            State::Trailers { bytes, line, cr: false } if byte != b'\n' && byte != 0 => {
                State::Trailers { bytes: bytes + 1, line: line + 1, cr: false }
            }
            _ => return bad,
        })
    }
}
