//! TCP for the driver, by the async-io reactor, which runs beside any runtime.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io;
use std::net::SocketAddr;

use catalyst_transport::{TcpAcceptor, TcpFuture, TcpRuntime, TcpSocket};
use smol::net::{TcpListener, TcpStream};

pub struct Sockets;

struct Listener(TcpListener);

fn boxed(stream: TcpStream) -> io::Result<Box<dyn TcpSocket>> {
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

impl TcpRuntime for Sockets {
    fn connect(&self, to: SocketAddr) -> TcpFuture<'static, Box<dyn TcpSocket>> {
        Box::pin(async move { boxed(TcpStream::connect(to).await?) })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn TcpAcceptor>> {
        let socket = std::net::TcpListener::bind(at)?;
        Ok(Box::new(Listener(smol::Async::new(socket)?.into())))
    }
}

impl TcpAcceptor for Listener {
    fn accept(&self) -> TcpFuture<'_, (Box<dyn TcpSocket>, SocketAddr)> {
        Box::pin(async {
            let (stream, from) = self.0.accept().await?;
            Ok((boxed(stream)?, from))
        })
    }
}
