//! Where a head ends, and that its line ends are what they must be.

use crate::error::BadMessage;
use crate::limits::Limits;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The length of the head at the start of `bytes`, its empty line included; `None` while it is not whole.
///
/// Empty lines before a request are the caller's business: one CR LF may be skipped (RFC 9112 section 2.2).
///
/// # Errors
/// What is wrong already, as early as it shows.
pub fn head_length(bytes: &[u8]) -> Result<Option<usize>, BadMessage> {
    if bytes.starts_with(HTTP2_PREFACE) {
        return Err(BadMessage::Http2);
    }
    let mut before = [0u8; 3];
    for (at, &byte) in bytes.iter().enumerate() {
        if at >= Limits::HEAD {
            return Err(BadMessage::HeadTooLong);
        }
        let [third, second, last] = before;
        match byte {
            b'\n' if last != b'\r' => return Err(BadMessage::BareLineEnd),
            b'\n' if [third, second] == *b"\r\n" => return Ok(Some(at + 1)),
            b'\n' => {}
            _ if last == b'\r' => return Err(BadMessage::BareLineEnd),
            b' ' | b'\t' if [second, last] == *b"\r\n" => return Err(BadMessage::Folded),
            0 => return Err(BadMessage::Malformed("a zero byte")),
            _ => {}
        }
        before = [second, last, byte];
    }
    if bytes.len() >= Limits::HEAD { Err(BadMessage::HeadTooLong) } else { Ok(None) }
}
