//! The bytes of the multiplexer: a head of eight bytes, then the body.
//!
//! ```text
//! kind u8 | length of the body u24 | stream u32 | body          all big-endian
//! ```
//!
//! Kinds that are not known are skipped with their body, so that later versions may add some.

/// Bytes of a head.
pub(super) const HEAD: usize = 8;
/// Bytes of a body, at most. More is a broken protocol.
pub(super) const BODY: usize = 16 * 1024;
/// Bytes of the text of [`Kind::CLOSE`], at most.
const TEXT: usize = 256;
/// Bytes of a body that is not data and not skipped.
const SMALL: usize = 4 + TEXT;

/// What a frame is; the names of RFC 9000 where it has the same.
pub(super) struct Kind;

impl Kind {
    /// The first frame of each side: stream window, connection window, streams, each u32.
    pub const HELLO: u8 = 1;
    /// Bytes of a stream.
    pub const DATA: u8 = 2;
    /// The sender's half of a stream has ended in order.
    pub const FIN: u8 = 3;
    /// The sender's half of a stream ends now, with a code u32.
    pub const RESET: u8 = 4;
    /// The sender reads no more of a stream; a code u32.
    pub const STOP: u8 = 5;
    /// So many more bytes (u32) may come on a stream; stream 0 is the connection.
    pub const CREDIT: u8 = 6;
    /// How many streams (u32) the receiver may have opened since the start.
    pub const STREAMS: u8 = 7;
    /// Asks for a PONG.
    pub const PING: u8 = 8;
    /// Answers a PING.
    pub const PONG: u8 = 9;
    /// The connection ends: a code u32, then a text.
    pub const CLOSE: u8 = 10;
}

/// What both sides allow each other at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub stream_window: u32,
    pub window: u32,
    pub streams: u32,
}

/// The peer broke the rules of the multiplexer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("a frame of {0} bytes, above the limit")]
    TooLong(usize),
    #[error("a frame of kind {0} with a body of {1} bytes")]
    BadBody(u8, usize),
    #[error("the first frame is of kind {0}, not HELLO")]
    NoHello(u8),
    #[error("a second HELLO")]
    SecondHello,
    #[error("a frame for stream {0}, which is not its own to open or beyond the limit")]
    BadStream(u32),
    #[error("more bytes than stream {0} was given credit for")]
    Credit(u32),
    #[error("data on stream {0} after its end")]
    AfterEnd(u32),
}

/// A frame, or a part of one that is data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Hello(Hello),
    /// A frame of data begins; its bytes follow as parts.
    Data {
        stream: u32,
        len: usize,
    },
    Part {
        stream: u32,
        bytes: &'a [u8],
    },
    Fin(u32),
    Reset(u32, u32),
    Stop(u32, u32),
    Credit(u32, u32),
    Streams(u32),
    Ping,
    Pong,
    Close(u32, &'a [u8]),
    Skipped,
}

/// Appends a frame without data.
fn put(out: &mut Vec<u8>, kind: u8, stream: u32, body: &[u8]) {
    put_head(out, kind, stream, body.len());
    out.extend_from_slice(body);
}

fn put_head(out: &mut Vec<u8>, kind: u8, stream: u32, len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX) & 0x00ff_ffff;
    out.extend_from_slice(&((u32::from(kind) << 24) | len).to_be_bytes());
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a frame whose body is one number.
pub(super) fn put_number(out: &mut Vec<u8>, kind: u8, stream: u32, number: u32) {
    put(out, kind, stream, &number.to_be_bytes());
}

/// Appends a frame without a body.
pub(super) fn put_empty(out: &mut Vec<u8>, kind: u8, stream: u32) {
    put(out, kind, stream, &[]);
}

/// Appends a frame of data, of [`BODY`] bytes at most.
pub(super) fn put_data(out: &mut Vec<u8>, stream: u32, bytes: &[u8]) {
    put(out, Kind::DATA, stream, bytes);
}

