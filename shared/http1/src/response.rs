//! The head of an answer.

use httparse::{EMPTY_HEADER, Header};

use crate::body::Framing;
use crate::error::BadMessage;
use crate::fields::{Length, length, lists};
use crate::limits::Limits;

/// What an answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// How its body ends.
    pub framing: Framing,
    /// The connection may carry another exchange after this one.
    pub keep_alive: bool,
}

impl Response {
    /// Reads a whole head; `to_head` when the request was HEAD.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(head: &[u8], to_head: bool) -> Result<Self, BadMessage> {
        let mut fields = [EMPTY_HEADER; Limits::FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(BadMessage::TooManyFields),
            Err(httparse::Error::Version) => return Err(BadMessage::Version),
            _ => return Err(BadMessage::Malformed("the answer")),
        }
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(BadMessage::Malformed("the status line"));
        };
        if !(100..=599).contains(&status) {
            return Err(BadMessage::Malformed("the status code"));
        }
        let fields: &[Header<'_>] = parsed.headers;
        let told = length(fields)?;
        // RFC 9112 section 6.3, in its order: some answers have no body whatever their fields say.
        let framing = match told {
            _ if to_head || status < 200 || status == 204 || status == 304 => Framing::None,
            Length::Chunked if minor == 0 => return Err(BadMessage::Coding),
            Length::Chunked => Framing::Chunked,
            Length::Bytes(bytes) => Framing::Length(bytes),
            Length::None => Framing::UntilClose,
        };
        let keep_alive =
            minor == 1 && framing != Framing::UntilClose && !lists(fields, "connection", "close");
        Ok(Response { status, framing, keep_alive })
    }

    /// Another head follows: 1xx, but 101, after which the connection is no longer HTTP.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}
