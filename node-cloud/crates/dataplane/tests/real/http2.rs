//! HTTP/2 (RFC 9113) by hand: a client that may say anything, well-formed or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::lab::PATIENCE;

pub trait Bytes: Read + Write + Send {}

impl<T: Read + Write + Send> Bytes for T {}

/// One connection. A request waits for its answer.
pub struct Http2 {
    io: Box<dyn Bytes>,
    next: u32,
}

/// What came back. Status 0: nothing, for the stream was reset or the connection closed.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The code of RST_STREAM.
    pub reset: Option<u32>,
    /// Why there is no connection any more.
    pub closed: Option<String>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(body.len()).unwrap().to_be_bytes()[1..].to_vec();
    all.extend([kind, flags]);
    all.extend(stream.to_be_bytes());
    all.extend(body);
    all
}

/// RFC 7541, section 5.1.
fn number(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        out.push(u8::try_from(value).unwrap());
        return;
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// RFC 7541, section 6.2.2: all as they are, nothing kept in tables.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        number(&mut out, name.len());
        out.extend(name.as_bytes());
        number(&mut out, value.len());
        out.extend(value.as_bytes());
    }
    out
}

/// `:status`, which is always the first: of the static table (RFC 7541, appendix A), or digits, maybe in Huffman code.
fn status(block: &[u8]) -> u16 {
    // The peer may first say how large its table is.
    let skipped = block.iter().take_while(|b| **b & 0xE0 == 0x20).count();
    match block[skipped..] {
        [indexed @ 0x88..=0x8E, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [0x48 | 0x08 | 0x18, length, ref rest @ ..] => {
            let text = &rest[..usize::from(length & 0x7F)];
            let digits: Vec<u8> = if length & 0x80 == 0 { text.to_vec() } else { digits(text) };
            String::from_utf8(digits).unwrap().parse().unwrap()
        }
        _ => 0,
    }
}

/// RFC 7541, appendix B, for the ten digits.
fn digits(text: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = text.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let mut at = 0;
    let mut all = Vec::new();
    while at + 5 <= bits.len() {
        let five = bits[at..at + 5].iter().fold(0, |sum, bit| sum * 2 + bit);
        if five <= 2 {
            all.push(b'0' + five);
            at += 5;
            continue;
        }
        if at + 6 > bits.len() {
            break;
        }
        let six = five * 2 + bits[at + 5];
        match six {
            0x19..=0x1F => all.push(b'3' + six - 0x19),
            _ => break,
        }
        at += 6;
    }
    all
}

impl Http2 {
    pub fn dial(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(Box::new(stream)).unwrap()
    }

    /// Over a connection whose reads end some time.
    pub fn over(mut io: Box<dyn Bytes>) -> std::io::Result<Self> {
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        // No table; no push.
        io.write_all(&frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]))?;
        io.flush()?;
        Ok(Http2 { io, next: 1 })
    }

    fn read(&mut self) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.io.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.io.read_exact(&mut body)?;
        let stream = u32::from_be_bytes([head[5] & 0x7F, head[6], head[7], head[8]]);
        Ok((head[3], head[4], stream, body))
    }

    /// Sends headers, without an end if there is a body or the stream stays open; says the stream's number.
    pub fn open(&mut self, fields: &[(&str, &str)], ends: bool) -> std::io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.io.write_all(&frame(HEADERS, flags, stream, &block(fields)))?;
        self.io.flush()?;
        Ok(stream)
    }

    pub fn get(&mut self, authority: &str, path: &str, more: &[(&str, &str)]) -> Answer {
        let mut fields =
            vec![(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", path)];
        fields.extend(more);
        self.ask(&fields)
    }

    /// All of the answer to a request without a body.
    pub fn ask(&mut self, fields: &[(&str, &str)]) -> Answer {
        match self.open(fields, true) {
            Ok(stream) => self.answer(stream, false),
            Err(why) => Answer { closed: Some(why.to_string()), ..Answer::default() },
        }
    }

    /// The answer on a stream; `started`: as far as its headers.
    pub fn answer(&mut self, wanted: u32, started: bool) -> Answer {
        let mut answer = Answer::default();
        let mut head = Vec::new();
        loop {
            let (kind, flags, stream, mut body) = match self.read() {
                Ok(frame) => frame,
                Err(why) => {
                    answer.closed = Some(why.to_string());
                    return answer;
                }
            };
            let _ = match (kind, flags & ACK) {
                (SETTINGS, 0) => self.io.write_all(&frame(SETTINGS, ACK, 0, &[])),
                (PING, 0) => self.io.write_all(&frame(PING, ACK, 0, &body)),
                _ => Ok(()),
            };
            let _ = self.io.flush();
            if kind == GOAWAY {
                answer.closed = Some(format!("GOAWAY {body:?}"));
            }
            if stream != wanted {
                continue;
            }
            if kind == DATA && !body.is_empty() {
                let more = u32::try_from(body.len()).unwrap().to_be_bytes();
                let _ = self.io.write_all(&frame(WINDOW, 0, 0, &more));
                let _ = self.io.write_all(&frame(WINDOW, 0, stream, &more));
            }
            if flags & PADDED != 0 && matches!(kind, DATA | HEADERS) {
                let padding = usize::from(body.remove(0));
                body.truncate(body.len() - padding);
            }
            match kind {
                DATA => answer.body.extend(&body),
                HEADERS | CONTINUATION => {
                    let skipped = if kind == HEADERS && flags & PRIORITY != 0 { 5 } else { 0 };
                    head.extend(&body[skipped..]);
                    if flags & END_HEADERS != 0 && answer.status == 0 {
                        answer.status = status(&head);
                        if started {
                            return answer;
                        }
                    }
                }
                RESET => {
                    answer.reset = body.try_into().map(u32::from_be_bytes).ok();
                    return answer;
                }
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return answer;
            }
        }
    }
}
