//! Losses, restarts, double dials, and the limits of a node.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_testkit::relay::Relay;
use catalyst_transport::{
    DialTarget, DownReason, Event, FlowControl, Held, Limits, LinkProfile, PumpEnd, Via, relay,
};
use catalyst_tunnel::Refusal;
use common::tcp::*;
use common::*;
use futures_lite::future;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use quinn::Runtime;

/// Two nodes with a relay between them; both use the default profile.
async fn through_relay(rt: &Arc<dyn Runtime>) -> (Node, Node, Relay) {
    let org = Org::new("acme.example");
    let wan = |c| catalyst_transport::TransportConfig { profile: LinkProfile::WAN, ..c };
    let edge = Node::start(rt, wan(config(&org, "edge-1", &[&org], false)));
    let cloud = Node::start(rt, wan(config(&org, "cloud-1", &[&org], true)));
    let relay = Relay::to(cloud.transport.local_addr()).unwrap();
    let address = Some(relay.address().to_string());
    edge.transport.set_peer(DialTarget { name: cloud.name.clone(), address, profile: None, via: Via::Quic });
    let _ = open(&edge, &cloud).await;
    (edge, cloud, relay)
}

on_both!(a_loss_is_noticed_in_time_and_mended, |rt: Arc<dyn Runtime>| async move {
    let (edge, cloud, relay) = through_relay(&rt).await;
    relay.cut(true);
    let from = Instant::now();
    let (a, b) = future::zip(edge.down(), cloud.down()).await;
    let noticed = from.elapsed();
    assert_eq!((a, b), (DownReason::Silent, DownReason::Silent));
    assert!(noticed < Duration::from_secs(3), "noticed after {noticed:?}");
    relay.cut(false);
    let _ = open(&edge, &cloud).await;
});

on_both!(a_short_outage_is_ridden_out, |rt: Arc<dyn Runtime>| async move {
    let (edge, cloud, relay) = through_relay(&rt).await;
    relay.cut(true);
    assert!(within(&rt, Duration::from_millis(1000), edge.events.recv()).await.is_none());
    relay.cut(false);
    let (client, service) = flow(&rt, &edge, &cloud).await;
    drop((client, service));
    assert_eq!(edge.transport.stats().sessions, 1);
});

// The node that died had a data connection; its old session is still up when the new process dials.
on_both!(flows_reach_a_restarted_peer_over_its_new_session, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let cloud = Node::start(&rt, config(&org, "cloud-1", &[&org], true));
    let relay = Relay::to(cloud.transport.local_addr()).unwrap();
    let old = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let address = Some(relay.address().to_string());
    old.transport.set_peer(DialTarget { name: cloud.name.clone(), address, profile: None, via: Via::Quic });
    let (_, first) = open(&old, &cloud).await;
    let stale = flow(&rt, &cloud, &old).await;
    relay.cut(true);

    let new = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    new.dials(&cloud);
    let _ = open(&new, &cloud).await;
    assert_eq!(cloud.transport.stats().sessions, 2);
    let from = Instant::now();
    let (mut client, mut service) = flow(&rt, &cloud, &new).await;
    client.socket.write_all(b"x").await.unwrap();
    service.socket.read_exact(&mut [0]).await.unwrap();
    assert!(from.elapsed() < Duration::from_secs(2), "took {:?}", from.elapsed());
    // The core ends the old session; its flows end with it, those of the new one do not.
    cloud.transport.close(first, None);
    assert!(matches!(stale.0.ended.recv().await, Ok(PumpEnd::Lost(_))));
    client.socket.write_all(b"y").await.unwrap();
    service.socket.read_exact(&mut [0]).await.unwrap();
});

