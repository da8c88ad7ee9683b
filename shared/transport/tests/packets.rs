//! Flows of packets over a data connection.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_transport::{FlowControl, FlowError, Held, Limits, PacketEnd, PumpEnd, carry};
use catalyst_tunnel::{Limits as TunnelLimits, Refusal};
use common::packets::*;
use common::*;
use futures_lite::future;
use quinn::Runtime;

/// Bytes that tell a packet from every other, and one half of it from the other.
fn packet(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251 + len) as u8).collect()
}

on_all!(packets_of_all_sizes_keep_their_boundaries_both_ways, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    for (from, to) in [(&edge, &cloud), (&cloud, &edge)] {
        let (client, service) = flow(from, to).await;
        for len in [0, 1, 1_100, 1_200, 1_400, 1_500, 9_000, TunnelLimits::PACKET] {
            client.say(&packet(len), &service).await;
            service.say(&packet(len), &client).await;
        }
        // A flow is as good as before after a packet that is none.
        client.send.send(packet(TunnelLimits::PACKET + 1)).await.unwrap();
        client.say(&packet(100), &service).await;
        counted(from, |t| t.too_long == 1).await;
        assert!(client.control.up() >= service.control.up() && service.control.up() > 78_000);
    }
});

on_all!(many_small_packets_arrive_and_are_counted, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (client, service) = flow(&edge, &cloud).await;
    for n in 0..500u32 {
        client.send.send(n.to_be_bytes().to_vec()).await.unwrap();
        if n % 20 == 19 {
            // No faster than it is taken: then nothing is lost on loopback.
            for _ in 0..20 {
                let heard = within(&rt, PATIENCE, service.heard.recv()).await.expect("a packet").unwrap();
                assert_eq!(heard.len(), 4);
            }
        }
    }
    let sent = counted(&edge, |t| t.to_service == (500, 2_000)).await;
    let taken = counted(&cloud, |t| t.to_service == (500, 2_000)).await;
    assert_eq!((sent.dropped(), taken.dropped(), taken.unknown), (0, 0, 0));
});

on_all!(a_refusal_reaches_the_opener, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let header = header();
    for why in [Refusal::NotPermitted, Refusal::TargetRefused] {
        let opening = edge.transport.open_packets(&cloud.name, &header);
        let refusing = async { incoming(&cloud).await.1.refuse(why).await };
        let (opened, ()) = future::zip(opening, refusing).await;
        assert_eq!(opened.map(drop), Err(FlowError::Refused(why)));
    }
    let opening = edge.transport.open_packets(&cloud.name, &header);
    let (opened, ()) = future::zip(opening, async { drop(incoming(&cloud).await) }).await;
    assert_eq!(opened.map(drop), Err(FlowError::Refused(Refusal::NoEndpoint)));
});

on_all!(an_idle_flow_ends_in_order_and_a_busy_one_lives_on, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (opened, accepted) = open_flow(&edge, &cloud).await;
    let idle = Duration::from_millis(400);
    let (client, service) = (join(&edge, opened, true, idle), join(&cloud, accepted, false, PATIENCE));
    let began = Instant::now();
    // Packets of either side keep it alive.
    while began.elapsed() < idle * 3 {
        service.say(b"still here", &client).await;
        within(&rt, idle / 8, std::future::pending::<()>()).await;
    }
    let quiet = Instant::now();
    assert_eq!(client.end().await, PumpEnd::Idle);
    assert!(quiet.elapsed() >= idle / 2, "too early");
    assert_eq!(service.end().await, PumpEnd::Finished);
});

on_all!(a_cut_flow_tells_the_other_end_why, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (client, service) = flow(&edge, &cloud).await;
    client.say(b"hello", &service).await;
    service.control.cut(Refusal::NotPermitted);
    assert_eq!(service.end().await, PumpEnd::Cut(Refusal::NotPermitted));
    assert_eq!(client.end().await, PumpEnd::PeerReset(Refusal::NotPermitted));
});

