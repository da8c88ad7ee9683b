//! The address of an edge changes while it transfers: a NAT that forgets, an interface with a new address, another
//! interface. QUIC moves along (RFC 9000 section 9); no session is lost, no byte.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use catalyst_e2e::lab::{self, Machine};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node};
use catalyst_testkit::relay::{Line, Relay};
use serde_json::json;

/// Over a relay that carries so many bytes a second, and without one: more than all buffers on the way hold, so that the
/// transfer is still under way when the address changes.
const SIZE: usize = 6 << 20;
const RATE: u64 = 4 << 20;
const SIZE_UNHELD: usize = 32 << 20;

/// Sends the same to whoever comes.
fn bulk(at: IpAddr, data: &[u8]) -> Service {
    let all = data.to_vec();
    Service::start_on(at, move |mut stream| {
        // A client may go away in the middle.
        let _ = stream.write_all(&all);
    })
}

/// Reads some, lets something happen, reads the rest. Returns how long it stood still at most.
fn interrupted(port: SocketAddr, data: &[u8], happens: impl FnOnce()) -> Duration {
    let mut client = tcp::connect(port);
    let mut got = vec![0; data.len() / 16];
    client.read_exact(&mut got).unwrap();
    happens();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = client.read(&mut buffer).expect("the flow goes on");
        longest = longest.max(last.elapsed());
        last = Instant::now();
        if read == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..read]);
    }
    tcp::same(&got, data);
    longest
}

/// The first session is still the one.
#[track_caller]
fn one_session(cloud: &Node, edge: &Node) {
    for (node, peer) in [(cloud, edge), (edge, cloud)] {
        let row = node.peer(peer);
        let seen = (&row["state"], &row["sessions"], &row["via"]);
        assert_eq!(seen, (&json!("up"), &json!(1), &json!("quic")), "{row:#}");
    }
}

#[test]
fn a_nat_that_forgets_costs_neither_session_nor_flow() {
    let data = tcp::pattern(SIZE, 5);
    let local = IpAddr::from([127, 0, 0, 1]);
    let bulk = bulk(local, &data);
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    let relay = Relay::to(cloud.address()).unwrap();
    relay.line(Line { rate: RATE, delay: Duration::from_millis(10), ..Line::CLEAR });
    edge.config["peers"][0]["address"] = json!(relay.address().to_string());
    edge.offers("below", "tcp", bulk.address());
    cloud.offers("above", "tcp", bulk.address());
    cloud.exposes("below.acme.example");
    edge.exposes("above.acme.example");
    cloud.start();
    edge.start();
    let (below, above) =
        (cloud.wait_reachable("below.acme.example"), edge.wait_reachable("above.acme.example"));
    for (port, way) in [(below, "from the edge"), (above, "to the edge")] {
        let stood = interrupted(port, &data, || {
            relay.rebind().unwrap();
        });
        println!("{way}: a new port at the NAT, stood still for {stood:?} at most");
        one_session(&cloud, &edge);
    }
    // And while nothing moves: what the cloud sends first goes to the old port.
    relay.rebind().unwrap();
    let stood = interrupted(below, &data, || {
        relay.rebind().unwrap();
    });
    println!("two new ports: stood still for {stood:?} at most");
    one_session(&cloud, &edge);
}

#[test]
fn a_changed_address_costs_neither_session_nor_flow() {
    if !lab::inside("migration::a_changed_address_costs_neither_session_nor_flow") {
        return;
    }
    let data = tcp::pattern(SIZE_UNHELD, 6);
    let board = Machine::new();
    // The board's own network, and two ways to the cloud.
    board.wire("lan", "10.2.0.1", "10.2.0.2");
    board.wire("wan", "10.1.0.1", "10.1.0.2");
    board.wire("mobile", "10.3.0.1", "10.3.0.2");
    let bulk = bulk([10, 2, 0, 1].into(), &data);
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    cloud.config["listen"] = json!("10.1.0.1:7443");
    edge.config["peers"][0]["address"] = json!("10.1.0.1:7443");
    edge.offers("below", "tcp", bulk.address());
    cloud.offers("above", "tcp", bulk.address());
    cloud.exposes("below.acme.example");
    edge.exposes("above.acme.example");
    edge.config["expose"][0]["listen"] = json!("10.2.0.2:0");
    cloud.start();
    edge.start_under(&board.enter());
    let (below, above) =
        (cloud.wait_reachable("below.acme.example"), edge.wait_reachable("above.acme.example"));

    let (mut old, mut new) = ("10.1.0.2", "10.1.0.3");
    for (port, way) in [(below, "from the edge"), (above, "to the edge")] {
        let stood = interrupted(port, &data, || {
            board.run(&format!("ip addr del {old}/24 dev wan && ip addr add {new}/24 dev wan"));
        });
        println!("{way}: a new address, stood still for {stood:?} at most");
        one_session(&cloud, &edge);
        std::mem::swap(&mut old, &mut new);
    }
    for (port, way) in [(below, "from the edge"), (above, "to the edge")] {
        let stood = interrupted(port, &data, || {
            board.run("ip link set wan down && ip route replace 10.1.0.1 via 10.3.0.1 dev mobile");
        });
        println!("{way}: another interface, stood still for {stood:?} at most");
        one_session(&cloud, &edge);
        board.run("ip route del 10.1.0.1 && ip link set wan up");
    }
}
