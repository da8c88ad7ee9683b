//! TCP where UDP does not pass, and the way back; and what strangers do on the TCP port.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_identity::{SERVER_NAME, client_config};
use catalyst_testkit::relay::{Relay, TcpRelay};
use catalyst_transport::{Carrier, DialTarget, DownReason, Event, LinkProfile, PumpEnd, SessionId, Via};
use catalyst_tunnel::Refusal;
use common::tcp::*;
use common::*;
use futures_lite::future;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use quinn::Runtime;
use rustls::{ClientConnection, StreamOwned};

/// Two nodes; the first dials the second, which UDP reaches only by a relay whose line can be cut.
struct Stage {
    edge: Node,
    cloud: Node,
    udp: Relay,
    tcp: TcpRelay,
}

/// Notices silence soon, on both carriers.
const HASTY: LinkProfile = LinkProfile { silence: Duration::from_millis(1500), ..QUICK };

impl Stage {
    fn new(rt: &Arc<dyn Runtime>) -> Stage {
        let org = Org::new("acme.example");
        let hasty = |c| catalyst_transport::TransportConfig { profile: HASTY, ..c };
        let edge = Node::start(rt, hasty(config(&org, "edge-1", &[&org], false)));
        let cloud = Node::start(rt, hasty(config(&org, "cloud-1", &[&org], true)));
        let (udp, tcp) = loop {
            let udp = Relay::to(cloud.transport.local_addr()).unwrap();
            // The same number must be free for TCP too.
            if let Ok(tcp) = TcpRelay::at(udp.address(), cloud.transport.local_addr()) {
                break (udp, tcp);
            }
        };
        Stage { edge, cloud, udp, tcp }
    }

    fn dial(&self, via: Via) {
        let address = Some(self.udp.address().to_string());
        self.edge.transport.set_peer(DialTarget {
            name: self.cloud.name.clone(),
            address,
            profile: None,
            via,
        });
    }

    /// Waits for a session of this kind, with an OPEN from the dialling side.
    async fn up(&self, carrier: Carrier) -> (SessionId, SessionId) {
        let at_edge = up(&self.edge, carrier).await;
        self.edge.transport.send(at_edge, frame(1, b"open")).unwrap();
        let at_cloud = up(&self.cloud, carrier).await;
        assert_eq!(self.edge.transport.carrier(at_edge), Some(carrier));
        (at_edge, at_cloud)
    }
}

async fn up(node: &Node, wanted: Carrier) -> SessionId {
    node.until("SessionUp", |e| match e {
        Event::SessionUp { session, carrier, .. } => {
            assert_eq!(carrier, wanted);
            Some(session)
        }
        _ => None,
    })
    .await
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| ((i * 31 + i / 977) % 251) as u8).collect()
}

/// Sends this from one end to the other and asserts that it arrives whole, its end included.
async fn transfer(from: &End, to: &End, data: &[u8]) {
    let (mut out, mut into) = (from.socket.clone(), to.socket.clone());
    let send = async {
        out.write_all(data).await.unwrap();
        out.close().await.unwrap();
    };
    let mut all = Vec::new();
    let ((), read) = future::zip(send, into.read_to_end(&mut all)).await;
    read.unwrap();
    assert!(all == data, "{} of {} bytes, or others", all.len(), data.len());
}

on_both!(udp_blocked_from_the_start, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.udp.cut(true);
    let from = Instant::now();
    stage.dial(Via::Auto);
    stage.up(Carrier::Tcp).await;
    assert!(from.elapsed() < Duration::from_secs(10), "took {:?}", from.elapsed());
    let (client, service) = flow(&rt, &stage.edge, &stage.cloud).await;
    transfer(&client, &service, &pattern(10 << 20)).await;
    transfer(&service, &client, &pattern(10 << 20)).await;
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::Finished));
    // What worked is tried first the next time: no second wait for QUIC.
    let from = Instant::now();
    stage.tcp.drop_all();
    stage.edge.down().await;
    stage.up(Carrier::Tcp).await;
    assert!(from.elapsed() < HASTY.fallback, "took {:?}", from.elapsed());
});

