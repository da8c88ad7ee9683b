//! What the driver wants from a runtime for TCP, beside [`quinn::Runtime`]: two calls, and plain streams.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_lite::io::{AsyncRead, AsyncWrite};

/// A TCP connection without delay for small writes (`TCP_NODELAY`).
pub trait TcpSocket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> TcpSocket for T {}

/// A future of a [`TcpRuntime`].
pub type TcpFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Makes TCP connections.
pub trait TcpRuntime: Send + Sync {
    /// Connects.
    fn connect(&self, to: SocketAddr) -> TcpFuture<'static, Box<dyn TcpSocket>>;

    /// Listens; only called for a node that can be dialled.
    ///
    /// # Errors
    /// What the system says.
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn TcpAcceptor>>;
}

/// A listening socket.
pub trait TcpAcceptor: Send + Sync {
    /// The next connection, and from where.
    fn accept(&self) -> TcpFuture<'_, (Box<dyn TcpSocket>, SocketAddr)>;
}
