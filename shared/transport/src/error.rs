//! What can go wrong, for the caller and for a person.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use catalyst_identity::IdentityError;
use catalyst_tunnel::names::NodeName;
use catalyst_tunnel::{HeaderError, Refusal};
use quinn::ConnectionError;

use crate::config::Carrier;

/// Why the driver could not start.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Another process has the port.
    #[error(
        "cannot listen on {address}/{protocol}: the address is in use. Another node may be running here: stop it, or \
         choose another port for `listen`"
    )]
    AddressInUse {
        /// What was asked for.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// The address is not of this machine.
    #[error(
        "cannot listen on {address}/{protocol}: this machine has no such address. Use one of its own, or 0.0.0.0 or \
         [::] for all of them"
    )]
    AddressNotAvailable {
        /// What was asked for.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// The port needs a permission.
    #[error(
        "cannot listen on {address}/{protocol}: permission denied. Ports below 1024 need CAP_NET_BIND_SERVICE; choose \
         a higher port for `listen`"
    )]
    PermissionDenied {
        /// What was asked for.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// Something else about the socket.
    #[error("cannot open a socket on {address}/{protocol}: {source}")]
    Socket {
        /// What was asked for.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The identity does not make a TLS configuration.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// QUIC refuses the TLS configuration.
    #[error("QUIC cannot use this TLS configuration: {0}. This is a defect of the program, please report it")]
    Tls(String),
}

impl TransportError {
    pub(crate) fn socket(address: SocketAddr, protocol: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => TransportError::AddressInUse { address, protocol },
            io::ErrorKind::AddrNotAvailable => TransportError::AddressNotAvailable { address, protocol },
            io::ErrorKind::PermissionDenied => TransportError::PermissionDenied { address, protocol },
            _ => TransportError::Socket { address, protocol, source },
        }
    }
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is gone or is being closed. `SessionDown` tells or will tell why.
    #[error("the session is closed")]
    Closed,
    /// More bytes than the session has credit for. The session is closed: the caller's count is wrong.
    #[error("the frame exceeds the credit of the session, which is closed now")]
    Credit,
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot resolve '{address}': {source}. Check the address of the peer and this machine's DNS")]
    Resolve { address: String, source: io::Error },
    #[error("'{address}' has no address that this node's socket can reach")]
    NoAddress { address: String },
    #[error(
        "no answer from {remote} within {waited:?}: is the node up, and does {} pass to this port?", protocol(*.carrier)
    )]
    NoAnswer { remote: SocketAddr, carrier: Carrier, waited: Duration },
    #[error(
        "{remote} answered as '{found}', but the peer is configured as '{wanted}': wrong address or wrong name"
    )]
    WrongNode { remote: SocketAddr, found: NodeName, wanted: NodeName },
    #[error("{remote}: {reason}")]
    Handshake { remote: SocketAddr, reason: String },
    #[error("cannot dial {remote}: {source}")]
    Connect { remote: SocketAddr, source: quinn::ConnectError },
    #[error("cannot connect to {remote} over TCP: {source}")]
    Tcp { remote: SocketAddr, source: io::Error },
    #[error("this program brings no TCP, but the peer is configured to be dialled over it")]
    NoTcp,
    #[error("{first} Then tried the other way: {other}")]
    Both { first: Box<DialError>, other: Box<DialError> },
    #[error(transparent)]
    Setup(#[from] TransportError),
}

impl DialError {
    /// Nobody answered: the node is down, or its packets do not pass.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, DialError::NoAnswer { .. })
    }
}

fn protocol(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Quic => "UDP",
        Carrier::Tcp => "TCP",
    }
}

/// Why a flow was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// The other node answered, with a refusal.
    #[error("{0}")]
    Refused(Refusal),
    /// No session with that node.
    #[error("no session with '{0}'")]
    NoSession(NodeName),
    /// No data connection, no free stream or no answer within the time allowed.
    #[error("no answer from '{peer}' within {waited:?} while {doing}")]
    TimedOut {
        /// The other node.
        peer: NodeName,
        /// What was waited for.
        doing: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The peer lets this node have no more flows open.
    #[error("'{peer}' has as many flows of this node as it takes; none ended within {waited:?}")]
    NoStream {
        /// The other node.
        peer: NodeName,
        /// How long an end was waited for.
        waited: Duration,
    },
    /// Too many flows wait for a data connection already.
    #[error("{0} flows wait for a data connection to this peer already")]
    TooManyWaiting(usize),
    /// The connection went away.
    #[error("the data connection was lost: {0}")]
    Lost(String),
    /// The header does not fit or did not decode.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl FlowError {
    /// The code to hand on to whoever asked for the flow.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            FlowError::Refused(refusal) => *refusal,
            FlowError::NoSession(_) | FlowError::Lost(_) => Refusal::NoEndpoint,
            FlowError::TimedOut { .. } => Refusal::TargetTimeout,
            FlowError::TooManyWaiting(_) | FlowError::NoStream { .. } => Refusal::TooManyFlows,
            FlowError::Header(_) => Refusal::BadHeader,
        }
    }
}

/// The end of a connection in words that help: who refused whom, and why.
pub(crate) fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TransportError(e) if alert(e.code).is_some() => {
            format!("handshake refused by this node: {}", own_words(&e.reason))
        }
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
            Some(alert) => format!("handshake refused by the peer: {}", alert_text(alert)),
            None if close.error_code == quinn::TransportErrorCode::APPLICATION_ERROR => {
                "closed by the peer during the handshake; its own log says why".to_owned()
            }
            None => format!("closed by the peer's QUIC: {close}"),
        },
        ConnectionError::ApplicationClosed(close) => format!(
            "closed by the peer with code {}: {}",
            close.error_code,
            String::from_utf8_lossy(&close.reason)
        ),
        ConnectionError::TimedOut => "no packets from the peer".to_owned(),
        other => other.to_string(),
    }
}

/// Our verifier's words, without what rustls wraps around them when it prints.
fn own_words(reason: &str) -> &str {
    let inner = reason.strip_prefix("invalid peer certificate: Other(OtherError(");
    inner.and_then(|r| r.strip_suffix("))")).unwrap_or(reason)
}

/// The TLS alert in a QUIC error code (RFC 9001 section 4.8).
fn alert(code: quinn::TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (0x100..0x200).contains(&code).then_some((code & 0xff) as u8)
}

pub(crate) fn alert_text(alert: u8) -> String {
    match alert {
        42 | 46 | 48 => {
            "it does not accept this node's certificate. Does it hold the trust bundle of this organisation, and is its \
             clock right?"
                .to_owned()
        }
        44 => "the certificate of this node was revoked; ask for a new invitation ('catalyst node invite' there)".to_owned(),
        45 => "this node's certificate is expired or not valid yet; check the clocks, or renew it".to_owned(),
        116 => "it wants a certificate".to_owned(),
        120 => "it does not speak this version of the peering protocol (no common ALPN)".to_owned(),
        other => format!("TLS alert {other}"),
    }
}
