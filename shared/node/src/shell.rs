//! What a shell brings: its runtime, and sockets of that runtime. Nothing here decides anything.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use async_channel::Sender;
use catalyst_config::HostPort;
use catalyst_transport::{Event, Resolver, Transport, TransportConfig, TransportError};
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::splice::LocalSocket;

/// A future that any executor may run.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A runtime with its sockets.
pub trait Shell: Send + Sync + 'static {
    /// A TCP connection.
    type Tcp: LocalSocket + 'static;
    /// A TCP listener.
    type TcpListener: Send + Sync + 'static;
    /// A Unix connection.
    type Unix: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A Unix listener.
    type UnixListener: Send + Sync + 'static;

    /// The runtime for tasks, timers and the QUIC socket.
    fn runtime(&self) -> Arc<dyn quinn::Runtime>;

    /// Starts the QUIC driver. This one only dials and has nothing of a server in it; a shell whose node can be
    /// dialled brings [`Transport::start`].
    ///
    /// # Errors
    /// As [`Transport::start`].
    fn transport(&self, config: TransportConfig, events: Sender<Event>) -> Result<Transport, TransportError> {
        Transport::start_dialling(config, self.runtime(), events)
    }

    /// Resolves host names without blocking.
    fn resolver(&self) -> Resolver;

    /// Connects to a service's own socket, without delay for small writes (`TCP_NODELAY`).
    fn connect(&self, target: HostPort) -> Boxed<'static, io::Result<Self::Tcp>>;

    /// Listens for local clients.
    ///
    /// # Errors
    /// What the system says.
    fn listen(&self, address: SocketAddr) -> io::Result<Self::TcpListener>;

    /// The address of a listener.
    ///
    /// # Errors
    /// What the system says.
    fn local_addr(listener: &Self::TcpListener) -> io::Result<SocketAddr>;

    /// The next local client.
    fn accept(listener: &Self::TcpListener) -> Boxed<'_, io::Result<Self::Tcp>>;

    /// The address at the other end of a connection.
    ///
    /// # Errors
    /// What the system says.
    fn remote(stream: &Self::Tcp) -> io::Result<SocketAddr>;

    /// Listens on a Unix socket.
    ///
    /// # Errors
    /// What the system says.
    fn listen_unix(&self, path: &Path) -> io::Result<Self::UnixListener>;

    /// The next admin client.
    fn accept_unix(listener: &Self::UnixListener) -> Boxed<'_, io::Result<Self::Unix>>;
}
