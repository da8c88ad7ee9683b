//! What the driver tells the shell.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use catalyst_tunnel::StreamHeader;
use catalyst_tunnel::names::NodeName;

use crate::config::Carrier;
use crate::exchange::EnrolStream;
use crate::flow::FlowStream;
use crate::packets::PacketFlow;

/// One control connection, from its first stream to its end. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Something happened. The channel is bounded: while nobody reads it, peers are not read either, and nothing is lost.
#[derive(Debug)]
pub enum Event {
    /// A control connection is up, both certificates are verified. The dialling side must send OPEN at once: its
    /// first frame makes the control stream known to the other side.
    SessionUp {
        /// The new session.
        session: SessionId,
        /// The name in the peer's certificate. On the accepting side it may be a node that is not configured.
        peer: NodeName,
        /// Whether this node dialled.
        dialled: bool,
        /// Where the peer is.
        remote: SocketAddr,
        /// What carries it.
        carrier: Carrier,
    },
    /// Exactly one whole frame, its header included.
    Frame {
        /// From which session.
        session: SessionId,
        /// Header and body.
        frame: Bytes,
    },
    /// So many more bytes may be sent. The first one, right after `SessionUp`, is the initial credit.
    Writable {
        /// Of which session.
        session: SessionId,
        /// Bytes that QUIC's flow control has let through since the last one. They are told once less than half of the
        /// credit is left.
        bytes: usize,
    },
    /// The session is over. Every frame that came before has been delivered.
    SessionDown {
        /// Which.
        session: SessionId,
        /// With whom.
        peer: NodeName,
        /// Why.
        reason: DownReason,
    },
    /// A dialler could not reach its peer. It tries again by itself.
    DialFailed {
        /// Whom it wanted.
        peer: NodeName,
        /// Why, and what to look at.
        error: String,
        /// When it tries next.
        retry_in: Duration,
    },
    /// A peer wants a flow. Answer with [`FlowStream::accept`] or [`FlowStream::refuse`]; dropping it refuses too.
    Flow {
        /// The neighbour, which is not always the node where the flow started.
        peer: NodeName,
        /// What it wants.
        header: Box<StreamHeader>,
        /// The stream behind the header.
        flow: FlowStream,
    },
    /// A peer wants a flow of packets. Answer with [`PacketFlow::accept`] or [`PacketFlow::refuse`].
    Packets {
        /// The neighbour, which is not always the node where the flow started.
        peer: NodeName,
        /// What it wants.
        header: Box<StreamHeader>,
        /// The flow behind the header.
        flow: PacketFlow,
    },
    /// Somebody wants a certificate. Only where the verifier lets strangers in.
    Enrol {
        /// The exchange.
        stream: EnrolStream,
    },
    /// Somebody dialled this node and was turned away. Only a hint for the log: left out when the channel is full;
    /// [`crate::Stats::refused`] counts them all.
    Refused {
        /// From where.
        remote: SocketAddr,
        /// Why.
        reason: String,
    },
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// The peer closed it in order.
    Closed,
    /// The peer closed it with an error.
    ClosedWith {
        /// The peer's application error code.
        code: u64,
        /// The peer's words.
        reason: String,
    },
    /// No packet came for longer than the link profile allows.
    Silent,
    /// The peer does not know the connection any more: it restarted, or it closed the connection and its close was lost
    /// (a stateless reset, RFC 9000 section 10.3).
    Reset,
    /// The peer broke the protocol; this node ended the session.
    Protocol(String),
    /// The caller sent more than the session's credit.
    CreditExceeded,
    /// A newer session of the same peer took its place.
    Replaced,
    /// This node closed it.
    Local,
    /// The connection broke in another way.
    Failed(String),
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::Closed => f.write_str("closed by the peer"),
            DownReason::ClosedWith { code, reason } => {
                write!(f, "closed by the peer with code {code}: {reason}")
            }
            DownReason::Silent => f.write_str("nothing heard from the peer for too long"),
            DownReason::Reset => f.write_str(
                "the peer does not know the connection any more: it restarted, or its close was lost",
            ),
            DownReason::Protocol(what) => write!(f, "the peer broke the protocol: {what}"),
            DownReason::CreditExceeded => f.write_str("this node sent more than the session's credit"),
            DownReason::Replaced => f.write_str("a newer session of the same peer took its place"),
            DownReason::Local => f.write_str("closed by this node"),
            DownReason::Failed(what) => f.write_str(what),
        }
    }
}
