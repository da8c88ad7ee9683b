//! Control sessions over real QUIC on loopback.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalyst_transport::{DownReason, Event, Limits, SendError};
use common::*;
use quinn::Runtime;

on_all!(frames_arrive_whole_and_in_order, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, at_cloud) = pair(&rt).await;
    for i in 0..50u16 {
        let body: Vec<u8> = (0..i * 7).map(|n| n as u8).collect();
        edge.transport.send(at_edge, frame(2, &body)).unwrap();
        cloud.transport.send(at_cloud, frame(6, &i.to_be_bytes())).unwrap();
    }
    for i in 0..50u16 {
        let body: Vec<u8> = (0..i * 7).map(|n| n as u8).collect();
        assert_eq!(cloud.frame().await, frame(2, &body));
        assert_eq!(edge.frame().await, frame(6, &i.to_be_bytes()));
    }
});

on_all!(closing_delivers_the_last_frame_and_is_noticed_at_once, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, at_cloud) = pair(&rt).await;
    let from = Instant::now();
    cloud.transport.close(at_cloud, Some(frame(9, b"going down")));
    assert_eq!(cloud.transport.send(at_cloud, frame(2, b"late")), Err(SendError::Closed));
    assert_eq!(edge.frame().await, frame(9, b"going down"));
    assert_eq!(edge.down().await, DownReason::Closed);
    assert!(from.elapsed() < Duration::from_secs(2), "noticed after {:?}", from.elapsed());
    assert_eq!(cloud.down().await, DownReason::Local);
    assert_eq!(edge.transport.send(at_edge, frame(2, b"late")), Err(SendError::Closed));
    // The dialler comes back by itself.
    let _ = open(&edge, &cloud).await;
});

on_all!(a_wrong_name_is_refused_by_the_dialler, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let cloud = Node::start(&rt, config(&org, "cloud-1", &[&org], true));
    edge.dials_as(&cloud, &"cloud-2.acme.example".parse().unwrap());
    let error = edge
        .until("DialFailed", |e| match e {
            Event::DialFailed { error, .. } => Some(error),
            Event::SessionUp { .. } => panic!("a session with the wrong node"),
            _ => None,
        })
        .await;
    assert!(error.contains("cloud-1.acme.example") && error.contains("cloud-2.acme.example"), "{error}");
    let reason = refused(&cloud).await;
    assert!(reason.contains("cloud-2.acme.example"), "{reason}");
});

on_all!(an_unknown_organisation_is_refused_by_the_dialled, |rt: Arc<dyn Runtime>| async move {
    let (acme, globex) = (Org::new("acme.example"), Org::new("globex.example"));
    let edge = Node::start(&rt, config(&globex, "edge-1", &[&acme, &globex], false));
    let cloud = Node::start(&rt, config(&acme, "cloud-1", &[&acme], true));
    edge.dials(&cloud);
    let error = edge
        .until("DialFailed", |e| match e {
            Event::DialFailed { error, .. } => Some(error),
            Event::SessionUp { .. } => panic!("a session without trust"),
            _ => None,
        })
        .await;
    assert!(error.contains("trust bundle"), "{error}");
    let reason = refused(&cloud).await;
    assert!(reason.contains("globex.example"), "{reason}");
    assert!(cloud.transport.stats().refused > 0);
});

on_all!(an_unknown_organisation_is_refused_by_the_dialler, |rt: Arc<dyn Runtime>| async move {
    let (acme, globex) = (Org::new("acme.example"), Org::new("globex.example"));
    let edge = Node::start(&rt, config(&acme, "edge-1", &[&acme], false));
    let cloud = Node::start(&rt, config(&globex, "cloud-1", &[&acme, &globex], true));
    edge.dials(&cloud);
    let error = edge
        .until("DialFailed", |e| match e {
            Event::DialFailed { error, .. } => Some(error),
            Event::SessionUp { .. } => panic!("a session without trust"),
            _ => None,
        })
        .await;
    assert!(error.ends_with("add the bundle of globex.example first"), "{error}");
});

async fn refused(node: &Node) -> String {
    node.until("Refused", |e| match e {
        Event::Refused { reason, .. } => Some(reason),
        Event::SessionUp { .. } => panic!("a session that should have been refused"),
        _ => None,
    })
    .await
}

on_all!(an_oversized_frame_ends_the_session_with_a_notify, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, _) = pair(&rt).await;
    // A header that claims 16,385 bytes: refused before any of them.
    edge.transport.send(at_edge, Bytes::from_static(&[2, 0, 0x40, 0x01, 7])).unwrap();
    let reason = cloud.down().await;
    assert!(matches!(&reason, DownReason::Protocol(what) if what.contains("16385")), "{reason:?}");
    let last = edge.frame().await;
    assert_eq!(last[0], 9, "not a NOTIFY: {last:?}");
    let reason = edge.down().await;
    assert!(matches!(reason, DownReason::Closed | DownReason::ClosedWith { code: 1, .. }), "{reason:?}");
    assert_eq!(cloud.transport.stats().protocol_errors, 1);
});

