//! Why a session ends from our side: a code for the wire and words for a person.

use core::fmt;

use catalyst_names::NodeName;
use catalyst_wire::{FrameError, FrameType, NotifyCode};

/// What went wrong. Goes into NOTIFY and into the log of this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No version in common: ours, theirs.
    Version((u8, u8), (u8, u8)),
    /// OPEN names a node, the certificate another.
    Identity(NodeName),
    /// The digests of the agreement differ, or only one side has one.
    Agreement {
        /// We hold an agreement.
        ours: bool,
        /// They hold one.
        theirs: bool,
    },
    /// Nothing was heard for this many milliseconds.
    Hold(u64),
    /// They did not read for this many milliseconds.
    SendHold(u64),
    /// No OPEN within this many milliseconds.
    OpenTimer(u64),
    /// A frame that cannot be understood.
    Malformed(FrameError),
    /// A frame that may not come now: its type, and whether OPEN had been seen.
    Unexpected(FrameType, bool),
}

impl Failure {
    /// The code in NOTIFY.
    #[must_use]
    pub fn code(&self) -> NotifyCode {
        match self {
            Failure::Version(..) => NotifyCode::VERSION,
            Failure::Identity(_) => NotifyCode::IDENTITY,
            Failure::Agreement { .. } => NotifyCode::AGREEMENT,
            Failure::Hold(_) | Failure::OpenTimer(_) => NotifyCode::HOLD,
            Failure::SendHold(_) => NotifyCode::SEND_HOLD,
            Failure::Malformed(_) => NotifyCode::MALFORMED,
            Failure::Unexpected(..) => NotifyCode::UNEXPECTED,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Version(ours, theirs) => write!(
                f,
                "no protocol version in common: this node speaks {} to {}, the other {} to {}; upgrade the older one",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Failure::Identity(said) => {
                write!(f, "OPEN says '{said}' but the certificate belongs to another node")
            }
            Failure::Agreement { ours: true, theirs: true } => {
                f.write_str("the two sides hold different agreements; compare the documents and give both sides the same file")
            }
            Failure::Agreement { ours: true, theirs: false } => {
                f.write_str("this side holds an agreement, the other holds none; give it the same file")
            }
            Failure::Agreement { .. } => {
                f.write_str("the other side holds an agreement, this side holds none; give it the same file")
            }
            Failure::Hold(ms) => write!(f, "nothing was heard for {ms} ms"),
            Failure::SendHold(ms) => write!(f, "the other side has not read for {ms} ms"),
            Failure::OpenTimer(ms) => write!(f, "no OPEN came within {ms} ms"),
            Failure::Malformed(error) => error.fmt(f),
            Failure::Unexpected(kind, false) => write!(f, "{} came before OPEN", kind.as_str()),
            Failure::Unexpected(kind, true) => write!(f, "a second {} came", kind.as_str()),
        }
    }
}

impl core::error::Error for Failure {}
