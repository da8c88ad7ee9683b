//! The head of a request.

use httparse::{EMPTY_HEADER, Header};

use crate::body::Framing;
use crate::error::BadMessage;
use crate::fields::{Length, all, length, lists};
use crate::limits::Limits;

/// What a request's head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The host it is for, in lower case, without port. An absolute target's authority wins over `Host`
    /// (RFC 9112 section 3.2.2).
    pub host: String,
    /// How its body ends.
    pub framing: Framing,
    /// HEAD: the answer has no body, whatever it says.
    pub is_head: bool,
    /// Sent twice, it does what it does once (RFC 9110 section 9.2.2): it may be tried again on a new connection.
    pub idempotent: bool,
    /// The connection may carry another request after this one.
    pub keep_alive: bool,
    /// It asks to change the protocol (RFC 9110 section 7.8).
    pub upgrade: bool,
}

impl Request {
    /// Reads a whole head, of the length that [`head_length`](crate::head_length) told.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(head: &[u8]) -> Result<Self, BadMessage> {
        let mut fields = [EMPTY_HEADER; Limits::FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(BadMessage::Malformed("its end is not where it should be")),
            Err(httparse::Error::TooManyHeaders) => return Err(BadMessage::TooManyFields),
            Err(httparse::Error::Version) => return Err(BadMessage::Version),
            Err(httparse::Error::HeaderName) => return Err(BadMessage::Malformed("a field name")),
            Err(httparse::Error::HeaderValue) => return Err(BadMessage::Malformed("a field value")),
            Err(_) => return Err(BadMessage::Malformed("the request line")),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(BadMessage::Malformed("the request line"));
        };
        if method == "CONNECT" {
            return Err(BadMessage::Connect);
        }
        let fields: &[Header<'_>] = parsed.headers;
        let host = host(target, fields)?;
        let framing = match length(fields)? {
            // HTTP/1.0 knows no chunks: what an old server makes of them is not known (RFC 9112 section 6.1).
            Length::Chunked if minor == 0 => return Err(BadMessage::Coding),
            Length::Chunked => Framing::Chunked,
            Length::Bytes(bytes) => Framing::Length(bytes),
            Length::None => Framing::None,
        };
        Ok(Request {
            host,
            framing,
            is_head: method == "HEAD",
            idempotent: matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"),
            keep_alive: minor == 1 && !lists(fields, "connection", "close"),
            upgrade: lists(fields, "connection", "upgrade") && all(fields, "upgrade").next().is_some(),
        })
    }
}

fn host(target: &str, fields: &[Header<'_>]) -> Result<String, BadMessage> {
    let mut hosts = all(fields, "host");
    // It has to be there and in order even when the target names another one.
    let (Some(field), None) = (hosts.next(), hosts.next()) else { return Err(BadMessage::Host) };
    let field = name(std::str::from_utf8(field).map_err(|_| BadMessage::Host)?)?;
    if target.starts_with('/') || target == "*" {
        return Ok(field);
    }
    let (scheme, rest) = target.split_once("://").ok_or(BadMessage::Malformed("the target"))?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(BadMessage::Malformed("the target's scheme"));
    }
    name(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// A host without its port. User names, brackets and anything but a DNS name's characters are refused: they name no
/// service. The port may be empty, after its colon (RFC 3986 section 3.2.3), and is one that TCP has: whoever reads
/// `a:65616` as port 80 and who does not would see two requests in one.
fn name(authority: &str) -> Result<String, BadMessage> {
    let authority = authority.trim_matches([' ', '\t']);
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let fits = port.is_empty() || digits && port.parse::<u16>().is_ok();
    // One dot at the end is the root of DNS; a second one would be an empty label.
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels = !name.is_empty() && name.split('.').all(|label| !label.is_empty());
    if !labels || !name.bytes().all(good) || !fits {
        return Err(BadMessage::Host);
    }
    Ok(name.to_ascii_lowercase())
}
