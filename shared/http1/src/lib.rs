//! HTTP/1.1 messages as a gateway sees them (RFC 9112): heads are checked strictly, bodies are framed exactly and
//! handed on as they come. No I/O, no clock; the head's text is the only thing that is kept.
//!
//! A gateway that reads a message otherwise than the server behind it lets one client put words into another's mouth
//! (request smuggling). So what RFC 9112 lets a server tolerate is refused here: bare LF and CR, folded lines, space
//! before a colon, more than one length, a length next to a transfer coding, any coding but `chunked`.
//!
//! | file | subject |
//! |---|---|
//! | `head` | where a head ends, and that its bytes are in order |
//! | `request`, `response` | what a head means: service, framing, connection |
//! | `body` | where a body ends |
//! | `limits` | how much of anything is taken |
#![forbid(unsafe_code)]

mod body;
mod error;
mod fields;
mod head;
mod limits;
mod request;
mod response;

pub use body::{Body, Framing};
pub use error::BadMessage;
pub use head::head_length;
pub use limits::Limits;
pub use request::Request;
pub use response::Response;