on_both!(udp_blocked_in_mid_transfer_then_free_again, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.dial(Via::Auto);
    stage.up(Carrier::Quic).await;
    let (client, service) = flow(&rt, &stage.edge, &stage.cloud).await;
    let data = pattern(4 << 20);
    client.socket.clone().write_all(&data[..1000]).await.unwrap();
    let mut start = vec![0; 1000];
    service.socket.clone().read_exact(&mut start).await.unwrap();
    assert_eq!(start, data[..1000]);
    stage.udp.cut(true);
    // The flow is reset, at both ends.
    assert!(matches!(client.ended.recv().await, Ok(PumpEnd::Lost(_))));
    assert!(matches!(service.ended.recv().await, Ok(PumpEnd::Lost(_))));
    for end in [&client, &service] {
        let seen = end.socket.clone().read(&mut [0]).await.map_err(|e| e.kind());
        assert_eq!(seen, Err(ErrorKind::ConnectionReset));
    }
    assert_eq!(stage.edge.down().await, DownReason::Silent);
    // A retry succeeds, over TCP.
    let (old_at_edge, old_at_cloud) = stage.up(Carrier::Tcp).await;
    let (client, service) = flow(&rt, &stage.edge, &stage.cloud).await;
    transfer(&client, &service, &data).await;

    // The way back: a session over QUIC comes beside the one over TCP, which the core then closes.
    let (mut client, service) = flow(&rt, &stage.edge, &stage.cloud).await;
    stage.udp.cut(false);
    stage.up(Carrier::Quic).await;
    assert_eq!(stage.edge.transport.stats().sessions, 2);
    client.socket.write_all(b"still here").await.unwrap();
    let mut seen = [0; 10];
    service.socket.clone().read_exact(&mut seen).await.unwrap();
    stage.edge.transport.close(old_at_edge, None);
    stage.cloud.transport.close(old_at_cloud, None);
    assert!(matches!(client.ended.recv().await, Ok(PumpEnd::Lost(_))));
    assert!(matches!(service.ended.recv().await, Ok(PumpEnd::Lost(_))));
    let (client, service) = flow(&rt, &stage.edge, &stage.cloud).await;
    transfer(&client, &service, &data).await;
    assert_eq!(stage.edge.transport.stats().sessions, 1);
});

on_both!(a_probe_whose_session_fails_leaves_tcp_as_it_was, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.udp.cut(true);
    stage.dial(Via::Auto);
    stage.up(Carrier::Tcp).await;
    stage.udp.cut(false);
    let (over_quic, _) = stage.up(Carrier::Quic).await;
    // The newer one goes, the older one stays; and another probe comes.
    stage.edge.transport.close(over_quic, None);
    assert_eq!(stage.edge.down().await, DownReason::Local);
    assert_eq!(stage.edge.transport.stats().sessions, 1);
    stage.up(Carrier::Quic).await;
});

on_both!(quic_alone_never_takes_tcp, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.udp.cut(true);
    stage.dial(Via::Quic);
    let error = stage
        .edge
        .until("DialFailed", |e| match e {
            Event::DialFailed { error, .. } => Some(error),
            Event::SessionUp { .. } => panic!("a session"),
            _ => None,
        })
        .await;
    assert!(error.contains("does UDP pass"), "{error}");
});

on_both!(a_dead_line_is_noticed_over_tcp, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.dial(Via::Tcp);
    stage.up(Carrier::Tcp).await;
    // Longer than the silence that is allowed: pings keep it up.
    let quiet = async {
        loop {
            if let Event::SessionDown { reason, .. } = stage.edge.next("nothing").await {
                panic!("down: {reason}");
            }
        }
    };
    assert!(within(&rt, HASTY.silence * 2, quiet).await.is_none());
    stage.tcp.hold(true);
    let from = Instant::now();
    let (a, b) = future::zip(stage.edge.down(), stage.cloud.down()).await;
    assert_eq!((a, b), (DownReason::Silent, DownReason::Silent));
    assert!(from.elapsed() < HASTY.silence * 2, "noticed after {:?}", from.elapsed());
    stage.tcp.hold(false);
    stage.up(Carrier::Tcp).await;
});

