//! Another program that carries flows in this node's place, such as Envoy: it is told all that the node's own tables are
//! told, in the order in which it happens. Flows that come through the tunnel are handed to it, and it hands those that
//! only the tunnel can carry to the node.

use std::any::Any;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_channel::Sender;
#[cfg(feature = "mesh")]
use async_channel::bounded;
use catalyst_config::HostPort;
use catalyst_control::Forward;
use catalyst_identity::{Credentials, Fingerprint, TrustBundle};
#[cfg(feature = "mesh")]
use catalyst_names::ServiceLabel;
use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_transport::{FlowControl, FlowStream, LocalStream, pump};
use catalyst_tunnel::Refusal;

#[cfg(feature = "mesh")]
use crate::caller::Caller;
#[cfg(feature = "mesh")]
use crate::drain::UnderWay;
#[cfg(feature = "mesh")]
use crate::envoy_row::{EnvoyRow, Trouble};
#[cfg(feature = "mesh")]
use crate::serve::Ask;
use crate::serve::Asked;
use crate::shell::Boxed;

/// What changed.
#[derive(Debug)]
pub enum Change<'a> {
    /// The ways to a service.
    Forward(&'a Forward),
    /// What a neighbour of another organisation may use.
    Grant {
        /// The neighbour.
        peer: &'a NodeName,
        /// The service.
        service: &'a ServiceName,
        /// May, or may no longer.
        granted: bool,
    },
    /// Where a service of this node listens; `None` when it is not of this node any more.
    Target {
        /// The service.
        service: &'a ServiceName,
        /// Its socket.
        target: Option<&'a HostPort>,
    },
    /// A neighbour: where it says that its mesh port is, empty while it has none. `None`: it is no neighbour any more.
    Neighbour {
        /// The neighbour.
        peer: &'a NodeName,
        /// `host:port`, as the neighbour wrote it.
        mesh_address: Option<&'a str>,
        /// It was revoked once, and this is the one key that it may use again.
        key: Option<Fingerprint>,
    },
    /// A local TCP port of a service.
    Port {
        /// The service.
        service: &'a ServiceName,
        /// Where.
        at: SocketAddr,
        /// Opened, or closed.
        open: bool,
    },
    /// The certificate of this node.
    Identity(&'a Credentials),
    /// The roots that are trusted, of all organisations.
    Trust(&'a [Arc<TrustBundle>]),
    /// What came before this belongs together: now it holds.
    Flush,
    /// After a start: all configured neighbours that can be dialled have told their tables.
    Complete,
}

/// The other program.
pub trait Mesh: Send + Sync {
    /// Takes a change in. Must not wait for anything.
    fn tell(&self, change: Change<'_>);

    /// The node runs: flows may be asked for, and `news` is told of services whose [`Mesh::trouble`] changed.
    fn start(&self, flows: Arc<dyn Flows>, http: Option<SocketAddr>, news: News);

    /// Whether the program has all that it was told of a service.
    fn has(&self, service: &ServiceName) -> bool;

    /// Resolves when the program has all that it was told so far. It may never: who waits has a bound.
    fn settled(&self) -> Boxed<'static, ()>;

    /// Resolves when flows can be carried, so that neighbours are not told of services that cannot be reached yet. It may
    /// never: who waits has a bound.
    fn ready(&self) -> Boxed<'static, ()>;

    /// Where a flow of the tunnel is handed in, if this neighbour's flows are carried by the program at all.
    fn entry(&self, protocol: Protocol) -> &Path;

    /// Whether the way to this neighbour is the program's and not the tunnel's.
    fn carries(&self, peer: &NodeName) -> bool;

    /// How many next steps it uses for one service at most.
    #[cfg(feature = "mesh")]
    fn ways(&self) -> usize;

    /// What neighbours have under way in it; `None` when it does not say.
    #[cfg(feature = "mesh")]
    fn under_way(&self) -> Boxed<'static, Option<UnderWay>>;

    /// How it is, for `status`. Must not wait for anything.
    #[cfg(feature = "mesh")]
    fn row(&self) -> EnvoyRow;

    /// What keeps it from serving a service of this node, though the node would.
    #[cfg(feature = "mesh")]
    fn trouble(&self, service: &ServiceName) -> Option<Trouble>;

    /// What keeps it from opening a local port.
    #[cfg(feature = "mesh")]
    fn port_trouble(&self, service: &ServiceName, at: SocketAddr) -> Option<String>;
}

/// The way to tell the node that something about a service changed.
#[cfg_attr(not(feature = "mesh"), allow(dead_code))]
pub struct News(pub(crate) Sender<Asked>);

#[cfg(feature = "mesh")]
impl News {
    /// [`Mesh::trouble`] of this service says something else now.
    pub async fn changed(&self, service: &ServiceName) {
        let Ok(label) = ServiceLabel::parse(service.label()) else { return };
        let ask = Ask::Trouble(label);
        // A node that stops hears nothing any more.
        let _ = self.0.send(Asked { ask, reply: bounded(1).0, caller: Caller::default() }).await;
    }
}

/// What the program asks of the node.
pub trait Flows: Send + Sync {
    /// A flow through the tunnel to a service, for this neighbour or, with none, for this node.
    ///
    /// # Errors
    /// Why it goes nowhere.
    fn open<'a>(
        &'a self,
        service: &'a ServiceName,
        caller: Option<&'a NodeName>,
    ) -> Boxed<'a, Result<OpenFlow, Refusal>>;
}

/// A flow that a neighbour has taken.
pub struct OpenFlow {
    pub(crate) stream: FlowStream,
    pub(crate) control: Arc<FlowControl>,
    /// Its place in the table of flows: left when this is dropped.
    pub(crate) place: Box<dyn Any + Send>,
}

impl OpenFlow {
    /// Moves bytes between the two until both have ended.
    pub async fn carry(self, local: impl LocalStream) {
        let end = pump(local, self.stream, self.control).await;
        tracing::debug!(?end, "a flow for the mesh ended");
        drop(self.place);
    }
}

/// The program, where there is one.
#[derive(Clone, Default)]
pub struct Told(#[cfg(feature = "mesh")] Option<Arc<dyn Mesh>>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.get().is_some() { "mesh" } else { "no mesh" })
    }
}

#[cfg(feature = "mesh")]
impl Told {
    /// This one.
    #[must_use]
    pub fn new(mesh: Arc<dyn Mesh>) -> Self {
        Told(Some(mesh))
    }

    /// The program.
    #[must_use]
    pub fn get(&self) -> Option<&Arc<dyn Mesh>> {
        self.0.as_ref()
    }
}

#[cfg(not(feature = "mesh"))]
impl Told {
    /// There is none in this build: the compiler drops what would use it.
    #[must_use]
    pub fn get(&self) -> Option<&Arc<dyn Mesh>> {
        None
    }
}

impl Told {
    /// Passes a change on.
    pub fn tell(&self, change: Change<'_>) {
        if let Some(mesh) = self.get() {
            mesh.tell(change);
        }
    }

    /// Whether the way to this neighbour is the program's.
    #[must_use]
    pub fn carries(&self, peer: &NodeName) -> bool {
        self.get().is_some_and(|mesh| mesh.carries(peer))
    }
}

/// The first bytes of a flow that is handed to the program: PROXY protocol version 2, section 2.2, with two TLVs of section
/// 2.2.7's range for applications: who calls, and which service.
#[must_use]
pub fn proxy_header(caller: &str, service: &str) -> Vec<u8> {
    const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
    const PROXY_VERSION_2: u8 = 0x21;
    const TCP_OVER_IPV4: u8 = 0x11;
    const CALLER: u8 = 0xE0;
    const SERVICE: u8 = 0xE1;
    // There is no address to tell: loopback, port 0.
    let mut body = vec![127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0];
    for (kind, text) in [(CALLER, caller), (SERVICE, service)] {
        body.push(kind);
        // Names are shorter than 512 bytes.
        body.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXY_VERSION_2, TCP_OVER_IPV4]);
    header.extend(u16::try_from(body.len()).unwrap_or_default().to_be_bytes());
    header.extend(body);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_the_standard_has_it() {
        let header = proxy_header("ab", "xyz");
        assert_eq!(header[..12], *b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a");
        assert_eq!(header[12..16], [0x21, 0x11, 0, 12 + 3 + 2 + 3 + 3]);
        assert_eq!(header[28..], [0xE0, 0, 2, b'a', b'b', 0xE1, 0, 3, b'x', b'y', b'z']);
    }
}
