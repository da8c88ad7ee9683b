//! Everything that the core asks of the shell.

use alloc::string::String;
use alloc::vec::Vec;

use catalyst_names::{NodeName, OriginId, Protocol, ServiceLabel, ServiceName};
use catalyst_wire::NotifyCode;

use crate::event::SessionId;

/// Where a flow goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// The service is of this node.
    Local,
    /// Through this neighbour.
    Peer(NodeName),
}

/// One way to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where the service is, as this node knows it.
    pub origin: OriginId,
    /// Where the flow goes next.
    pub next: NextHop,
    /// Share among equals.
    pub weight: u16,
    /// Whether it ranks as the one before it does: equals share by weight.
    pub equal: bool,
    /// Only to be used when those before it fail: the next best path to an origin that is listed already.
    pub backup: bool,
}

/// All ways to a service, best first. No endpoints: the service is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The service.
    pub service: ServiceName,
    /// What it speaks, by the best way.
    pub protocol: Protocol,
    /// The ways, best first.
    pub endpoints: Vec<Endpoint>,
}

/// Something worth a line in the log and a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A session is established.
    PeerUp(NodeName, SessionId),
    /// A peer's established session ended, and why.
    PeerDown(NodeName, String),
    /// A connection was refused or ended for cause, by us.
    SessionEnded(NodeName, NotifyCode, String),
    /// The other side ended a session: code, reason, document.
    NotifiedBy(NodeName, NotifyCode, String, String),
    /// A malformed route was treated as withdrawn.
    MalformedRoute(NodeName, String),
    /// Two processes use the identity of a peer: their runs, the one that is connected first.
    Clones(NodeName, Vec<u64>),
    /// A peer came to 80 % of its limit.
    NearLimit(NodeName),
    /// Routes of a peer are refused, and why.
    Refusing(NodeName, String),
    /// A peer refuses routes of ours, and why.
    RefusedBy(NodeName, u32, String),
    /// The digest of a peer did not fit what is held of it: its table is asked for once more.
    RefreshAsked(NodeName),
    /// So many patterns of what this node wants to hear of are too many: nothing is heard of them.
    InterestCut(usize),
    /// A service was not taken.
    ServiceRefused(ServiceLabel, String),
    /// New rules hold together badly: the old ones stay.
    PolicyRefused(String),
    /// Two plugins wrote the same key; the event was dropped.
    PluginConflict(String),
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The ways to a service changed.
    Forward(Forward),
    /// A neighbour of another organisation may, or may no longer, use a service.
    Grant {
        /// The neighbour.
        peer: NodeName,
        /// The service.
        service: ServiceName,
        /// May, or may no longer.
        granted: bool,
    },
    /// A neighbour of the own organisation handed on a statement, unverified. If it is good and newer than what this
    /// node has, it comes back as [`crate::Event::TrustChanged`].
    Trust {
        /// Who handed it on.
        peer: NodeName,
        /// The whole frame.
        frame: Vec<u8>,
    },
    /// End a control connection: send the last frame, then close.
    Close {
        /// The connection.
        session: SessionId,
        /// A NOTIFY, or nothing.
        last: Vec<u8>,
    },
    /// Something worth a line in the log.
    Notice(Notice),
}