on_both!(two_hundred_flows_at_once_over_tcp, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.dial(Via::Tcp);
    stage.up(Carrier::Tcp).await;
    let mut flows = Vec::new();
    for i in 0..200 {
        let (from, to) = if i % 2 == 0 { (&stage.edge, &stage.cloud) } else { (&stage.cloud, &stage.edge) };
        flows.push(flow(&rt, from, to).await);
    }
    let data = pattern(100_000);
    // All of them at once, each whole: none starves another.
    let mut all: Vec<_> = flows.iter().map(|(a, b)| Box::pin(transfer(a, b, &data))).collect();
    let mut done = vec![false; all.len()];
    let whole = std::future::poll_fn(|cx| {
        for (work, done) in all.iter_mut().zip(&mut done) {
            *done = *done || std::future::Future::poll(work.as_mut(), cx).is_ready();
        }
        if done.iter().all(|d| *d) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    assert!(within(&rt, PATIENCE * 2, whole).await.is_some(), "some flows never ended");
});

on_both!(a_half_that_ended_does_not_hide_a_reset, |rt: Arc<dyn Runtime>| async move {
    let stage = Stage::new(&rt);
    stage.dial(Via::Tcp);
    stage.up(Carrier::Tcp).await;
    let (mut client, mut service) = flow(&rt, &stage.edge, &stage.cloud).await;
    // The client has asked and ended its half; the answer breaks off in the middle.
    client.socket.write_all(b"ask").await.unwrap();
    client.socket.close().await.unwrap();
    let mut asked = Vec::new();
    service.socket.read_to_end(&mut asked).await.unwrap();
    assert_eq!(asked, b"ask");
    service.socket.write_all(b"half an ans").await.unwrap();
    client.socket.read_exact(&mut [0; 11]).await.unwrap();
    reset_on_drop(&service.socket);
    drop(service.socket);
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::Aborted)));
    let seen = client.socket.read(&mut [0]).await.map_err(|e| e.kind());
    assert_eq!(seen, Err(ErrorKind::ConnectionReset), "a cut answer looks whole");
});

/// A node, and somebody who may say anything on its TCP port.
struct Port {
    cloud: Node,
    org: Org,
}

impl Port {
    fn new(rt: &Arc<dyn Runtime>) -> Port {
        let org = Org::new("acme.example");
        let mut server = config(&org, "cloud-1", &[&org], true);
        server.profile.connect = Duration::from_millis(700);
        server.profile.answer = Duration::from_millis(700);
        server.limits.handshakes = 4;
        Port { cloud: Node::start(rt, server), org }
    }

    fn address(&self) -> SocketAddr {
        self.cloud.transport.local_addr()
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// TLS with a good certificate.
    fn tls(&self, alpn: &'static [u8]) -> StreamOwned<ClientConnection, TcpStream> {
        let verifier = Org::verifier(&[&self.org]);
        let config = client_config(&self.org.credentials("rude"), &verifier, &[alpn], false).unwrap();
        let tls = ClientConnection::new(Arc::new(config), SERVER_NAME.try_into().unwrap()).unwrap();
        StreamOwned::new(tls, self.connect())
    }

    async fn refused(&self) -> String {
        self.cloud
            .until("Refused", |e| match e {
                Event::Refused { reason, .. } => Some(reason),
                Event::SessionUp { .. } => panic!("a session"),
                _ => None,
            })
            .await
    }
}

on_both!(garbage_is_refused, |rt: Arc<dyn Runtime>| async move {
    let port = Port::new(&rt);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 3000], &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3, 4, 5, 6]] {
        let mut socket = port.connect();
        socket.write_all(bytes).unwrap();
        port.refused().await;
        // Whatever it is told, it is the end.
        let _ = socket.read_to_end(&mut Vec::new());
    }
    assert_eq!(port.cloud.transport.stats().refused, 3);
});

