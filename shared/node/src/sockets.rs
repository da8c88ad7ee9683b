//! The shell's TCP, as the transport wants it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_config::HostPort;
use catalyst_transport::{TcpAcceptor, TcpFuture, TcpRuntime, TcpSocket};

use crate::shell::Shell;

/// The sockets of a shell.
pub(crate) struct Sockets<Sh>(pub(crate) Arc<Sh>);

struct Acceptor<Sh: Shell>(Sh::TcpListener);

/// Connects without delay for small writes.
pub(crate) fn connect<Sh: Shell>(shell: &Sh, to: SocketAddr) -> TcpFuture<'static, Box<dyn TcpSocket>> {
    let connecting = shell.connect(HostPort { host: to.ip().to_string(), port: to.port() });
    Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn TcpSocket>) })
}

impl<Sh: Shell> TcpRuntime for Sockets<Sh> {
    fn connect(&self, to: SocketAddr) -> TcpFuture<'static, Box<dyn TcpSocket>> {
        connect(&*self.0, to)
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn TcpAcceptor>> {
        Ok(Box::new(Acceptor::<Sh>(self.0.listen(at)?)))
    }
}

impl<Sh: Shell> TcpAcceptor for Acceptor<Sh> {
    fn accept(&self) -> TcpFuture<'_, (Box<dyn TcpSocket>, SocketAddr)> {
        Box::pin(async {
            let socket = Sh::accept(&self.0).await?;
            let from = Sh::remote(&socket)?;
            Ok((Box::new(socket) as Box<dyn TcpSocket>, from))
        })
    }
}
