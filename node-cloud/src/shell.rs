//! The shell of the cloud: tokio and its sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_channel::Sender;
use catalyst_config::HostPort;
use catalyst_node::shell::{Boxed, Shell, UdpPort};
use catalyst_node::{Limits, LocalSocket, SocketCall};
use catalyst_transport::{Event, LocalStream, Resolver, Transport, TransportConfig, TransportError};
use futures_lite::io::{AsyncRead, AsyncWrite};
use quinn::TokioRuntime;
use socket2::SockRef;
use tokio::io::{Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::runtime::Handle;

/// A runtime of tokio, whoever calls.
#[derive(Debug)]
pub struct Place(pub Handle);

impl quinn::Runtime for Place {
    /// Of the runtime that it is polled in: it is that one's business to ring.
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn quinn::AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Boxed<'static, ()>) {
        self.0.spawn(task);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        let _inside = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// The runtimes of the node: the engine and its sessions have a thread of their own, so that a change of a route passes it
/// without a wake-up of another. All else lives in the pool, whoever starts it.
pub struct Tokio {
    pub engine: Arc<Place>,
    pub pool: Arc<Place>,
}

impl Tokio {
    /// With both in this runtime.
    pub fn one(runtime: &Handle) -> Self {
        let place = Arc::new(Place(runtime.clone()));
        Tokio { engine: place.clone(), pool: place }
    }
}

/// A socket of tokio behind the traits that the shared code uses.
pub struct Socket<T>(T);

impl<T: tokio::io::AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut filled = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut filled))?;
        Poll::Ready(Ok(filled.filled().len()))
    }
}

impl<T: tokio::io::AsyncWrite + Unpin> AsyncWrite for Socket<T> {
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
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<T: AsFd> AsFd for Socket<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl LocalStream for Socket<TcpStream> {
    fn abort(&mut self) {
        // Where it cannot be set, the other side sees an orderly end instead of a reset.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl LocalStream for Socket<UnixStream> {
    fn abort(&mut self) {
        // There is no reset on a Unix socket; what is unread makes it one at the other end.
    }
}

fn tcp(stream: TcpStream) -> Socket<TcpStream> {
    // Small writes must not wait for each other; where it cannot be set, they are merely slower.
    let _ = stream.set_nodelay(true);
    Socket(stream)
}

impl LocalSocket for Socket<TcpStream> {
    fn poll_read_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_io(Interest::READABLE, || call(self.0.as_fd())) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_io(Interest::WRITABLE, || call(self.0.as_fd())) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

/// A UDP socket.
pub struct Udp(UdpSocket);

impl UdpPort for Udp {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut filled = ReadBuf::new(buffer);
        let from = ready!(self.0.poll_recv_from(cx, &mut filled))?;
        Poll::Ready(Ok((filled.filled().len(), from)))
    }

    fn send_now(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        // Not by tokio: to it a new socket is full until the reactor has looked.
        match to {
            Some(to) => SockRef::from(&self.0).send_to(packet, &to.into()),
            None => SockRef::from(&self.0).send(packet),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Shell for Tokio {
    type Tcp = Socket<TcpStream>;
    type TcpListener = TcpListener;
    type Udp = Udp;
    type Unix = Socket<UnixStream>;
    type UnixListener = UnixListener;

    fn runtime(&self) -> Arc<dyn quinn::Runtime> {
        self.engine.clone()
    }

    fn flows(&self) -> Option<Arc<dyn quinn::Runtime>> {
        Some(self.pool.clone())
    }

    /// Sockets are looked at before it is over.
    fn turn(&self) -> Boxed<'static, ()> {
        Box::pin(tokio::task::yield_now())
    }

    fn spawn(&self, task: Boxed<'static, ()>) {
        self.pool.0.spawn(task);
    }

    fn transport(&self, config: TransportConfig, events: Sender<Event>) -> Result<Transport, TransportError> {
        Transport::start(config, self.runtime(), events)
    }

    fn resolver(&self) -> Resolver {
        Arc::new(|name| Box::pin(async move { tokio::net::lookup_host(name).await.map(Iterator::collect) }))
    }

    fn connect(&self, target: HostPort) -> Boxed<'static, io::Result<Self::Tcp>> {
        Box::pin(async move { TcpStream::connect((target.host.as_str(), target.port)).await.map(tcp) })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let _inside = self.pool.0.enter();
        let socket = std::net::TcpListener::bind(address)?;
        SockRef::from(&socket).listen(Limits::BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    fn accept(listener: &TcpListener) -> Boxed<'_, io::Result<Self::Tcp>> {
        Box::pin(async { listener.accept().await.map(|(stream, _)| tcp(stream)) })
    }

    fn remote(stream: &Self::Tcp) -> io::Result<SocketAddr> {
        stream.0.peer_addr()
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Udp> {
        let _inside = self.pool.0.enter();
        UdpSocket::from_std(socket).map(Udp)
    }

    fn listen_unix(&self, path: &Path) -> io::Result<UnixListener> {
        let _inside = self.pool.0.enter();
        UnixListener::bind(path)
    }

    fn unix(&self, socket: std::os::unix::net::UnixStream) -> io::Result<Self::Unix> {
        let _inside = self.pool.0.enter();
        socket.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(socket).map(Socket)
    }

    fn connect_unix(&self, path: &Path) -> Boxed<'static, io::Result<Box<dyn LocalStream>>> {
        let path = path.to_owned();
        Box::pin(
            async move { Ok(Box::new(Socket(UnixStream::connect(path).await?)) as Box<dyn LocalStream>) },
        )
    }

    fn accept_unix(listener: &UnixListener) -> Boxed<'_, io::Result<Self::Unix>> {
        Box::pin(async { listener.accept().await.map(|(stream, _)| Socket(stream)) })
    }
}
