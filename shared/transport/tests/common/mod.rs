//! Nodes with real certificates on loopback, on either runtime.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod packets;
pub mod places;
pub mod sockets;
pub mod tcp;

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use bytes::Bytes;
use catalyst_identity::{
    Clock, Credentials, Limits as TrustLimits, NodeKey, OrgRoot, PeerVerifier, TrustStore,
};
use catalyst_names::{NodeId, NodeName, OrgId};
use catalyst_transport::{
    DialTarget, DownReason, Event, Limits, LinkProfile, Resolving, SessionId, Transport, TransportConfig, Via,
};
use catalyst_tunnel::StreamHeader;
use quinn::Runtime;

/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

/// How long a test waits for a state that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn validity_unix(&self) -> u64 {
        NOW
    }
}

/// An organisation with its root.
pub struct Org {
    id: OrgId,
    root: OrgRoot,
}

impl Org {
    pub fn new(id: &str) -> Self {
        let id: OrgId = id.parse().unwrap();
        Org { root: OrgRoot::generate(&id, NOW).unwrap(), id }
    }

    pub fn credentials(&self, node: &str) -> Credentials {
        let node: NodeId = node.parse().unwrap();
        let key = NodeKey::generate().unwrap();
        let csr = key.csr(&self.id, &node).unwrap();
        let chain = self.root.sign_csr(&csr, Some(&node), NOW, 86_400).unwrap();
        Credentials::from_pem(&chain, &key).unwrap()
    }

    /// A verifier that trusts these organisations.
    pub fn verifier(trusted: &[&Org]) -> PeerVerifier {
        let store = TrustStore::new(TrustLimits::default());
        for org in trusted {
            store.insert(org.root.bundle().unwrap()).unwrap();
        }
        PeerVerifier::new(store, Arc::new(FixedClock))
    }
}

/// Timers for tests: fast tries, patient with a busy machine.
pub const QUICK: LinkProfile = LinkProfile {
    silence: Duration::from_secs(8),
    keep_alive: Duration::from_millis(500),
    connect: Duration::from_secs(8),
    answer: Duration::from_secs(5),
    fallback: Duration::from_millis(1500),
    probe: (Duration::from_millis(400), Duration::from_secs(2)),
    backoff: (Duration::from_millis(20), Duration::from_millis(200)),
    settled: Duration::from_secs(1),
    initial_rtt: Duration::from_millis(20),
    noisy: false,
};

thread_local! {
    /// What carries the sessions of the test that runs on this thread.
    pub static VIA: Cell<Via> = const { Cell::new(Via::Quic) };
}

/// A running driver and its events.
pub struct Node {
    pub name: NodeName,
    pub transport: Arc<Transport>,
    pub events: Receiver<Event>,
    pub rt: Arc<dyn Runtime>,
}

pub fn resolver() -> catalyst_transport::Resolver {
    Arc::new(|text: String| -> Resolving {
        Box::pin(async move { Ok(vec![text.parse().map_err(|_| std::io::ErrorKind::NotFound)?]) })
    })
}

/// Finds an address the first time: who was replaced comes back otherwise, and replaces the next.
pub fn only_once() -> catalyst_transport::Resolver {
    let (all, asked) = (resolver(), std::sync::atomic::AtomicBool::new(false));
    Arc::new(move |text| match asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
        false => all(text),
        true => Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) }),
    })
}

pub fn config(org: &Org, node: &str, trusted: &[&Org], listen: bool) -> TransportConfig {
    TransportConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        listen,
        credentials: org.credentials(node),
        verifier: Org::verifier(trusted),
        flows: places::FLOWS.with_borrow(Clone::clone),
        prefer_chacha: false,
        tcp: Some(Arc::new(sockets::Sockets)),
        resolver: resolver(),
        profile: QUICK,
        limits: Limits::EDGE,
        seed: 7,
    }
}

impl Node {
    pub fn start(rt: &Arc<dyn Runtime>, config: TransportConfig) -> Node {
        Self::start_with(rt, config, 256)
    }

    pub fn start_with(rt: &Arc<dyn Runtime>, config: TransportConfig, events: usize) -> Node {
        let (send, receive) = async_channel::bounded(events);
        let name = config.credentials.name().clone();
        let transport = Arc::new(Transport::start(config, Arc::clone(rt), send).unwrap());
        Node { name, transport, events: receive, rt: Arc::clone(rt) }
    }

    pub fn dials(&self, other: &Node) {
        self.dials_as(other, &other.name);
    }

    pub fn dials_as(&self, other: &Node, name: &NodeName) {
        let address = Some(other.transport.local_addr().to_string());
        self.transport.set_peer(DialTarget { name: name.clone(), address, profile: None, via: VIA.get() });
    }