on_both!(two_dials_that_cross_come_to_rest, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let a = Node::start(&rt, config(&org, "a", &[&org], true));
    let b = Node::start(&rt, config(&org, "b", &[&org], true));
    a.dials(&b);
    b.dials(&a);
    // What the core does, in short: send OPEN on each session; of two, the one that `a` dialled stays.
    let settle = |node: &Node, dialled_stays: bool| {
        let (transport, events) = (Arc::clone(&node.transport), node.events.clone());
        async move {
            loop {
                if let Ok(Event::SessionUp { session, dialled, .. }) = events.recv().await {
                    // The other side may have closed it by now.
                    let _ = transport.send(session, frame(1, b""));
                    if dialled != dialled_stays {
                        transport.close(session, None);
                    }
                }
            }
        }
    };
    let both = future::or(settle(&a, true), settle(&b, false));
    let rest = async {
        let mut since = Instant::now();
        let from = Instant::now();
        while since.elapsed() < Duration::from_millis(1500) {
            if (a.transport.stats().sessions, b.transport.stats().sessions) != (1, 1) {
                since = Instant::now();
            }
            assert!(from.elapsed() < PATIENCE, "no rest");
            let _ = within(&rt, Duration::from_millis(20), future::pending::<()>()).await;
        }
    };
    future::or(both, rest).await;
});

on_both!(a_third_session_of_a_peer_replaces_the_oldest, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let cloud = Node::start(&rt, config(&org, "cloud-1", &[&org], true));
    let first_once = |place: usize| {
        let mut config = config(&org, "edge-1", &[&org], false);
        if place == 0 {
            config.resolver = only_once();
        }
        Node::start(&rt, config)
    };
    let edges: Vec<_> = (0..3).map(first_once).collect();
    for edge in &edges[..2] {
        edge.dials(&cloud);
        let _ = open(edge, &cloud).await;
    }
    edges[2].dials(&cloud);
    // The other side learns of the session by its first frame.
    let (third, _) = edges[2].up().await;
    edges[2].transport.send(third, frame(1, b"open of a")).unwrap();
    assert_eq!(cloud.down().await, DownReason::Replaced);
    let reason = edges[0].down().await;
    assert!(matches!(&reason, DownReason::ClosedWith { code: 2, .. }), "{reason:?}");
    assert_eq!(cloud.transport.stats().sessions, 2);
});

on_both!(a_full_node_refuses_new_sessions_and_keeps_the_old, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let mut small = config(&org, "cloud-1", &[&org], true);
    small.limits = Limits { sessions: 1, ..small.limits };
    let cloud = Node::start(&rt, small);
    let first = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let second = Node::start(&rt, config(&org, "edge-2", &[&org], false));
    first.dials(&cloud);
    let (at_first, _) = open(&first, &cloud).await;
    second.dials(&cloud);
    let error = second
        .until("DialFailed", |e| match e {
            Event::DialFailed { error, .. } => Some(error),
            _ => None,
        })
        .await;
    assert!(error.contains("sessions with as many peers"), "{error}");
    first.transport.send(at_first, frame(6, b"still here")).unwrap();
    assert_eq!(cloud.frame().await, frame(6, b"still here"));
    // Once there is room, the refused one gets in by itself.
    first.transport.remove_peer(&cloud.name);
    let _ = open(&second, &cloud).await;
});

on_both!(a_full_node_takes_a_peer_that_comes_again, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let mut small = config(&org, "cloud-1", &[&org], true);
    small.limits = Limits { sessions: 1, ..small.limits };
    let cloud = Node::start(&rt, small);
    // The first has lost its way, and nobody knows yet.
    for _ in 0..2 {
        let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
        edge.dials(&cloud);
        let _ = open(&edge, &cloud).await;
        std::mem::forget(edge);
    }
});

on_both!(a_removed_peer_is_closed_in_order_and_not_dialled_again, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    edge.transport.remove_peer(&cloud.name);
    assert_eq!(edge.down().await, DownReason::Local);
    assert_eq!(cloud.down().await, DownReason::Closed);
    assert!(within(&rt, Duration::from_millis(700), cloud.events.recv()).await.is_none());
    edge.dials(&cloud);
    let _ = open(&edge, &cloud).await;
});

