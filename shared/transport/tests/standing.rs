//! Readers that take nothing: a few may, without harm to the flows beside them; more are reset.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_transport::{FlowError, Limits, PumpEnd, TransportConfig};
use catalyst_tunnel::Refusal;
use common::tcp::*;
use common::*;
use futures_lite::future;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use quinn::Runtime;

/// As few windows as there may be.
fn small(mut config: TransportConfig) -> TransportConfig {
    config.limits = Limits { receive_window: 16 * 16 * 1024, stream_window: 16 * 1024, ..config.limits };
    config
}

async fn small_pair(rt: &Arc<dyn Runtime>) -> (Node, Node) {
    let org = Org::new("acme.example");
    let edge = Node::start(rt, small(config(&org, "edge-1", &[&org], false)));
    let cloud = Node::start(rt, small(config(&org, "cloud-1", &[&org], true)));
    edge.dials(&cloud);
    let _ = open(&edge, &cloud).await;
    (edge, cloud)
}

/// A service that never stops talking; the other end's socket is read by nobody.
async fn talks(rt: &Arc<dyn Runtime>, edge: &Node, cloud: &Node) -> (End, End) {
    let (client, service) = flow(rt, edge, cloud).await;
    let mut socket = service.socket.clone();
    rt.spawn(Box::pin(async move {
        let block: Vec<u8> = (0..64 * 1024).map(|i| (i % 251) as u8).collect();
        while socket.write_all(&block).await.is_ok() {}
    }));
    (client, service)
}

/// Waits until no byte has moved for half a second.
async fn stuck(rt: &Arc<dyn Runtime>, flows: &[(End, End)]) {
    let moved = || flows.iter().map(|(client, _)| client.control.down()).sum::<u64>();
    loop {
        let before = moved();
        within(rt, Duration::from_millis(500), future::pending::<()>()).await;
        if before > 0 && moved() == before {
            return;
        }
    }
}

/// A question, an answer of a few windows, and an end.
async fn works(rt: &Arc<dyn Runtime>, edge: &Node, cloud: &Node) -> Duration {
    let begin = Instant::now();
    let (mut client, mut service) = flow(rt, edge, cloud).await;
    client.socket.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    service.socket.read_exact(&mut four).await.unwrap();
    let answer = async {
        service.socket.write_all(&vec![7; 600_000]).await.unwrap();
        service.socket.close().await.unwrap();
    };
    let mut heard = Vec::new();
    let reading = client.socket.read_to_end(&mut heard);
    let (_, read) = future::zip(answer, reading).await;
    read.unwrap();
    assert!(heard == vec![7; 600_000]);
    begin.elapsed()
}

on_all!(as_many_as_are_allowed_stand_still_and_the_others_go_on, |rt: Arc<dyn Runtime>| async move {
    let (edge, cloud) = small_pair(&rt).await;
    let mut lazy = Vec::new();
    for _ in 0..12 {
        lazy.push(talks(&rt, &edge, &cloud).await);
    }
    stuck(&rt, &lazy).await;
    let begin = Instant::now();
    while begin.elapsed() < Limits::STANDING + Duration::from_secs(3) {
        let took = within(&rt, PATIENCE, works(&rt, &edge, &cloud)).await.expect("a flow was starved");
        assert!(took < Duration::from_secs(2), "beside twelve readers that stand still: {took:?}");
    }
    // They may stand for as long as they like, and have lost nothing.
    assert_eq!(edge.transport.stats().stood_still, 0);
    for (client, service) in &mut lazy {
        assert!(client.ended.is_empty() && service.ended.is_empty());
        let mut some = vec![0; 200_000];
        client.socket.read_exact(&mut some).await.unwrap();
        assert!(some.iter().enumerate().all(|(i, b)| *b == (i % (64 * 1024) % 251) as u8));
    }
});

on_all!(beyond_that_those_that_stand_longest_are_reset, |rt: Arc<dyn Runtime>| async move {
    let (edge, cloud) = small_pair(&rt).await;
    let mut lazy = Vec::new();
    // Their window is more than that of the connection, which is therefore used up.
    for _ in 0..24 {
        match within(&rt, Duration::from_secs(2), talks(&rt, &edge, &cloud)).await {
            Some(flow) => lazy.push(flow),
            None => break,
        }
    }
    println!("{} flows began before the window was used up", lazy.len());
    assert!(lazy.len() > 12);
    stuck(&rt, &lazy).await;
    let begin = Instant::now();
    let took = works(&rt, &edge, &cloud);
    within(&rt, Duration::from_secs(20), took).await.expect("new flows are starved");
    println!("a new one went through after {:?}", begin.elapsed());
    // From now on there is room again.
    let excess = lazy.len() - 12;
    let over = |lazy: &[(End, End)]| lazy.iter().filter(|(client, _)| !client.ended.is_empty()).count();
    let settled = async {
        while over(&lazy) < excess {
            within(&rt, Duration::from_millis(20), future::pending::<()>()).await;
        }
    };
    within(&rt, PATIENCE, settled).await.expect("too many stand still");
    for _ in 0..5 {
        let took = within(&rt, PATIENCE, works(&rt, &edge, &cloud)).await.expect("new flows are starved");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!((over(&lazy), edge.transport.stats().stood_still), (excess, excess as u64));
    for (client, service) in &lazy {
        if let Ok(end) = client.ended.try_recv() {
            assert_eq!(end, PumpEnd::Cut(Refusal::StoodStill));
            assert_eq!(service.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::StoodStill)));
        }
    }
});

on_all!(many_idle_flows_are_no_flows_that_stand_still, |rt: Arc<dyn Runtime>| async move {
    let (edge, cloud) = small_pair(&rt).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        let (mut client, mut service) = flow(&rt, &edge, &cloud).await;
        service.socket.write_all(b"hello").await.unwrap();
        let mut five = [0; 5];
        client.socket.read_exact(&mut five).await.unwrap();
        idle.push((client, service));
    }
    within(&rt, Limits::STANDING + Duration::from_secs(3), future::pending::<()>()).await;
    for (mut client, mut service) in idle {
        assert!(client.ended.is_empty() && service.ended.is_empty());
        service.socket.write_all(b"still").await.unwrap();
        let mut five = [0; 5];
        client.socket.read_exact(&mut five).await.unwrap();
    }
    assert_eq!(edge.transport.stats().stood_still, 0);
});

on_all!(where_the_peer_takes_no_more_flows_the_next_is_refused_soon, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let mut few = config(&org, "cloud-1", &[&org], true);
    few.limits = Limits { flows_per_peer: 2, ..few.limits };
    let cloud = Node::start(&rt, few);
    edge.dials(&cloud);
    let _ = open(&edge, &cloud).await;
    let _both = (flow(&rt, &edge, &cloud).await, flow(&rt, &edge, &cloud).await);
    let (begin, header) = (Instant::now(), header());
    let third = edge.transport.open_flow(&cloud.name, &header).await;
    let error = third.map(drop).unwrap_err();
    assert!(matches!(error, FlowError::NoStream { .. }), "{error:?}");
    assert_eq!(error.refusal(), Refusal::TooManyFlows);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert_eq!(edge.transport.stats().unopened, 1);
});
