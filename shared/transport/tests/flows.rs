//! Flows over a data connection, between real sockets.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_transport::{FlowError, Limits, PumpEnd};
use catalyst_tunnel::Refusal;
use common::tcp::*;
use common::*;
use futures_lite::future;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use quinn::Runtime;

on_all!(the_dialling_side_opens_a_flow, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (client, service) = flow(&rt, &edge, &cloud).await;
    talk(client, service).await;
});

// The cloud cannot dial the edge: it asks the edge to.
on_all!(the_accepting_side_opens_the_first_flow, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (client, service) = flow(&rt, &cloud, &edge).await;
    talk(client, service).await;
    // The question was not handed to the core.
    assert!(edge.events.is_empty(), "{:?}", edge.events.try_recv());
    let (client, service) = flow(&rt, &edge, &cloud).await;
    talk(client, service).await;
});

/// A request, an answer, and an orderly end.
async fn talk(mut client: End, mut service: End) {
    client.socket.write_all(b"ping").await.unwrap();
    let mut buf = [0; 4];
    service.socket.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"ping");
    service.socket.write_all(b"pong").await.unwrap();
    client.socket.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"pong");
    client.socket.close().await.unwrap();
    service.socket.close().await.unwrap();
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::Finished));
    assert_eq!(service.ended.recv().await, Ok(PumpEnd::Finished));
    assert_eq!((client.control.up(), client.control.down()), (4, 4));
    assert_eq!((service.control.up(), service.control.down()), (4, 4));
}

on_all!(half_close_is_carried_through, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    for client_first in [true, false] {
        let (client, service) = flow(&rt, &edge, &cloud).await;
        let (mut first, mut second) = if client_first { (client, service) } else { (service, client) };
        first.socket.write_all(b"all I have to say").await.unwrap();
        first.socket.close().await.unwrap();
        let mut heard = Vec::new();
        second.socket.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"all I have to say");
        // The other half lives on.
        assert!(first.ended.is_empty() && second.ended.is_empty());
        second.socket.write_all(&[7; 100_000]).await.unwrap();
        second.socket.close().await.unwrap();
        let mut answer = Vec::new();
        first.socket.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [7; 100_000]);
        assert_eq!(first.ended.recv().await, Ok(PumpEnd::Finished));
        assert_eq!(second.ended.recv().await, Ok(PumpEnd::Finished));
    }
});

on_all!(a_reset_is_carried_through, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    for client_first in [true, false] {
        let (client, service) = flow(&rt, &edge, &cloud).await;
        let (mut first, mut second) = if client_first { (client, service) } else { (service, client) };
        first.socket.write_all(b"x").await.unwrap();
        let mut one = [0];
        second.socket.read_exact(&mut one).await.unwrap();
        reset_on_drop(&first.socket);
        drop(first.socket);
        let seen = second.socket.read(&mut one).await;
        assert_eq!(seen.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
        assert_eq!(first.ended.recv().await, Ok(PumpEnd::LocalReset(ErrorKind::ConnectionReset)));
        assert_eq!(second.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::Aborted)));
    }
});

// The reader has had the end of one half already: only STOP_SENDING tells it of the reset.
on_all!(a_reset_after_a_half_close_is_carried_through, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (mut client, mut service) = flow(&rt, &edge, &cloud).await;
    service.socket.close().await.unwrap();
    let mut one = [0];
    assert_eq!(client.socket.read(&mut one).await.unwrap(), 0);
    reset_on_drop(&service.socket);
    drop(service.socket);
    // A socket whose end was read shows its reset to a writer alone.
    client.socket.write_all(b"anybody?").await.unwrap();
    assert_eq!(service.ended.recv().await.map(|end| matches!(end, PumpEnd::LocalReset(_))), Ok(true));
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::Aborted)));
});

