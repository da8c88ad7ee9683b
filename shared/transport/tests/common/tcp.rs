//! Local sockets, and flows that join two of them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::Receiver;
use catalyst_transport::{FlowControl, FlowStream, Held, LocalStream, PumpEnd, pump};
use catalyst_tunnel::{FlowKind, StreamHeader, TraceContext};
use futures_lite::io::{AsyncRead, AsyncWrite};
use quinn::Runtime;
use smol::Async;
use smol::net::TcpStream;

use super::Node;

/// A socket of the async-io reactor, which runs beside any runtime.
pub struct Sock(pub TcpStream);

impl AsyncRead for Sock {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Sock {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl LocalStream for Sock {
    fn abort(&mut self) {
        reset_on_drop(&self.0);
    }
}

/// Closing the socket sends RST from now on.
pub fn reset_on_drop(socket: &TcpStream) {
    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}

/// A client's socket and the node's end of it.
pub fn tcp_pair() -> (TcpStream, Sock) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
    }
    let [client, server] = [client, server].map(|s| TcpStream::from(Async::new(s).unwrap()));
    (client, Sock(server))
}

pub fn header() -> StreamHeader {
    StreamHeader {
        service: "inventory.acme.example".parse().unwrap(),
        origin: Some("edge-1".parse().unwrap()),
        caller: "cloud-1.acme.example".parse().unwrap(),
        trace: Some(TraceContext { trace_id: [1; 16], parent_id: [2; 8], flags: 1 }),
        policy_epoch: 3,
        hop_limit: 8,
        kind: FlowKind::Bytes,
    }
}

/// One end of a flow: the socket that a client or a service would hold.
pub struct End {
    pub socket: TcpStream,
    pub control: Arc<FlowControl>,
    pub ended: Receiver<PumpEnd>,
}

/// Joins a new socket with the flow.
pub fn join(rt: &Arc<dyn Runtime>, flow: FlowStream) -> End {
    let (socket, local) = tcp_pair();
    let control = FlowControl::new(&Held::new(usize::MAX));
    let (send, ended) = async_channel::bounded(1);
    let own = Arc::clone(&control);
    rt.spawn(Box::pin(async move {
        let end = pump(local, flow, own).await;
        let _ = send.send(end).await;
    }));
    End { socket, control, ended }
}

/// A flow that `from` opens towards `to`, with a socket at each end.
pub async fn flow(rt: &Arc<dyn Runtime>, from: &Node, to: &Node) -> (End, End) {
    let header = header();
    let opening = from.transport.open_flow(&to.name, &header);
    let accepting = async {
        let (peer, seen, flow) = to.flow().await;
        assert_eq!((peer, seen), (from.name.clone(), header.clone()));
        flow.accept().await.unwrap()
    };
    let (opened, accepted) = futures_lite::future::zip(opening, accepting).await;
    (join(rt, opened.unwrap()), join(rt, accepted))
}
