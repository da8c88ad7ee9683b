//! The shell of the edge: smol and its sockets, all tasks on the thread that runs the node. A thread of the
//! executor's own would cost 120 KiB for its stack and its part of the heap, and every event a wake-up across.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};
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
use rustix::io::Errno;
use smol::net::unix::{UnixListener, UnixStream};
use smol::{Async, Executor};
use socket2::{Domain, SockRef, Socket, Type};

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

/// A TCP connection. Not `smol::net::TcpStream`: what that keeps for each is more than the connection.
pub struct Tcp(Async<std::net::TcpStream>);

impl Tcp {
    fn new(stream: Async<std::net::TcpStream>) -> Self {
        // Small writes must not wait for each other; where it cannot be set, they are merely slower.
        let _ = stream.get_ref().set_nodelay(true);
        Tcp(stream)
    }

    /// Connects to one address.
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            Err(e) => return Err(e),
        }
        let stream = Async::new_nonblocking(std::net::TcpStream::from(socket))?;
        poll_fn(|cx| stream.poll_writable(cx)).await?;
        match stream.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(Tcp::new(stream)),
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.0.get_ref().shutdown(Shutdown::Write) {
            // The other side is gone already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}

impl LocalStream for Tcp {
    fn abort(&mut self) {
        // Where it cannot be set, the other side sees an orderly end instead of a reset.
        let _ = SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO));
    }
}

impl LocalSocket for Tcp {
    fn poll_read_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        loop {
            match call(self.0.as_fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_readable(cx))?,
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        loop {
            match call(self.0.as_fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_writable(cx))?,
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
    type TcpListener = Async<TcpListener>;
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
        Box::pin(async move {
            let mut last = io::ErrorKind::NotFound.into();
            for address in smol::net::resolve((target.host.as_str(), target.port)).await? {
                match Tcp::connect(address).await {
                    Ok(socket) => return Ok(socket),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Async<TcpListener>> {
        Async::new(TcpListener::bind(address)?)
    }

    fn local_addr(listener: &Async<TcpListener>) -> io::Result<SocketAddr> {
        listener.get_ref().local_addr()
    }

    fn accept(listener: &Async<TcpListener>) -> Boxed<'_, io::Result<Tcp>> {
        Box::pin(async { listener.accept().await.map(|(stream, _)| Tcp::new(stream)) })
    }

    fn remote(stream: &Tcp) -> io::Result<SocketAddr> {
        stream.0.get_ref().peer_addr()
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
