//! A link with two seconds of round trip and 7 % loss, on the profile that is made for it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node, wait};
use catalyst_testkit::relay::{Line, Relay};
use serde_json::json;

const SIZE: usize = 1 << 20;
/// Whatever the dice and the machine do. It takes some 40 seconds.
const LONG: Duration = Duration::from_secs(240);

/// Waits until a service is reachable over a slow link.
fn port(node: &Node, service: &str) -> SocketAddr {
    node.wait_for(&format!("{service} is reachable"), LONG, json!({ "do": "status" }), |status| {
        let rows = status["expose"].as_array().map_or(&[][..], Vec::as_slice);
        rows.iter().any(|e| e["service"] == service && e["state"] == "reachable")
    });
    node.port(service)
}

/// Everything that a service sends, in one try.
fn download(port: SocketAddr) -> Vec<u8> {
    let mut client = tcp::connect(port);
    client.set_read_timeout(Some(LONG)).unwrap();
    let (from, mut got) = (Instant::now(), Vec::new());
    let end = client.read_to_end(&mut got);
    println!("{} bytes after {:?}: {end:?}", got.len(), from.elapsed());
    end.expect("the transfer completes");
    got
}

#[test]
fn a_satellite_link_does_not_flap_and_carries_a_megabyte() {
    let data = tcp::pattern(SIZE, 9);
    let all = data.clone();
    let bulk = Service::start(move |mut stream| {
        stream.set_write_timeout(Some(LONG)).unwrap();
        let _ = stream.write_all(&all);
    });
    let some = data[..SIZE / 4].to_vec();
    let less = Service::start(move |mut stream| {
        stream.set_write_timeout(Some(LONG)).unwrap();
        let _ = stream.write_all(&some);
    });
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    let relay = Relay::at("127.0.0.1:0".parse().unwrap(), cloud.address(), 4).unwrap();
    relay.line(Line::SATELLITE);
    edge.config["peers"][0]["address"] = json!(relay.address().to_string());
    for node in [&mut cloud, &mut edge] {
        node.config["peers"][0]["profile"] = json!("satellite");
    }
    edge.offers("below", "tcp", bulk.address());
    // The window of one flow towards an edge is small, and it takes its time.
    cloud.offers("above", "tcp", less.address());
    cloud.exposes("below.acme.example");
    edge.exposes("above.acme.example");
    cloud.start();
    edge.start();
    let from = Instant::now();
    let (below, above) = (port(&cloud, "below.acme.example"), port(&edge, "above.acme.example"));
    println!("up, with all routes, after {:?}", from.elapsed());
    // Both at once, so that they share the two connections; the first flow waits for the data connection as well.
    let (from_edge, from_cloud) = std::thread::scope(|scope| {
        let below = scope.spawn(|| download(below));
        let above = scope.spawn(|| download(above));
        (below.join().unwrap(), above.join().unwrap())
    });
    tcp::same(&from_edge, &data);
    tcp::same(&from_cloud, &data[..SIZE / 4]);
    // Nothing is left to do now: silence is filled by keepalives alone, of which 7 % are lost.
    wait::stays("both sessions are up", Duration::from_secs(20), || {
        std::thread::sleep(Duration::from_millis(250));
        cloud.peer(&edge)["state"] == "up" && edge.peer(&cloud)["state"] == "up"
    });
    println!("the line: {:?} there, {:?} back", relay.there(), relay.back());
    assert!(relay.there().lost > 20 && relay.back().lost > 20, "the line must have been a bad one");
    for (node, peer) in [(&cloud, &edge), (&edge, &cloud)] {
        let row = node.peer(peer);
        assert_eq!((&row["sessions"], &row["via"]), (&json!(1), &json!("quic")), "{row:#}");
    }
}