on_all!(a_refusal_reaches_the_opener, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let header = header();
    for why in [Refusal::NotPermitted, Refusal::TargetRefused, Refusal::Other(200)] {
        let opening = edge.transport.open_flow(&cloud.name, &header);
        let refusing = async { cloud.flow().await.2.refuse(why).await };
        let (opened, ()) = future::zip(opening, refusing).await;
        assert_eq!(opened.map(drop), Err(FlowError::Refused(why)));
    }
    // A flow that nobody answers is refused too.
    let opening = edge.transport.open_flow(&cloud.name, &header);
    let (opened, ()) = future::zip(opening, async { drop(cloud.flow().await) }).await;
    assert_eq!(opened.map(drop), Err(FlowError::Refused(Refusal::NoEndpoint)));
});

on_all!(a_flow_without_a_session_fails_at_once, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let nobody = "nobody.acme.example".parse().unwrap();
    let from = Instant::now();
    let error = edge.transport.open_flow(&nobody, &header()).await.unwrap_err();
    assert_eq!(error, FlowError::NoSession(nobody));
    assert!(from.elapsed() < Duration::from_secs(1));
});

on_all!(a_silent_peer_costs_an_opener_its_deadline_and_no_more, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let mut hasty = config(&org, "edge-1", &[&org], false);
    hasty.profile.answer = Duration::from_millis(300);
    let edge = Node::start(&rt, hasty);
    let cloud = Node::start(&rt, config(&org, "cloud-1", &[&org], true));
    edge.dials(&cloud);
    let _ = open(&edge, &cloud).await;
    let header = header();
    let opening = edge.transport.open_flow(&cloud.name, &header);
    let (opened, held) = future::zip(opening, cloud.flow()).await;
    assert!(matches!(opened, Err(FlowError::TimedOut { .. })), "{opened:?}");
    // The one who answers too late learns that nobody waits.
    let late = held.2.accept().await;
    if let Ok(flow) = late {
        let end = join(&rt, flow);
        assert_eq!(end.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::Aborted)));
    }
});

on_all!(one_stalled_direction_or_flow_does_not_stall_others, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, _) = pair(&rt).await;
    let (mut client, mut service) = flow(&rt, &edge, &cloud).await;
    // Nobody reads at the service: this direction fills up.
    let full = async {
        loop {
            client.socket.write_all(&[1; 65_536]).await.unwrap();
        }
    };
    assert!(within(&rt, Duration::from_secs(1), full).await.is_none(), "the flow never filled up");
    // The other direction of the same flow, another flow, and the control session go on.
    service.socket.write_all(b"still here").await.unwrap();
    let mut buf = [0; 10];
    client.socket.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"still here");
    let (other, far) = flow(&rt, &edge, &cloud).await;
    talk(other, far).await;
    edge.transport.send(at_edge, frame(6, b"alive")).unwrap();
    assert_eq!(cloud.frame().await, frame(6, b"alive"));
    // What was kept back arrives once the service reads.
    let mut read = 0;
    let mut chunk = vec![0; 65_536];
    while read < 262_144 {
        let n = service.socket.read(&mut chunk).await.unwrap();
        assert!(n > 0 && chunk[..n].iter().all(|b| *b == 1));
        read += n;
    }
});

on_all!(bulk_arrives_whole_both_ways_at_once, |rt: Arc<dyn Runtime>| async move {
    const SIZE: usize = 8 * 1024 * 1024;
    let (edge, _, cloud, _) = pair(&rt).await;
    let (client, service) = flow(&rt, &edge, &cloud).await;
    let pattern =
        |seed: usize| (0..SIZE).map(|i| ((i * 31 + i / 977 + seed) % 251) as u8).collect::<Vec<u8>>();
    let (there, back) = (pattern(1), pattern(2));
    let send = |end: &End, data: Vec<u8>| {
        let socket = end.socket.clone();
        async move {
            let mut socket = socket;
            socket.write_all(&data).await.unwrap();
            socket.close().await.unwrap();
        }
    };
    let receive = |end: &End| {
        let socket = end.socket.clone();
        async move {
            let mut all = Vec::new();
            { socket }.read_to_end(&mut all).await.unwrap();
            all
        }
    };
    let sending = future::zip(send(&client, there.clone()), send(&service, back.clone()));
    let receiving = future::zip(receive(&service), receive(&client));
    let (_, (got_there, got_back)) = future::zip(sending, receiving).await;
    assert!(got_there == there && got_back == back);
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::Finished));
    assert_eq!((client.control.up(), client.control.down()), (SIZE as u64, SIZE as u64));
});