on_all!(a_lost_connection_ends_its_flows, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, at_cloud) = pair(&rt).await;
    let (client, service) = flow(&edge, &cloud).await;
    client.say(b"hello", &service).await;
    cloud.transport.close(at_cloud, None);
    assert!(matches!(client.end().await, PumpEnd::Lost(_)));
    assert!(matches!(service.end().await, PumpEnd::Lost(_)));
});

// Nobody reads the first flow; its packets are lost, those of the second are not.
on_all!(a_flow_that_is_not_read_loses_its_own_packets_alone, |rt: Arc<dyn Runtime>| async move {
    let (edge, _, cloud, _) = pair(&rt).await;
    let (opened, stuck) = open_flow(&edge, &cloud).await;
    let flood = join(&edge, opened, true, PATIENCE * 2);
    let (client, service) = flow(&edge, &cloud).await;
    for round in 0..40u8 {
        for _ in 0..20 {
            flood.send.send(packet(1_000)).await.unwrap();
        }
        flood.send.send(packet(30_000)).await.unwrap();
        client.say(&[round; 100], &service).await;
    }
    // 800 packets were sent, and no more than 64 KiB of them wait at each node; over TCP they never left.
    let kept = edge.transport.packets().totals().full;
    counted(&cloud, |here| here.full + kept > 100).await;
    drop(stuck);
    assert_eq!(flood.end().await, PumpEnd::PeerReset(Refusal::Aborted));
    client.say(b"and on", &service).await;
});

on_all!(a_node_between_two_joins_their_flows, |rt: Arc<dyn Runtime>| async move {
    let org = Org::new("acme.example");
    let cloud = Node::start(&rt, config(&org, "cloud-1", &[&org], true));
    let [one, two] = ["edge-1", "edge-2"].map(|name| Node::start(&rt, config(&org, name, &[&org], false)));
    for edge in [&one, &two] {
        edge.dials(&cloud);
        common::open(edge, &cloud).await;
    }
    let mut flows = Vec::new();
    // Flows of which the ids differ on the two sides.
    for n in 0..3u8 {
        let (opened, accepted) = open_flow(&one, &cloud).await;
        let (onward, arrived) = open_flow(&cloud, &two).await;
        let (own, counters) = (cloud.rt.clone(), Arc::clone(cloud.transport.packets()));
        let control = FlowControl::new(&Held::new(usize::MAX));
        let seen = control.clone();
        cloud.rt.spawn(Box::pin(async move {
            let (mut caller, mut service) = (accepted, onward);
            carry(&own, &mut caller, &mut service, &control, &counters, PATIENCE * 2).await;
        }));
        let (client, service) =
            (join(&one, opened, true, PATIENCE * 2), join(&two, arrived, false, PATIENCE * 2));
        flows.push((n, client, service, seen));
    }
    for len in [0, 1, 1_200, 1_500, 9_000, TunnelLimits::PACKET] {
        for (n, client, service, _) in &flows {
            let packet: Vec<u8> = packet(len).iter().map(|b| b ^ n).collect();
            client.say(&packet, service).await;
            service.say(&packet, client).await;
        }
    }
    for (_, client, service, control) in flows {
        assert!(control.up() >= 77_000 && control.down() >= 77_000);
        assert!(service.heard.is_empty() && client.heard.is_empty());
        drop(client.send);
        assert_eq!(client.ended.recv().await, Ok(PumpEnd::Finished));
        assert_eq!(service.end().await, PumpEnd::Finished);
    }
});

#[test]
fn the_sum_counts_what_flows_of_packets_may_hold() {
    let more = Limits { large_packets: Limits::EDGE.large_packets + 1_000, ..Limits::EDGE };
    assert!(more.max_bytes() > Limits::EDGE.max_bytes());
    // A trait object is what the shells use.
    fn assert_object(_: Option<&dyn PacketEnd>) {}
    assert_object(None);
}
