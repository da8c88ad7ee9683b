//! What the node knows of one service, as far as Envoy has to.

use std::net::SocketAddr;

use catalyst_names::{NodeName, Protocol};

/// The next step towards a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// The service is of this node.
    Local,
    /// The node process carries it on: through the tunnel, to an edge node.
    Node,
    /// The mesh port of this neighbour.
    Peer(NodeName),
}

/// One way to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The next step.
    pub via: Via,
    /// Its share among equals; one of 0 gets nothing while others are there.
    pub weight: u32,
    /// Whether it is as good as the one before it.
    pub equal: bool,
}

/// A service's protocol and ways, best first. No ways: the service is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it speaks. UDP is not carried by Envoy.
    pub protocol: Protocol,
    /// The ways.
    pub ways: Vec<Way>,
}

/// Where a service of this node listens. Several addresses share its flows.
pub type Target = Vec<SocketAddr>;