    /// The next event, or a panic that says what was wanted.
    pub async fn next(&self, wanted: &str) -> Event {
        let next = within(&self.rt, PATIENCE, self.events.recv()).await;
        next.unwrap_or_else(|| panic!("{}: no event within {PATIENCE:?}, wanted {wanted}", self.name))
            .unwrap()
    }

    /// Waits for the event that `pick` wants; skips others, but not for ever.
    pub async fn until<T>(&self, wanted: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let from = Instant::now();
        loop {
            assert!(
                from.elapsed() < PATIENCE * 2,
                "{}: other events without end, wanted {wanted}",
                self.name
            );
            if let Some(found) = pick(self.next(wanted).await) {
                return found;
            }
        }
    }

    pub async fn up(&self) -> (SessionId, NodeName) {
        self.until("SessionUp", |e| match e {
            Event::SessionUp { session, peer, .. } => Some((session, peer)),
            _ => None,
        })
        .await
    }

    pub async fn frame(&self) -> Bytes {
        self.until("Frame", |e| match e {
            Event::Frame { frame, .. } => Some(frame),
            _ => None,
        })
        .await
    }

    pub async fn down(&self) -> DownReason {
        self.until("SessionDown", |e| match e {
            Event::SessionDown { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    pub async fn flow(&self) -> (NodeName, StreamHeader, catalyst_transport::FlowStream) {
        self.until("Flow", |e| match e {
            Event::Flow { peer, header, flow } => Some((peer, *header, flow)),
            _ => None,
        })
        .await
    }
}

/// `None` when the time was up first.
pub async fn within<T>(rt: &Arc<dyn Runtime>, time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut timer = rt.new_timer(Instant::now() + time);
    let late = async {
        std::future::poll_fn(|cx| timer.as_mut().poll(cx)).await;
        None
    };
    futures_lite::future::or(async { Some(work.await) }, late).await
}

/// A frame of this type with this body.
pub fn frame(kind: u8, body: &[u8]) -> Bytes {
    let mut out = vec![kind, 0];
    out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    out.extend(body);
    out.into()
}

/// Two nodes of one organisation, connected: the first dialled. Both sent an OPEN that is already taken.
pub async fn pair(rt: &Arc<dyn Runtime>) -> (Node, SessionId, Node, SessionId) {
    let org = Org::new("acme.example");
    let edge = Node::start(rt, config(&org, "edge-1", &[&org], false));
    let cloud = Node::start(rt, config(&org, "cloud-1", &[&org], true));
    edge.dials(&cloud);
    let (at_edge, at_cloud) = open(&edge, &cloud).await;
    (edge, at_edge, cloud, at_cloud)
}

/// Waits for a session that `a` dialled, and for each side's OPEN at the other.
pub async fn open(a: &Node, b: &Node) -> (SessionId, SessionId) {
    let (at_a, peer) = a.up().await;
    assert_eq!(peer, b.name);
    a.transport.send(at_a, frame(1, b"open of a")).unwrap();
    let (at_b, peer) = b.up().await;
    assert_eq!(peer, a.name);
    b.transport.send(at_b, frame(1, b"open of b")).unwrap();
    assert_eq!(b.frame().await, frame(1, b"open of a"));
    assert_eq!(a.frame().await, frame(1, b"open of b"));
    (at_a, at_b)
}

/// Runs an async test on both runtimes, over QUIC, and once more with sessions on a thread of their own.
#[macro_export]
macro_rules! on_both {
    ($(#[$meta:meta])* $name:ident, $body:expr) => {
        mod $name {
            use super::*;
            $(#[$meta])*
            #[test]
            fn one_thread() {
                let thread = catalyst_reactor::OneThread::new().unwrap();
                thread.block_on($body(std::sync::Arc::new(thread.clone())));
            }
            $(#[$meta])*
            #[test]
            fn tokio() {
                let rt: std::sync::Arc<dyn quinn::Runtime> = std::sync::Arc::new(quinn::TokioRuntime);
                ::tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on($body(rt));
            }
            $(#[$meta])*
            #[test]
            fn apart() {
                $crate::common::places::run(2, |home, _| $body(home));
            }
        }
    };
}

/// Runs an async test on both runtimes, over QUIC and over TCP.
#[macro_export]
macro_rules! on_all {
    ($(#[$meta:meta])* $name:ident, $body:expr) => {
        mod $name {
            use super::*;
            on_both!($(#[$meta])* quic, |rt: std::sync::Arc<dyn quinn::Runtime>| {
                VIA.set(catalyst_transport::Via::Quic);
                $body(rt)
            });
            on_both!($(#[$meta])* tcp, |rt: std::sync::Arc<dyn quinn::Runtime>| {
                VIA.set(catalyst_transport::Via::Tcp);
                $body(rt)
            });
        }
    };
}