on_both!(a_stranger_without_a_certificate_is_refused, |rt: Arc<dyn Runtime>| async move {
    let port = Port::new(&rt);
    let verifier = Org::verifier(&[&port.org]);
    // Its own organisation is not trusted here; and one without any certificate.
    let other = Org::new("evil.example");
    let config = client_config(&other.credentials("rude"), &verifier, &[b"catalyst-peer/1"], false).unwrap();
    let mut bare = config.clone();
    bare.client_auth_cert_resolver = Arc::new(Nothing);
    for config in [config, bare] {
        let tls = ClientConnection::new(Arc::new(config), SERVER_NAME.try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(tls, port.connect());
        let error = smol::unblock(move || {
            // The client believes itself connected first; then it reads the alert.
            let _ = stream.write_all(b"x");
            stream.read(&mut [0]).unwrap_err()
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        let why = port.refused().await;
        assert!(why.contains("handshake refused by this node"), "{why}");
    }
});

#[derive(Debug)]
struct Nothing;

impl rustls::client::ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

on_both!(slow_handshakes_end_and_do_not_keep_others_out, |rt: Arc<dyn Runtime>| async move {
    let port = Port::new(&rt);
    let from = Instant::now();
    let silent: Vec<_> = (0..8).map(|_| port.connect()).collect();
    // As many as may be under way wait for their time; the rest is refused at once.
    let mut reasons = Vec::new();
    for _ in 0..8 {
        reasons.push(port.refused().await);
    }
    assert_eq!(reasons.iter().filter(|r| r.contains("too many")).count(), 4, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|r| r.contains("took longer")).count(), 4, "{reasons:?}");
    assert!(from.elapsed() < Duration::from_secs(5));
    drop(silent);
    let edge = Node::start(&rt, config(&port.org, "edge-1", &[&port.org], false));
    VIA.set(Via::Tcp);
    edge.dials(&port.cloud);
    open(&edge, &port.cloud).await;
});

/// What a client hears that says this. A client waits in a thread of its own: the node may have this one.
async fn told<S: Read + Write + Send + 'static>(mut stream: S, words: Vec<u8>) -> String {
    smol::unblock(move || {
        stream.write_all(&words).unwrap();
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen);
        String::from_utf8_lossy(&seen).into_owned()
    })
    .await
}

on_both!(a_peer_that_breaks_the_multiplexer_is_cut, |rt: Arc<dyn Runtime>| async move {
    let port = Port::new(&rt);
    let hello = [1, 0, 0, 12, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let hello: Vec<u8> = [&hello[..4], &[0; 4], &hello[4..]].concat();
    let data = |stream: u8, len: u8| [&[2, 0, 0, len, 0, 0, 0, stream], &vec![7; len.into()][..]].concat();
    let bad: [Vec<u8>; 6] = [
        vec![0xff; 64],                      // longer than any frame
        data(1, 4),                          // no greeting
        [&hello[..], &hello].concat(),       // two of them
        [&hello[..], &data(2, 4)].concat(),  // a stream of the other side
        [&hello[..], &data(0, 4)].concat(),  // no stream
        [&hello[..], &data(99, 4)].concat(), // beyond what is granted
    ];
    for bytes in bad {
        let text = told(port.tls(b"catalyst-peer/1"), bytes.clone()).await;
        assert!(text.contains("multiplexer"), "{bytes:?}: {text}");
        port.refused().await;
    }
    // No session, no protocol of ours, and a data connection without a session.
    let silent = smol::unblock({
        let (mut silent, hello) = (port.tls(b"catalyst-peer/1"), hello.clone());
        move || silent.write_all(&hello).map(|()| silent)
    })
    .await
    .unwrap();
    assert!(port.refused().await.contains("no control stream"));
    drop(silent);
    let mut other = port.tls(b"h3");
    let ended = smol::unblock(move || other.write_all(b"x").and_then(|()| other.read(&mut [0]).map(drop)));
    assert!(ended.await.is_err());
    port.refused().await;
    assert!(told(port.tls(b"catalyst-data/1"), hello).await.contains("no control session"));
    assert_eq!(port.cloud.transport.stats().sessions, 0);
});

// More than its credit on one stream, and more streams than it may have.
on_both!(a_peer_beyond_its_credit_is_cut, |rt: Arc<dyn Runtime>| async move {
    let port = Port::new(&rt);
    let mut stream = port.tls(b"catalyst-peer/1");
    let mut bytes = vec![1, 0, 0, 12, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0];
    bytes.extend([2, 0, 0, 4, 0, 0, 0, 1]);
    bytes.extend(frame(1, b""));
    let mut stream = smol::unblock(move || stream.write_all(&bytes).map(|()| stream)).await.unwrap();
    let session = up(&port.cloud, Carrier::Tcp).await;
    assert_eq!(port.cloud.frame().await, frame(1, b""));
    // The node reads what comes; so the window is only broken when it is told of more at once than it may hold.
    let second = [2, 0, 0, 4, 0, 0, 0, 3, 1, 0, 0, 0];
    stream.write_all(&second).unwrap();
    let reason = port.cloud.down().await;
    assert!(matches!(&reason, DownReason::Failed(why) if why.contains("beyond the limit")), "{reason:?}");
    assert!(port.cloud.transport.carrier(session).is_none());
});
