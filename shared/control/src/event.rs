//! Everything that can happen to the core.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use catalyst_names::{NodeName, ServiceLabel};
use catalyst_policy::Rule;

use crate::config::{LocalService, PeerConfig};

/// One control connection. Numbers are the transport's and are not used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SessionId(pub u64);

/// An input. All inputs of a run, in order, lead to the same state again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Event {
    /// A peer was configured, or its configuration changed.
    PeerConfigured(Box<PeerConfig>),
    /// A peer is no longer configured.
    PeerRemoved(NodeName),
    /// As [`Event::PeerRemoved`], and the peer hears that its certificate was revoked.
    #[cfg(feature = "transit")]
    PeerRevoked(NodeName),
    /// The export and import rules are these now. Rules that hold together badly change nothing: see [`crate::Notice`].
    PolicyChanged {
        /// All export rules.
        exports: Vec<Rule>,
        /// All import rules.
        imports: Vec<Rule>,
    },
    /// A control connection is up; the certificate at its other end belongs to this node.
    SessionUp {
        /// The connection.
        session: SessionId,
        /// Whose certificate it is.
        peer: NodeName,
        /// We dialled it.
        dialled: bool,
    },
    /// One whole frame came.
    PeerFrame {
        /// The connection.
        session: SessionId,
        /// The frame, header included.
        #[serde(with = "crate::record::hex")]
        frame: Vec<u8>,
    },
    /// The connection can take this many bytes more.
    Writable {
        /// The connection.
        session: SessionId,
        /// Bytes of credit.
        bytes: usize,
    },
    /// The connection is gone.
    SessionDown {
        /// The connection.
        session: SessionId,
    },
    /// A service of this node appeared or changed.
    ServiceUp(LocalService),
    /// A service of this node is no longer offered.
    ServiceDown(ServiceLabel),
    /// A health check changed its mind.
    Health {
        /// The service.
        label: ServiceLabel,
        /// Whether it answers.
        healthy: bool,
    },
    /// What this organisation states of its nodes is this now: a whole TRUST frame, which was verified. Neighbours of
    /// the own organisation get it at once, and at the beginning of each session.
    TrustChanged {
        /// The frame, header included; empty to hand on nothing.
        #[serde(with = "crate::record::hex")]
        frame: Vec<u8>,
    },
    /// This node wants to hear of the services that one of these patterns names, and of no others: full names, in which
    /// `*` stands for any characters of the first label, or for any organisation. Without a list: of everything.
    InterestChanged(Option<Vec<String>>),
    /// This node is about to stop and wants its neighbours to use other ways, or it does not any more: all that it announces
    /// carries the graceful-shutdown mark (RFC 8326).
    DrainChanged(bool),
    /// Time has passed.
    Tick,
    /// The node is about to stop: end all sessions in order.
    Stop,
}
