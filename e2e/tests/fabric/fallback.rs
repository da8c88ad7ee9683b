//! UDP is blocked, from the start and in the middle of a transfer, and passes again: sessions and flows go over TCP,
//! and come back to QUIC. Packets are dropped by iptables in a network namespace of the test's own.

use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::lab;
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node, udp, wait};

const SIZE: usize = 20 << 20;
/// A probe of QUIC comes after 30 seconds at the latest.
const PROBED: Duration = Duration::from_secs(60);

/// Between the nodes alone: clients and services of UDP are on the same loopback.
fn block_udp(cloud: &Node, block: bool) {
    let (what, port) = (if block { "-A" } else { "-D" }, cloud.address().port().to_string());
    for end in ["--dport", "--sport"] {
        let rule = [what, "INPUT", "-p", "udp", end, &port, "-j", "DROP"];
        let status = Command::new("iptables").args(rule).status().unwrap();
        assert!(status.success(), "iptables {rule:?}: {status}");
    }
}

fn wait_via(node: &Node, peer: &Node, via: &str, limit: Duration) {
    let what = format!("{} reaches {} over {via}", node.full_name(), peer.full_name());
    wait::until(&what, limit, || {
        let row = node.peer(peer);
        (row["state"] == "up" && row["via"] == via).then_some(())
    });
}

#[test]
fn udp_is_blocked_and_passes_again() {
    if !lab::inside("fallback::udp_is_blocked_and_passes_again") {
        return;
    }
    let data = tcp::pattern(SIZE, 7);
    let (web, all) = (Http::start("hello"), data.clone());
    let bulk = Service::start(move |mut stream| {
        // The client may go away in the middle.
        let _ = stream.write_all(&all);
    });
    let echo = udp::Service::echo();
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("hello", "http", web.address());
    edge.offers("bulk", "tcp", bulk.address());
    edge.offers("echo", "udp", echo.address());
    cloud.exposes_udp("echo.acme.example");
    cloud.exposes("hello.acme.example");
    cloud.exposes("bulk.acme.example");

    block_udp(&cloud, true);
    cloud.start();
    edge.start();
    let from = Instant::now();
    wait_via(&edge, &cloud, "tcp", Duration::from_secs(10));
    wait_via(&cloud, &edge, "tcp", Duration::from_secs(10));
    println!("UDP blocked at the start: up over TCP after {:?}", from.elapsed());
    let port = cloud.wait_reachable("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
    // One client of UDP, all the way through: it goes on by whatever carries it.
    let packets = udp::Client::new(cloud.wait_reachable("echo.acme.example"));
    packets.echo(&tcp::pattern(1_000, 1));

    block_udp(&cloud, false);
    let from = Instant::now();
    wait_via(&edge, &cloud, "quic", PROBED);
    wait_via(&cloud, &edge, "quic", PROBED);
    println!("UDP passes again: back on QUIC after {:?}", from.elapsed());
    wait::until("an answer over QUIC", wait::SOON, || http::get(port).ok().filter(|t| t == web.words()));
    assert_eq!(edge.status()["peers"].as_array().unwrap().len(), 1);
    packets.echo(&tcp::pattern(1_000, 2));

    let bulk_port = cloud.wait_reachable("bulk.acme.example");
    let mut client = tcp::connect(bulk_port);
    let mut start = vec![0; 1 << 20];
    client.read_exact(&mut start).unwrap();
    block_udp(&cloud, true);
    let from = Instant::now();
    let mut got = start;
    let broken = client.read_to_end(&mut got).unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset, "a cut transfer must not look whole");
    println!("UDP blocked after {} bytes: flow reset after {:?}", got.len(), from.elapsed());
    assert!(got.len() < SIZE);
    tcp::same(&got, &data[..got.len()]);
    let tries = packets.try_ask(b"after the block", b"after the block", Duration::from_secs(30));
    println!("a client of UDP was answered {:?} after the block, by packet {tries:?}", from.elapsed());
    assert!(tries.is_some());
    // A client's retry, and all its others until one finds the way.
    let whole = wait::until("the whole transfer by a retry", Duration::from_secs(30), || {
        let client = tcp::try_connect(bulk_port).ok()?;
        tcp::read_all(&client).ok().filter(|got| got.len() == SIZE)
    });
    println!("a retry had all of it {:?} after the block", from.elapsed());
    tcp::same(&whole, &data);
    assert_eq!((&edge.peer(&cloud)["via"], &cloud.peer(&edge)["via"]), (&"tcp".into(), &"tcp".into()));
}

#[test]
fn tcp_alone_carries_flows_both_ways() {
    let data = tcp::pattern(10 << 20, 3);
    let all = data.clone();
    let bulk = Service::start(move |mut stream| {
        let _ = stream.write_all(&all);
    });
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.config["peers"][0]["transport"] = "tcp".into();
    edge.offers("below", "tcp", bulk.address());
    cloud.offers("above", "tcp", bulk.address());
    cloud.exposes("below.acme.example");
    edge.exposes("above.acme.example");
    cloud.start();
    edge.start();
    for (node, service) in [(&cloud, "below.acme.example"), (&edge, "above.acme.example")] {
        let client = tcp::connect(node.wait_reachable(service));
        tcp::same(&tcp::read_all(&client).unwrap(), &data);
    }
    wait_via(&edge, &cloud, "tcp", wait::SOON);
    wait_via(&cloud, &edge, "tcp", wait::SOON);
}
