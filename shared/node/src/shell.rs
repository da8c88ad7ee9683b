//! What a shell brings: its runtime, and sockets of that runtime. Nothing here decides anything.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_channel::Sender;
use catalyst_config::HostPort;
use catalyst_transport::{Event, LocalStream, Resolver, Transport, TransportConfig, TransportError};

use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::splice::LocalSocket;

/// A future that any executor may run.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A UDP socket of a shell's runtime. It never blocks.
pub trait UdpPort: Send + Sync + 'static {
    /// The next packet, and who sent it; what is longer than `buffer` is cut.
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>>;

    /// Sends a packet now: to this address, or to the one that the socket is connected to.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when it takes none now.
    fn send_now(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<usize>;

    /// Its address.
    ///
    /// # Errors
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A runtime with its sockets.
pub trait Shell: Send + Sync + 'static {
    /// A TCP connection.
    type Tcp: LocalSocket + 'static;
    /// A TCP listener.
    type TcpListener: Send + Sync + 'static;
    /// A UDP socket.
    type Udp: UdpPort;
    /// A Unix connection.
    type Unix: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static;
    /// A Unix listener.
    type UnixListener: Send + Sync + 'static;

    /// The runtime for the engine, its sessions, timers and the QUIC socket.
    fn runtime(&self) -> Arc<dyn quinn::Runtime>;

    /// The place for data connections and flows, where the engine and its sessions have one of their own.
    fn flows(&self) -> Option<Arc<dyn quinn::Runtime>> {
        None
    }

    /// Lets the other tasks of the engine's place and its sockets have a turn, and is over then. A timer that is due would
    /// ring a millisecond later.
    fn turn(&self) -> Boxed<'static, ()> {
        Box::pin(future::yield_now())
    }

    /// Starts a task that is not the engine's, in the place of the flows.
    fn spawn(&self, task: Boxed<'static, ()>) {
        self.runtime().spawn(task);
    }

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

    /// Takes a UDP socket, which does not block, into the runtime.
    ///
    /// # Errors
    /// What the system says.
    fn udp(&self, socket: UdpSocket) -> io::Result<Self::Udp>;

    /// Listens on a Unix socket.
    ///
    /// # Errors
    /// What the system says.
    fn listen_unix(&self, path: &Path) -> io::Result<Self::UnixListener>;

    /// A connected Unix socket.
    ///
    /// # Errors
    /// What the system says.
    fn unix(&self, socket: std::os::unix::net::UnixStream) -> io::Result<Self::Unix>;

    /// Connects to a Unix socket. Of use where another program carries flows; a shell without one need not bring it.
    fn connect_unix(&self, path: &Path) -> Boxed<'static, io::Result<Box<dyn LocalStream>>> {
        let _ = path;
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    /// The next admin client.
    fn accept_unix(listener: &Self::UnixListener) -> Boxed<'_, io::Result<Self::Unix>>;
}