/// Appends the greeting.
pub(super) fn put_hello(out: &mut Vec<u8>, hello: Hello) {
    put_head(out, Kind::HELLO, 0, 12);
    for number in [hello.stream_window, hello.window, hello.streams] {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Appends the end; a text that is too long is cut.
pub(super) fn put_close(out: &mut Vec<u8>, code: u32, text: &[u8]) {
    let text = text.get(..TEXT).unwrap_or(text);
    put_head(out, Kind::CLOSE, 0, 4 + text.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(text);
}

/// Cuts a byte stream into pieces. Data is handed on as it comes; other bodies, which are small, are collected.
#[derive(Debug, Default)]
pub(super) struct Parser {
    head: [u8; HEAD],
    /// Bytes of the head that are here.
    have: usize,
    /// Bytes of the body that are still to come, once the head is whole.
    left: usize,
    small: Vec<u8>,
}

impl Parser {
    /// The next piece at the start of `input`, and how many bytes it took; `None` when all were taken without one.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Piece<'a>>), Broken> {
        let mut taken = 0;
        if self.have < HEAD {
            taken = input.len().min(HEAD - self.have);
            let (Some(to), Some(from)) =
                (self.head.get_mut(self.have..self.have + taken), input.get(..taken))
            else {
                return Ok((0, None));
            };
            to.copy_from_slice(from);
            self.have += taken;
            if self.have < HEAD {
                return Ok((taken, None));
            }
            let (kind, stream, len) = self.parts();
            if len > BODY {
                return Err(Broken::TooLong(len));
            }
            if (Kind::HELLO..=Kind::CLOSE).contains(&kind) && kind != Kind::DATA && len > SMALL {
                return Err(Broken::BadBody(kind, len));
            }
            self.left = len;
            self.small.clear();
            if kind == Kind::DATA {
                if len == 0 {
                    self.have = 0;
                }
                return Ok((taken, Some(Piece::Data { stream, len })));
            }
        }
        let rest = input.get(taken..).unwrap_or_default();
        let part = rest.get(..self.left.min(rest.len())).unwrap_or_default();
        let (kind, stream, _) = self.parts();
        self.left -= part.len();
        taken += part.len();
        if kind == Kind::DATA {
            if self.left == 0 {
                self.have = 0;
            }
            return Ok((taken, (!part.is_empty()).then_some(Piece::Part { stream, bytes: part })));
        }
        let known = (Kind::HELLO..=Kind::CLOSE).contains(&kind);
        if known {
            self.small.extend_from_slice(part);
        }
        if self.left > 0 {
            return Ok((taken, None));
        }
        self.have = 0;
        if !known {
            return Ok((taken, Some(Piece::Skipped)));
        }
        let piece = decode(kind, stream, &self.small).ok_or(Broken::BadBody(kind, self.small.len()))?;
        Ok((taken, Some(piece)))
    }

    fn parts(&self) -> (u8, u32, usize) {
        let [kind, a, b, c, w, x, y, z] = self.head;
        (kind, u32::from_be_bytes([w, x, y, z]), u32::from_be_bytes([0, a, b, c]) as usize)
    }
}

fn decode(kind: u8, stream: u32, body: &[u8]) -> Option<Piece<'_>> {
    let number = || body.try_into().ok().map(u32::from_be_bytes);
    Some(match kind {
        Kind::HELLO => {
            let at = |i: usize| body.get(i..i + 4)?.try_into().ok().map(u32::from_be_bytes);
            // Later versions may append to it.
            Piece::Hello(Hello { stream_window: at(0)?, window: at(4)?, streams: at(8)? })
        }
        Kind::FIN => Piece::Fin(stream),
        Kind::RESET => Piece::Reset(stream, number()?),
        Kind::STOP => Piece::Stop(stream, number()?),
        Kind::CREDIT => Piece::Credit(stream, number()?),
        Kind::STREAMS => Piece::Streams(number()?),
        Kind::PING => Piece::Ping,
        Kind::PONG => Piece::Pong,
        Kind::CLOSE => {
            let (code, text) = body.split_first_chunk()?;
            Piece::Close(u32::from_be_bytes(*code), text)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<u8> {
        let mut out = Vec::new();
        put_hello(&mut out, Hello { stream_window: 1, window: 2, streams: 3 });
        put_data(&mut out, 5, b"hello");
        put_data(&mut out, 7, b"");
        put_empty(&mut out, Kind::FIN, 5);
        put(&mut out, 99, 1, b"of a later version");
        for kind in [Kind::RESET, Kind::STOP, Kind::CREDIT, Kind::STREAMS] {
            put_number(&mut out, kind, 9, 77);
        }
        put_empty(&mut out, Kind::PING, 0);
        put_empty(&mut out, Kind::PONG, 0);
        put_close(&mut out, 6, b"why");
        out
    }

    fn parse(chunks: &[&[u8]]) -> Result<Vec<String>, Broken> {
        let (mut parser, mut seen, mut data) = (Parser::default(), Vec::new(), Vec::new());
        for chunk in chunks {
            let mut input = *chunk;
            while !input.is_empty() {
                let (taken, piece) = parser.next(input)?;
                match piece {
                    Some(Piece::Part { bytes, .. }) => data.extend_from_slice(bytes),
                    Some(piece) => seen.push(format!("{piece:?}")),
                    None => assert_eq!(taken, input.len()),
                }
                input = &input[taken..];
            }
        }
        seen.push(String::from_utf8_lossy(&data).into_owned());
        Ok(seen)
    }

    #[test]
    fn frames_survive_any_cut() {
        let bytes = all();
        let whole = parse(&[&bytes]).unwrap();
        assert_eq!(whole.len(), 13);
        assert_eq!(whole.last().map(String::as_str), Some("hello"));
        for size in 1..bytes.len() {
            let chunks: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(parse(&chunks).as_ref(), Ok(&whole), "chunks of {size}");
        }
    }

    #[test]
    fn the_bytes_are_what_they_were() {
        let mut out = Vec::new();
        put_number(&mut out, Kind::RESET, 0x0102_0304, 5);
        assert_eq!(out, [4, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 5]);
        out.clear();
        put_hello(&mut out, Hello { stream_window: 1, window: 2, streams: 3 });
        assert_eq!(out, [1, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert_eq!(parse(&[&[2, 0, 0x40, 1, 0, 0, 0, 1]]), Err(Broken::TooLong(BODY + 1)));
        assert_eq!(parse(&[&[10, 0, 1, 5, 0, 0, 0, 0]]), Err(Broken::BadBody(10, 261)));
        assert_eq!(parse(&[&[4, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]]), Err(Broken::BadBody(4, 3)));
        assert_eq!(parse(&[&[1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]]), Err(Broken::BadBody(1, 4)));
    }
}