on_all!(a_cut_flow_is_reset_at_both_ends, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (mut client, mut service) = flow(&rt, &edge, &cloud).await;
    service.control.cut(Refusal::NotPermitted);
    service.control.cut(Refusal::Closing);
    assert_eq!(service.ended.recv().await, Ok(PumpEnd::Cut(Refusal::NotPermitted)));
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::NotPermitted)));
    for socket in [&mut client.socket, &mut service.socket] {
        let seen = socket.read(&mut [0]).await.map_err(|e| e.kind());
        assert_eq!(seen, Err(ErrorKind::ConnectionReset));
    }
});

on_all!(flows_end_with_the_session, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, _) = pair(&rt).await;
    let (mut client, service) = flow(&rt, &edge, &cloud).await;
    edge.transport.close(at_edge, None);
    assert!(matches!(client.ended.recv().await, Ok(PumpEnd::Lost(_))));
    assert!(matches!(service.ended.recv().await, Ok(PumpEnd::Lost(_))));
    let seen = client.socket.read(&mut [0]).await.map_err(|e| e.kind());
    assert_eq!(seen, Err(ErrorKind::ConnectionReset));
    // And come back with the next one.
    let _ = edge.down().await;
    let _ = cloud.down().await;
    let _ = open(&edge, &cloud).await;
    let (client, service) = flow(&rt, &edge, &cloud).await;
    talk(client, service).await;
});

on_all!(beyond_the_limit_a_flow_waits_for_another_to_end, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let mut small = config(&org, "cloud-1", &[&org], true);
    small.limits = Limits { flows_per_peer: 2, ..small.limits };
    let cloud = Node::start(&rt, small);
    edge.dials(&cloud);
    let _ = open(&edge, &cloud).await;
    let first = flow(&rt, &edge, &cloud).await;
    let _second = flow(&rt, &edge, &cloud).await;
    let third = flow(&rt, &edge, &cloud);
    let mut third = Box::pin(third);
    assert!(within(&rt, Duration::from_millis(300), &mut third).await.is_none(), "a third flow of two");
    talk(first.0, first.1).await;
    let third = within(&rt, PATIENCE, third).await.expect("the third flow never came");
    talk(third.0, third.1).await;
});

on_all!(many_flows_at_once, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let mut open_flows = Vec::new();
    // More than either may open at first.
    for i in 0..Limits::FLOWS_AT_FIRST * 4 {
        let (from, to) = if i % 2 == 0 { (&edge, &cloud) } else { (&cloud, &edge) };
        open_flows.push(flow(&rt, from, to).await);
    }
    for (client, service) in open_flows {
        talk(client, service).await;
    }
});

on_all!(latency_is_sane, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, at_cloud) = pair(&rt).await;
    let (mut client, mut service) = flow(&rt, &edge, &cloud).await;
    let (mut frames, mut bytes) = (Vec::new(), Vec::new());
    let mut buf = [0];
    for _ in 0..200 {
        let from = Instant::now();
        edge.transport.send(at_edge, frame(6, b"")).unwrap();
        let _ = cloud.frame().await;
        cloud.transport.send(at_cloud, frame(6, b"")).unwrap();
        let _ = edge.frame().await;
        frames.push(from.elapsed());
        let from = Instant::now();
        client.socket.write_all(&[1]).await.unwrap();
        service.socket.read_exact(&mut buf).await.unwrap();
        service.socket.write_all(&[1]).await.unwrap();
        client.socket.read_exact(&mut buf).await.unwrap();
        bytes.push(from.elapsed());
    }
    frames.sort();
    bytes.sort();
    println!(
        "round trip, median and worst: frames {:?} {:?}, bytes {:?} {:?}",
        frames[100], frames[199], bytes[100], bytes[199]
    );
    // Far above what an idle machine shows; below any timer that could hide in the path (25 ms of delayed ACK).
    assert!(frames[100] < Duration::from_millis(10) && bytes[100] < Duration::from_millis(10));
});
