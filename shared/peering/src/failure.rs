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
    /// The digests of the agreement differ, or only one side has one: ours, theirs.
    Agreement(Option<[u8; 32]>, Option<[u8; 32]>),
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

/// Bytes of a digest that a person is shown, and compares.
const SHOWN: usize = 8;

/// The digest of an agreement, or that there is none.
struct Shown<'a>(&'a Option<[u8; 32]>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(digest) = self.0 else { return f.write_str("none") };
        digest.iter().take(SHOWN).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("...")
    }
}

/// A failure in words that mean the same at both ends.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    failure: &'a Failure,
    own: &'a NodeName,
    peer: &'a NodeName,
}

impl fmt::Display for Between<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure::Agreement(ours, theirs) = self.failure else { return self.failure.fmt(f) };
        write!(
            f,
            "{}: {} holds {}, {} holds {}; give both the same file ('catalyst agreement check FILE' prints its digest)",
            self.failure,
            self.own,
            Shown(ours),
            self.peer,
            Shown(theirs)
        )
    }
}

impl Failure {
    /// In words for both ends, where neither is `here`: with the names of the two.
    #[must_use]
    pub fn between<'a>(&'a self, own: &'a NodeName, peer: &'a NodeName) -> Between<'a> {
        Between { failure: self, own, peer }
    }

    /// The code in NOTIFY.
    #[must_use]
    pub fn code(&self) -> NotifyCode {
        match self {
            Failure::Version(..) => NotifyCode::VERSION,
            Failure::Identity(_) => NotifyCode::IDENTITY,
            Failure::Agreement(..) => NotifyCode::AGREEMENT,
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
            Failure::Agreement(..) => f.write_str("the two sides hold different agreements"),
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
