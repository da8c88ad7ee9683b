//! The shell of the edge: smol and its sockets, all tasks on the thread that runs the node. A thread of the
//! executor's own would cost 120 KiB for its stack and its part of the heap, and every event a wake-up across.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use catalyst_config::HostPort;
use catalyst_node::shell::{Boxed, Shell, UdpPort};
use catalyst_node::{LocalSocket, SocketCall};
use catalyst_transport::{LocalStream, Resolver};
use futures_lite::io::{AsyncRead, AsyncWrite};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, SmolRuntime};
use smol::net::unix::{UnixListener, UnixStream};
use smol::net::{TcpListener, TcpStream};
use smol::{Async, Executor};
use socket2::SockRef;

use crate::timer::LazyTimer;

/// The runtime.
pub struct Smol(Arc<dyn Runtime>);

impl Smol {
    /// Tasks run wherever `executor` is run.
    pub fn new(executor: Arc<Executor<'static>>) -> Self {
        Smol(Arc::new(OneThread(executor)))
    }
}

/// The sockets of [`SmolRuntime`], but an executor and timers of our own.
#[derive(Debug)]
struct OneThread(Arc<Executor<'static>>);

impl Runtime for OneThread {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(LazyTimer::new(at))
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(task).detach();
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        SmolRuntime.wrap_udp_socket(socket)
    }
}

/// A TCP connection: as a stream, and as the socket below it, for calls that the stream does not know.
pub struct Tcp(TcpStream, Arc<Async<std::net::TcpStream>>);

impl Tcp {
    fn new(stream: TcpStream) -> Self {
        // Small writes must not wait for each other; where it cannot be set, they are merely slower.
        let _ = stream.set_nodelay(true);
        let socket = stream.clone().into();
        Tcp(stream, socket)
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl LocalStream for Tcp {
    fn abort(&mut self) {
        // Where it cannot be set, the other side sees an orderly end instead of a reset.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl LocalSocket for Tcp {
    fn poll_read_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        loop {
            match call(self.1.as_fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.1.poll_readable(cx))?,
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        loop {
            match call(self.1.as_fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.1.poll_writable(cx))?,
                done => return Poll::Ready(done),
            }
        }
    }
}

/// A UDP socket.
pub struct Udp(Async<UdpSocket>);

impl UdpPort for Udp {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            match self.0.get_ref().recv_from(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_readable(cx))?,
                done => return Poll::Ready(done),
            }
        }
    }

    fn send_now(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        match to {
            Some(to) => self.0.get_ref().send_to(packet, to),
            None => self.0.get_ref().send(packet),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }
}

impl Shell for Smol {
    type Tcp = Tcp;
    type TcpListener = TcpListener;
    type Udp = Udp;
    type Unix = UnixStream;
    type UnixListener = UnixListener;

    fn runtime(&self) -> Arc<dyn quinn::Runtime> {
        self.0.clone()
    }

    fn resolver(&self) -> Resolver {
        Arc::new(|name| Box::pin(smol::net::resolve(name)))
    }

    fn connect(&self, target: HostPort) -> Boxed<'static, io::Result<Tcp>> {
        Box::pin(async move { TcpStream::connect((target.host.as_str(), target.port)).await.map(Tcp::new) })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = std::net::TcpListener::bind(address)?;
        smol::Async::new(socket).map(Into::into)
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    fn accept(listener: &TcpListener) -> Boxed<'_, io::Result<Tcp>> {
        Box::pin(async { listener.accept().await.map(|(stream, _)| Tcp::new(stream)) })
    }

    fn remote(stream: &Tcp) -> io::Result<SocketAddr> {
        stream.0.peer_addr()
    }

    fn udp(&self, socket: UdpSocket) -> io::Result<Udp> {
        Async::new(socket).map(Udp)
    }

    fn listen_unix(&self, path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path)
    }

    fn unix(&self, socket: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        Async::new(socket).map(Into::into)
    }

    fn accept_unix(listener: &UnixListener) -> Boxed<'_, io::Result<UnixStream>> {
        Box::pin(async { listener.accept().await.map(|(stream, _)| stream) })
    }
}