on_both!(a_changed_address_moves_the_session, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    // The same address again changes nothing.
    edge.dials(&cloud);
    assert!(within(&rt, Duration::from_millis(300), edge.events.recv()).await.is_none_or(is_writable));
    let relay = Relay::to(cloud.transport.local_addr()).unwrap();
    let address = Some(relay.address().to_string());
    edge.transport.set_peer(DialTarget { name: cloud.name.clone(), address, profile: None, via: Via::Quic });
    assert_eq!(edge.down().await, DownReason::Local);
    let remote = edge
        .until("SessionUp", |e| match e {
            Event::SessionUp { remote, .. } => Some(remote),
            _ => None,
        })
        .await;
    assert_eq!(remote, relay.address());
});

fn is_writable(event: Result<Event, async_channel::RecvError>) -> bool {
    matches!(event, Ok(Event::Writable { .. }))
}

on_both!(a_wake_up_cuts_the_wait_of_a_dialler_short, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let mut slow = config(&org, "edge-1", &[&org], false);
    slow.profile = LinkProfile {
        connect: Duration::from_millis(300),
        backoff: (Duration::from_secs(600), Duration::from_secs(600)),
        ..QUICK
    };
    let edge = Node::start(&rt, slow);
    let mut server = config(&org, "cloud-1", &[&org], true);
    // Not the address that connections of other tests come from: one of them may take the TCP port of this number.
    let placeholder = std::net::UdpSocket::bind("127.0.0.77:0").unwrap();
    server.bind = placeholder.local_addr().unwrap();
    let name = server.credentials.name().clone();
    edge.transport.set_peer(DialTarget {
        name: name.clone(),
        address: Some(server.bind.to_string()),
        profile: None,
        via: Via::Quic,
    });
    let (error, retry_in) = edge
        .until("DialFailed", |e| match e {
            Event::DialFailed { error, retry_in, .. } => Some((error, retry_in)),
            _ => None,
        })
        .await;
    assert!(error.contains("no answer") && error.contains(&server.bind.to_string()), "{error}");
    assert!(retry_in >= Duration::from_secs(300));
    drop(placeholder);
    let cloud = Node::start(&rt, server);
    // A handshake on a machine that is busy with other tests may take longer than the short time above.
    let up = async {
        loop {
            edge.transport.dial_now(&name);
            if let Event::SessionUp { session, .. } = edge.next("SessionUp").await {
                return session;
            }
        }
    };
    let session = within(&rt, PATIENCE, up).await.expect("never dialled");
    edge.transport.send(session, frame(1, b"")).unwrap();
    let _ = cloud.up().await;
});

on_both!(a_name_that_does_not_resolve_is_reported, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let edge = Node::start(&rt, config(&org, "edge-1", &[&org], false));
    let name = "cloud-1.acme.example".parse().unwrap();
    let address = Some("no-such-host.invalid:7443".to_owned());
    edge.transport.set_peer(DialTarget { name, address, profile: None, via: Via::Quic });
    for _ in 0..3 {
        let error = edge
            .until("DialFailed", |e| match e {
                Event::DialFailed { error, .. } => Some(error),
                _ => None,
            })
            .await;
        assert!(error.contains("no-such-host.invalid:7443") && error.contains("DNS"), "{error}");
    }
});

