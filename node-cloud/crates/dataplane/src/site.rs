//! What stays the same while Envoy runs: who the node is, and where Envoy listens.

use std::net::SocketAddr;
use std::path::PathBuf;

use catalyst_names::NodeName;
use sha2::{Digest, Sha256};

/// The node and its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node.
    pub own: NodeName,
    /// Where neighbours come in: HTTP/2 over mutual TLS.
    pub mesh: SocketAddr,
    /// Where the node process answers for services that are reached through it: HTTP/2.
    pub node_socket: PathBuf,
    /// Where the node process hands in byte streams of its tunnel: PROXY protocol v2.
    pub stream_socket: PathBuf,
    /// The same for streams that are HTTP.
    pub http_socket: PathBuf,
    /// One line of JSON a request.
    pub access_log: PathBuf,
    /// What requests carry when they have passed here: of [`via`].
    pub via: String,
}

/// The token by which a node sees its own requests again. It crosses borders, behind which the names of nodes are private:
/// who does not know the node's secret cannot tell from it which node it is.
#[must_use]
pub fn via(secret: &str, own: &NodeName) -> String {
    let digest = Sha256::new().chain_update(own.as_str()).chain_update([0]).chain_update(secret).finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Names that Envoy and the node agree on.
pub mod names {
    use std::net::{IpAddr, Ipv4Addr};

    use catalyst_names::{NodeName, SpiffeId};
    use sha2::{Digest, Sha256};

    use crate::service::Via;

    /// The node's certificate and key.
    pub const IDENTITY: &str = "identity";
    /// The roots of every organisation that the node deals with.
    pub const TRUST: &str = "trust";
    /// The certificate of the HTTPS ingress.
    pub const INGRESS: &str = "ingress";
    /// The listener where neighbours come in.
    pub const MESH: &str = "mesh";
    /// The filter that lets only neighbours into the mesh.
    pub const NEIGHBOURS: &str = "neighbours";
    /// The internal listener in which `CONNECT` of exposed ports and of the tunnel finds its way.
    pub const INNER: &str = "inner";
    /// The internal listener that ends `CONNECT` at a service of this node, where there are other ways beside.
    pub const TERMINATE: &str = "terminate";
    /// The node process, behind its Unix socket.
    pub const NODE: &str = "node";
    /// The filter state that holds the caller's SPIFFE ID.
    pub const CALLER: &str = "catalyst.caller";
    /// The filter state that holds the serial number of a neighbour's certificate.
    pub const SERIAL: &str = "catalyst.serial";
    /// The filter state that holds the service of a stream from the tunnel.
    pub const SERVICE: &str = "catalyst.service";
    /// The caller's SPIFFE ID, for services. What a client sends under this name is removed.
    pub const CALLER_HEADER: &str = "x-catalyst-caller";
    /// One token a node that the request has passed. Nodes take everything away that begins with `x-catalyst`, but not this.
    pub const VIA_HEADER: &str = "x-mesh-via";
    /// The service, where the Host is not its name. Never on the mesh.
    pub const SERVICE_HEADER: &str = "x-catalyst-service";
    /// Which local cluster ends a `CONNECT`. Never on the mesh.
    pub const LOCAL_HEADER: &str = "x-catalyst-local";
    /// In an answer: the request has not reached the service, so another endpoint may be tried.
    pub const UNAVAILABLE_HEADER: &str = "x-catalyst-unavailable";
    /// In a `CONNECT` to the node: that its bytes are HTTP, and whether of version 1 or 2.
    pub const HTTP_HEADER: &str = "x-catalyst-http";
    /// The `:authority` of the question whether the mesh port answers. No service has a name of one label.
    pub const HEALTH: &str = "health";
    /// The name by which every machine calls itself.
    pub const LOCALHOST: &str = "localhost";
    /// TLV of PROXY protocol v2 with the caller's SPIFFE ID.
    pub const TLV_CALLER: u32 = 0xE0;
    /// TLV of PROXY protocol v2 with the service's full name.
    pub const TLV_SERVICE: u32 = 0xE1;

    /// What is before the first `:` of a Host that is this address; where any address is meant, of the loopback.
    #[must_use]
    pub fn host(address: IpAddr) -> String {
        match address {
            IpAddr::V6(_) => "[".to_owned(),
            IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V4(v4) => v4.to_string(),
        }
    }

    /// In an answer of the node with this token, in the place of a service that the tunnel did not reach.
    #[must_use]
    pub fn refused_header(token: &str) -> String {
        format!("x-catalyst-refused-{token}")
    }

    /// The cluster of a service of this node.
    #[must_use]
    pub fn local(service: &str) -> String {
        format!("local|{service}")
    }

    /// The listener, and the cluster that leads into it, that takes HTTP connections of a service to the node process.
    #[must_use]
    pub fn tunnelled(service: &str) -> String {
        format!("node|{service}")
    }

    /// The cluster of a neighbour's mesh port.
    #[must_use]
    pub fn peer(peer: &NodeName) -> String {
        format!("peer|{peer}")
    }

    /// The server name by which a neighbour asks for its own part of a mesh port. It can be read on the way, so that it says
    /// no names. It proves nothing: the certificate does.
    #[must_use]
    pub fn server_name(caller: &NodeName, called: &NodeName) -> String {
        let names =
            Sha256::new().chain_update(caller.as_str()).chain_update([0]).chain_update(called.as_str());
        let digits: String = names.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("n{digits}")
    }

    /// The listener, and the cluster that leads into it, of what an organisation may use by one way.
    #[must_use]
    pub fn grant(service: &str, org: &str, via: &Via) -> String {
        match via {
            Via::Local => format!("grant|{service}|{org}|local"),
            Via::Node => format!("grant|{service}|{org}|node"),
            Via::Peer(peer) => format!("grant|{service}|{org}|{peer}"),
        }
    }

    /// The SPIFFE ID of a node, in text.
    #[must_use]
    pub fn spiffe(node: &NodeName) -> String {
        SpiffeId::node(&node.org_id(), &node.node_id()).to_string()
    }

    /// What the SPIFFE IDs of an organisation's nodes begin with.
    #[must_use]
    pub fn spiffe_prefix(org: &str) -> String {
        format!("spiffe://{org}/node/")
    }
}
