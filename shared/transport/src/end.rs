//! How connections and halves of streams end, whatever carries them.

use std::fmt;

use quinn::{ConnectionError, ReadError, ReadExactError, WriteError};

use crate::code;
use crate::error::explain;

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConnEnd {
    /// This side closed it.
    Local,
    /// The peer closed it, with an application code and its words.
    Peer { code: u64, reason: String },
    /// QUIC's own idle timer.
    Silent,
    /// The peer does not know the connection any more.
    Reset,
    /// Anything else.
    Failed(String),
}

impl fmt::Display for ConnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnEnd::Local => f.write_str("closed"),
            ConnEnd::Peer { code, reason } => write!(f, "closed by the peer with code {code}: {reason}"),
            ConnEnd::Silent => f.write_str("no packets from the peer"),
            ConnEnd::Reset => f.write_str("reset by peer"),
            ConnEnd::Failed(why) => f.write_str(why),
        }
    }
}

impl ConnEnd {
    /// The peer closed it in order.
    pub fn in_order(&self) -> bool {
        matches!(self, ConnEnd::Peer { code, .. } if *code == code::CLOSED.into_inner())
    }
}

impl From<ConnectionError> for ConnEnd {
    fn from(error: ConnectionError) -> Self {
        match &error {
            ConnectionError::ApplicationClosed(close) => ConnEnd::Peer {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::TimedOut => ConnEnd::Silent,
            ConnectionError::Reset => ConnEnd::Reset,
            ConnectionError::LocallyClosed => ConnEnd::Local,
            other => ConnEnd::Failed(explain(other)),
        }
    }
}

/// Why one half of a stream is over, other than in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HalfEnd {
    /// The peer reset it, or stopped to read it, with this code.
    Peer(u64),
    /// The connection is gone.
    Lost(ConnEnd),
    /// It ended before all was read, or is over here already.
    Early(&'static str),
}

impl fmt::Display for HalfEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HalfEnd::Peer(code) => write!(f, "reset by the peer with code {code}"),
            HalfEnd::Lost(end) => write!(f, "{end}"),
            HalfEnd::Early(what) => f.write_str(what),
        }
    }
}

/// A half was used after its end.
pub(crate) const OVER: HalfEnd = HalfEnd::Early("this half of the stream is over");
/// The peer ended it in order, but too early.
pub(crate) const SHORT: HalfEnd = HalfEnd::Early("the stream ended too early");

impl From<WriteError> for HalfEnd {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => HalfEnd::Peer(code.into_inner()),
            WriteError::ConnectionLost(end) => HalfEnd::Lost(end.into()),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => OVER,
        }
    }
}

impl From<ReadError> for HalfEnd {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => HalfEnd::Peer(code.into_inner()),
            ReadError::ConnectionLost(end) => HalfEnd::Lost(end.into()),
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => OVER,
        }
    }
}

impl From<ReadExactError> for HalfEnd {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => SHORT,
            ReadExactError::ReadError(e) => e.into(),
        }
    }
}
