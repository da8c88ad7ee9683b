//! Why a message is not taken.

/// What is wrong with a message. The text is for the person who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Not HTTP/1.x at all, or a field that RFC 9112 does not allow.
    #[error("the head is not HTTP/1.1: {0}")]
    Malformed(&'static str),
    /// A line ends with a bare LF, or a CR stands alone (RFC 9112 section 2.2).
    #[error("lines must end with CR LF; a bare CR or LF is refused")]
    BareLineEnd,
    /// A field goes on in the next line (RFC 9112 section 5.2).
    #[error("a folded header line is refused")]
    Folded,
    /// More than [`Limits::HEAD`](crate::Limits::HEAD) bytes.
    #[error("the head is longer than 16 KiB")]
    HeadTooLong,
    /// More than [`Limits::FIELDS`](crate::Limits::FIELDS).
    #[error("there are more than 100 header fields")]
    TooManyFields,
    /// `Host` is missing, given twice, or not a name with a port that TCP has (RFC 9112 section 3.2).
    #[error("one Host header with a host name is needed; if it has a port, one of at most 65535")]
    Host,
    /// Both a length and a transfer coding, or several lengths, or one that is no number (RFC 9112 section 6.3).
    #[error("the length of the body is given twice or wrongly: {0}")]
    Length(&'static str),
    /// A coding other than `chunked` (RFC 9112 section 6.1).
    #[error("Transfer-Encoding may only be 'chunked'")]
    Coding,
    /// A chunk's size or end is wrong (RFC 9112 section 7.1).
    #[error("a chunk of the body is malformed")]
    Chunk,
    /// CONNECT (RFC 9110 section 9.3.6).
    #[error("this port is no proxy: CONNECT is refused")]
    Connect,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3).
    #[error(
        "this port speaks HTTP/1.1 only: HTTP/2 with prior knowledge (gRPC) needs an 'expose' port of its own"
    )]
    Http2,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("only HTTP/1.1 and HTTP/1.0 are spoken here")]
    Version,
}

impl BadMessage {
    /// The status code of the answer (RFC 9110 section 15, RFC 6585).
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            BadMessage::HeadTooLong | BadMessage::TooManyFields => 431,
            BadMessage::Coding | BadMessage::Connect => 501,
            BadMessage::Version | BadMessage::Http2 => 505,
            _ => 400,
        }
    }
}
