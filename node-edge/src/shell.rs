//! The shell of the edge: its sockets on the reactor, all tasks on the thread that runs the node. A thread of the
//! executor's own would cost 120 KiB for its stack and its part of the heap, and every event a wake-up across.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use blocking::unblock;
use catalyst_config::HostPort;
use catalyst_node::shell::{Boxed, Shell, UdpPort};
use catalyst_node::{Limits, LocalSocket, SocketCall};
use catalyst_reactor::{OneThread, Reactor, Side, Source, Stream};
use catalyst_transport::{LocalStream, Resolver};
use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, Type};

/// The runtime and its sockets.
pub struct Edge(pub OneThread);

/// A TCP connection.
pub struct Tcp(Stream<TcpStream>);

impl Tcp {
    fn new(source: Source<TcpStream>) -> Self {
        // Small writes must not wait for each other; where it cannot be set, they are merely slower.
        let _ = source.io().set_nodelay(true);
        Tcp(Stream(source))
    }

    fn accepted(reactor: &Reactor, stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Tcp::new(Source::new(reactor, stream)?))
    }

    /// Connects to one address.
    async fn connect(reactor: &Reactor, to: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            Err(e) => return Err(e),
        }
        let source = Source::connecting(reactor, TcpStream::from(socket))?;
        poll_fn(|cx| source.poll_writable(cx)).await;
        match source.io().take_error()? {
            Some(error) => Err(error),
            None => Ok(Tcp::new(source)),
        }
    }
}

/// What a name stands for: asked of the system on a thread of its own, unless it is an address.
async fn resolve(
    address: Option<SocketAddr>,
    name: impl ToSocketAddrs + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    match address {
        Some(address) => Ok(vec![address]),
        None => unblock(move || name.to_socket_addrs().map(Iterator::collect)).await,
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_close(cx)
    }
}

impl LocalStream for Tcp {
    fn abort(&mut self) {
        // Where it cannot be set, the other side sees an orderly end instead of a reset.
        let _ = SockRef::from(&self.0.0).set_linger(Some(Duration::ZERO));
    }
}

impl LocalSocket for Tcp {
    fn poll_read_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        self.0.0.poll_call(Side::Read, cx, |socket| call(socket.as_fd()))
    }

    fn poll_write_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        self.0.0.poll_call(Side::Write, cx, |socket| call(socket.as_fd()))
    }
}

/// A UDP socket.
pub struct Udp(Source<UdpSocket>);

impl UdpPort for Udp {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.0.poll_call(Side::Read, cx, |socket| socket.recv_from(buffer))
    }

    fn send_now(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        self.0.try_call(Side::Write, |socket| match to {
            Some(to) => socket.send_to(packet, to),
            None => socket.send(packet),
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.io().local_addr()
    }
}

/// A listener and where its connections go.
pub struct Listener<T: AsFd>(Source<T>, Reactor);

impl Shell for Edge {
    type Tcp = Tcp;
    type TcpListener = Listener<TcpListener>;
    type Udp = Udp;
    type Unix = Stream<UnixStream>;
    type UnixListener = Listener<UnixListener>;

    fn runtime(&self) -> Arc<dyn quinn::Runtime> {
        Arc::new(self.0.clone())
    }

    fn resolver(&self) -> Resolver {
        Arc::new(|name| Box::pin(resolve(name.parse().ok(), name)))
    }

    fn connect(&self, target: HostPort) -> Boxed<'static, io::Result<Tcp>> {
        let reactor = self.0.reactor().clone();
        Box::pin(async move {
            let mut last = io::ErrorKind::NotFound.into();
            let known = target.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, target.port));
            for address in resolve(known, (target.host, target.port)).await? {
                match Tcp::connect(&reactor, address).await {
                    Ok(socket) => return Ok(socket),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Self::TcpListener> {
        let listener = TcpListener::bind(address)?;
        SockRef::from(&listener).listen(Limits::BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(Listener(Source::new(self.0.reactor(), listener)?, self.0.reactor().clone()))
    }

    fn local_addr(listener: &Self::TcpListener) -> io::Result<SocketAddr> {
        listener.0.io().local_addr()
    }

    fn accept(listener: &Self::TcpListener) -> Boxed<'_, io::Result<Tcp>> {
        Box::pin(async {
            let accept = |cx: &mut Context<'_>| listener.0.poll_call(Side::Read, cx, TcpListener::accept);
            let (stream, _) = poll_fn(accept).await?;
            Tcp::accepted(&listener.1, stream)
        })
    }

    fn remote(stream: &Tcp) -> io::Result<SocketAddr> {
        stream.0.0.io().peer_addr()
    }

    fn udp(&self, socket: UdpSocket) -> io::Result<Udp> {
        socket.set_nonblocking(true)?;
        Source::new(self.0.reactor(), socket).map(Udp)
    }

    fn listen_unix(&self, path: &Path) -> io::Result<Self::UnixListener> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Listener(Source::new(self.0.reactor(), listener)?, self.0.reactor().clone()))
    }

    fn unix(&self, socket: UnixStream) -> io::Result<Self::Unix> {
        unix(self.0.reactor(), socket)
    }

    fn accept_unix(listener: &Self::UnixListener) -> Boxed<'_, io::Result<Self::Unix>> {
        Box::pin(async {
            let accept = |cx: &mut Context<'_>| listener.0.poll_call(Side::Read, cx, UnixListener::accept);
            let (stream, _) = poll_fn(accept).await?;
            unix(&listener.1, stream)
        })
    }
}

fn unix(reactor: &Reactor, socket: UnixStream) -> io::Result<Stream<UnixStream>> {
    socket.set_nonblocking(true)?;
    Source::new(reactor, socket).map(Stream)
}
