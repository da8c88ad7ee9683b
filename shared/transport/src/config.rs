//! What the driver is started with.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use catalyst_identity::{Credentials, PeerVerifier};
use catalyst_tunnel::names::NodeName;
use quinn::Runtime;

use crate::limits::Limits;
use crate::profile::LinkProfile;
use crate::tcp::TcpRuntime;

/// The future of a [`Resolver`].
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Turns `host:port` into addresses. Each runtime has its own way to do it without blocking.
pub type Resolver = Arc<dyn Fn(String) -> Resolving + Send + Sync>;

/// Everything that the driver does not choose itself.
#[derive(Clone)]
pub struct TransportConfig {
    /// The address of the one UDP socket. A node that only dials gives port 0.
    pub bind: SocketAddr,
    /// Whether others may dial this node. If not, handshakes of others are ignored.
    pub listen: bool,
    /// This node's chain and key.
    pub credentials: Credentials,
    /// The judge of peers.
    pub verifier: PeerVerifier,
    /// For processors without AES instructions.
    pub prefer_chacha: bool,
    /// Where data connections, their flows and who comes new live, if sessions have the driver's runtime for themselves.
    pub flows: Option<Arc<dyn Runtime>>,
    /// TCP, for peers that UDP does not reach; without it there is QUIC alone.
    pub tcp: Option<Arc<dyn TcpRuntime>>,
    /// How host names are resolved.
    pub resolver: Resolver,
    /// The link profile of peers that have none of their own.
    pub profile: LinkProfile,
    /// Capacities.
    pub limits: Limits,
    /// Spreads the waits of diallers; any number that differs between nodes and starts.
    pub seed: u64,
}

impl fmt::Debug for TransportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("bind", &self.bind)
            .field("listen", &self.listen)
            .field("name", self.credentials.name())
            .field("profile", &self.profile)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A configured neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialTarget {
    /// Who it is. Whoever answers at the address must have this name in its certificate.
    pub name: NodeName,
    /// `host:port` to dial; `None` for a peer that dials us.
    pub address: Option<String>,
    /// The timers of the link to it; `None` for the node's own.
    pub profile: Option<LinkProfile>,
    /// What may carry the link, if this node dials.
    pub via: Via,
}

/// What carries a session and its flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// QUIC, which needs UDP.
    Quic,
    /// TLS over TCP, where UDP does not pass.
    Tcp,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Carrier::Quic => "quic",
            Carrier::Tcp => "tcp",
        })
    }
}

/// What a dialler may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// QUIC; TCP while QUIC gets no answer at all.
    #[default]
    Auto,
    /// QUIC alone.
    Quic,
    /// TCP alone.
    Tcp,
}