on_both!(shutdown_delivers_last_frames_and_is_bounded, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let cloud = Node::start(&rt, config(&org, "cloud-1", &[&org], true));
    let edges: Vec<_> =
        (0..4).map(|i| Node::start(&rt, config(&org, &format!("edge-{i}"), &[&org], false))).collect();
    // The fifth takes none of its events after the first ones: it is stuck.
    let stuck = Node::start_with(&rt, config(&org, "stuck", &[&org], false), 2);
    for edge in edges.iter().chain([&stuck]) {
        edge.dials(&cloud);
        let (_, session) = open(edge, &cloud).await;
        cloud.transport.send(session, frame(2, &[3; 1000])).unwrap();
        cloud.transport.send(session, frame(2, &[3; 1000])).unwrap();
        cloud.transport.send(session, frame(2, &[3; 1000])).unwrap();
        cloud.transport.close(session, Some(frame(9, b"bye")));
    }
    let from = Instant::now();
    cloud.transport.shutdown().await;
    assert!(from.elapsed() < Duration::from_secs(3), "took {:?}", from.elapsed());
    for edge in &edges {
        for _ in 0..3 {
            assert_eq!(edge.frame().await, frame(2, &[3; 1000]));
        }
        assert_eq!(edge.frame().await, frame(9, b"bye"));
        assert_eq!(edge.down().await, DownReason::Closed);
    }
});

/// A flow from `left` over `middle` to `right`: the ends, and the transit node's control and end.
async fn transit(
    rt: &Arc<dyn Runtime>,
    left: &Node,
    middle: &Node,
    right: &Node,
) -> (End, End, Arc<FlowControl>, async_channel::Receiver<PumpEnd>) {
    let control = FlowControl::new(&Held::new(usize::MAX));
    let (send, ended) = async_channel::bounded(1);
    let own = Arc::clone(&control);
    let joining = async move {
        let (_, seen, arriving) = middle.flow().await;
        let leaving = middle.transport.open_flow(&right.name, &seen).await.unwrap();
        let arriving = arriving.accept().await.unwrap();
        rt.spawn(Box::pin(async move { drop(send.send(relay(arriving, leaving, &own).await).await) }));
    };
    let accepting = async { right.flow().await.2.accept().await.unwrap() };
    let header = header();
    let opening = left.transport.open_flow(&middle.name, &header);
    let (opened, ((), accepted)) = future::zip(opening, future::zip(joining, accepting)).await;
    (join(rt, opened.unwrap()), join(rt, accepted), control, ended)
}

on_both!(a_transit_node_joins_two_flows, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let middle = Node::start(&rt, config(&org, "middle", &[&org], true));
    let left = Node::start(&rt, config(&org, "left", &[&org], false));
    let right = Node::start(&rt, config(&org, "right", &[&org], false));
    for end in [&left, &right] {
        end.dials(&middle);
        let _ = open(end, &middle).await;
    }
    // Half-close passes through.
    let (mut client, mut service, control, ended) = transit(&rt, &left, &middle, &right).await;
    client.socket.write_all(b"there").await.unwrap();
    client.socket.close().await.unwrap();
    let mut heard = Vec::new();
    service.socket.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"there");
    service.socket.write_all(b"and back").await.unwrap();
    service.socket.close().await.unwrap();
    heard.clear();
    client.socket.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"and back");
    assert_eq!(ended.recv().await, Ok(PumpEnd::Finished));
    assert_eq!((control.up(), control.down()), (5, 8));
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::Finished));
    assert_eq!(service.ended.recv().await, Ok(PumpEnd::Finished));

    // A reset does, from either end.
    for client_first in [true, false] {
        let (client, service, _, ended) = transit(&rt, &left, &middle, &right).await;
        let (first, mut second) = if client_first { (client, service) } else { (service, client) };
        reset_on_drop(&first.socket);
        drop(first.socket);
        assert_eq!(second.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::Aborted)));
        let seen = second.socket.read(&mut [0]).await.map_err(|e| e.kind());
        assert_eq!(seen, Err(std::io::ErrorKind::ConnectionReset));
        assert_eq!(ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::Aborted)));
    }

    // A cut on the way reaches both ends with its reason.
    let (client, service, control, ended) = transit(&rt, &left, &middle, &right).await;
    control.cut(Refusal::NotPermitted);
    assert_eq!(ended.recv().await, Ok(PumpEnd::Cut(Refusal::NotPermitted)));
    assert_eq!(client.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::NotPermitted)));
    assert_eq!(service.ended.recv().await, Ok(PumpEnd::PeerReset(Refusal::NotPermitted)));
});