on_all!(a_frame_cut_off_by_the_end_is_a_protocol_error, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, _) = pair(&rt).await;
    edge.transport.send(at_edge, Bytes::from_static(&[2, 0, 0, 9, 1, 2])).unwrap();
    edge.transport.close(at_edge, None);
    let reason = cloud.down().await;
    assert!(matches!(&reason, DownReason::Protocol(_)), "{reason:?}");
});

on_all!(sending_beyond_the_credit_closes_the_session, |rt: Arc<dyn Runtime>| async move {
    let (edge, at_edge, cloud, _) = pair(&rt).await;
    // The writer runs on another thread and gives credit back meanwhile: send until it is refused.
    let big = frame(2, &[1; 16_000]);
    let refused = (0..100_000).find_map(|_| edge.transport.send(at_edge, big.clone()).err());
    assert_eq!(refused, Some(SendError::Credit));
    assert_eq!(edge.down().await, DownReason::CreditExceeded);
    // A CLOSE that the full socket of the other side dropped is not sent for ever: who then still sends gets a reset.
    let reason = cloud.down().await;
    assert!(matches!(reason, DownReason::Closed | DownReason::Protocol(_) | DownReason::Reset), "{reason:?}");
});

on_all!(a_peer_that_does_not_read_stops_the_credit_and_nobody_else, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let source = Node::start(&rt, config(&org, "source", &[&org], true));
    // An event channel of four: whoever does not take its events reads no frames.
    let stuck = Node::start_with(&rt, config(&org, "stuck", &[&org], false), 4);
    let quick = Node::start(&rt, config(&org, "quick", &[&org], false));
    stuck.dials(&source);
    let (_, to_stuck) = open(&stuck, &source).await;
    quick.dials(&source);
    let (_, to_quick) = open(&quick, &source).await;

    let big = frame(2, &[7; 16_000]);
    let (mut credit, mut sent) = (Limits::SESSION_CREDIT, 0);
    let mut quiet = false;
    while !quiet {
        while credit >= big.len() {
            source.transport.send(to_stuck, big.clone()).unwrap();
            credit -= big.len();
            sent += 1;
        }
        let event = within(&rt, Duration::from_secs(2), source.events.recv()).await;
        match event.map(Result::unwrap) {
            Some(Event::Writable { session, bytes }) if session == to_stuck => credit += bytes,
            Some(_) => {}
            None => quiet = true,
        }
        assert!(sent < 1000, "the credit never stopped");
    }
    assert!(credit < big.len(), "credit is left, yet nothing was sent");

    // The other session goes on, all the same.
    for i in 0..100u16 {
        source.transport.send(to_quick, frame(6, &i.to_be_bytes())).unwrap();
        assert_eq!(quick.frame().await, frame(6, &i.to_be_bytes()));
    }
    // And the stuck one gets everything once it reads: nothing was lost.
    for _ in 0..sent {
        assert_eq!(stuck.frame().await, big);
    }
});

on_all!(a_dialler_comes_back_to_a_peer_that_restarted, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let mut server = config(&org, "cloud-1", &[&org], true);
    let cloud = Node::start(&rt, server.clone());
    edge.dials(&cloud);
    let _ = open(&edge, &cloud).await;

    server.bind = cloud.transport.local_addr();
    cloud.transport.shutdown().await;
    assert_eq!(edge.down().await, DownReason::Closed);
    drop(cloud);
    let cloud = loop {
        let (send, events) = async_channel::bounded(256);
        match catalyst_transport::Transport::start(server.clone(), Arc::clone(&rt), send) {
            Ok(transport) => {
                break Node {
                    name: "cloud-1.acme.example".parse().unwrap(),
                    transport: Arc::new(transport),
                    events,
                    rt: Arc::clone(&rt),
                };
            }
            // The old socket is closed by a task of the old driver.
            Err(catalyst_transport::TransportError::AddressInUse { .. }) => {
                let _ = within(&rt, Duration::from_millis(10), std::future::pending::<()>()).await;
            }
            Err(e) => panic!("{e}"),
        }
    };
    let _ = open(&edge, &cloud).await;
});

on_all!(a_busy_port_is_named, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let first = Node::start(&rt, config(&org, "a", &[&org], true));
    let mut second = config(&org, "b", &[&org], true);
    second.bind = first.transport.local_addr();
    let (send, _events) = async_channel::bounded(1);
    let error = catalyst_transport::Transport::start(second, Arc::clone(&rt), send).unwrap_err().to_string();
    assert!(error.contains(&first.transport.local_addr().to_string()) && error.contains("in use"), "{error}");
});
