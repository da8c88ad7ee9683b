//! What the server says of itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::kind::Kind;

/// The state of the server and of its one stream.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The snapshot is complete: Envoy gets answers.
    pub open: bool,
    /// The Envoy that is connected.
    pub connected: Option<Connected>,
    /// One row a kind, in the order of [`Kind::ALL`].
    pub kinds: [KindStatus; Kind::COUNT],
    /// Resources that wait to be sent.
    pub waiting: usize,
    /// Responses that Envoy has not answered.
    pub in_flight: usize,
    /// How long Envoy has not answered the oldest of them: it is busy, or does not read.
    pub unanswered: Option<Duration>,
    /// Everything that was applied is acknowledged.
    pub settled: bool,
    /// Streams that were accepted since the node started.
    pub streams: u64,
    /// Streams that were refused: another node's Envoy, or a second one.
    pub refused: u64,
    /// The reason of the last refusal, or of a stream that was closed for a limit.
    pub last_refused: Option<Arc<str>>,
    /// Steps that went on without Envoy's acknowledgement. See [`crate::Limits::STEP_DEADLINE`].
    pub overdue: u64,
    /// Requests for types that are not served.
    pub unknown: u64,
    /// The last response that Envoy rejected.
    pub last_nack: Option<Nack>,
    /// Resources that Envoy rejects, at most [`crate::Limits::LISTED`].
    pub rejected: Vec<Rejected>,
    /// How many there are in all.
    pub rejected_count: usize,
}

/// The Envoy at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Since when.
    pub since: SystemTime,
    /// As it says itself: `1.40.0`.
    pub version: String,
}

/// One kind. Counters run since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStatus {
    /// In the snapshot.
    pub resources: usize,
    /// Names that Envoy asked for. 0 for the kinds that it takes all of.
    pub subscribed: usize,
    /// Resources sent, removals included.
    pub sent: u64,
    /// Resources acknowledged, removals included.
    pub acked: u64,
    /// Responses rejected.
    pub rejected: u64,
}

/// A response that Envoy rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// Of this kind.
    pub kind: Kind,
    /// How many resources it held.
    pub resources: usize,
    /// In Envoy's words.
    pub reason: Arc<str>,
    /// When.
    pub when: SystemTime,
}

/// A resource that Envoy rejects. Its last good version, if there was one, stays in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// In Envoy's words.
    pub reason: Arc<str>,
}

/// News of one resource: Envoy rejects it, or no longer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// In Envoy's words; `None`: it is accepted now, or gone.
    pub reason: Option<Arc<str>>,
}
