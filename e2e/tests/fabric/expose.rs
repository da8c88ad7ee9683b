//! Local ports of run time: opened and closed while the node runs, in its sandbox, and the same after a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use catalyst_e2e::udp::{Client, Service as Packets};
use catalyst_e2e::wait::{SOON, until};
use catalyst_e2e::{Build, Fabric, Node, tcp};
use serde_json::{Value, json};

/// A node that offers `tcp` and `udp` at the other end, and one that uses them.
fn pair(user: Build, tcp: SocketAddr, udp: SocketAddr) -> (Fabric, Node, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut edge, mut cloud) = (fabric.edge(&org, "edge-1"), fabric.cloud(&org, "cloud-1"));
    edge.joins(&mut cloud);
    let (mut host, mut user) = if user == Build::Edge { (cloud, edge) } else { (edge, cloud) };
    host.offers("bytes", "tcp", tcp);
    host.offers("packets", "udp", udp);
    user.config["expose_ports"] = json!("9200-9203");
    host.start();
    user.start();
    (fabric, host, user)
}

fn add(service: &str, listen: &str, port: &str) -> Value {
    json!({ "do": "expose-add", "expose": { "service": service, "listen": listen, "port": port } })
}

/// What comes back of some bytes.
fn echoed(mut connection: &TcpStream, bytes: &[u8]) -> Vec<u8> {
    connection.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    connection.read_exact(&mut back).unwrap();
    back
}

/// Service, address and source of each local port.
fn ports(node: &Node) -> Vec<(String, SocketAddr, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_string();
    let rows = node.ask(json!({ "do": "exposed" }));
    let port =
        |row: &Value| (text(row, "service"), text(row, "listen").parse().unwrap(), text(row, "source"));
    rows.as_array().unwrap().iter().map(port).collect()
}

fn opened_and_closed(build: Build) {
    let (bytes, packets) = (tcp::Service::echo(), Packets::echo());
    let (fabric, _host, mut user) = pair(build, bytes.address(), packets.address());
    let any = format!("{}:0", fabric.ip());
    assert_eq!(ports(&user), []);
    user.ask(add("bytes.acme.example", &any, "tcp"));
    user.ask(add("packets.acme.example", &any, "udp"));
    let runtime = |service: &str, port: u16| {
        (service.to_string(), SocketAddr::new(fabric.ip(), port), "runtime".to_string())
    };
    let both = [runtime("bytes.acme.example", 9200), runtime("packets.acme.example", 9200)];
    assert_eq!(ports(&user), both);
    // Asked for again: it is there.
    user.ask(add("bytes.acme.example", &any, "tcp"));
    assert_eq!(ports(&user), both);

    // Killed, not stopped: what was answered is on the disk, and clients find the services where they were.
    for restart in [false, true] {
        if restart {
            user.kill();
            user.start();
            assert_eq!(ports(&user), both);
        }
        assert_eq!(
            echoed(&tcp::connect(user.wait_reachable("bytes.acme.example")), b"over TCP"),
            b"over TCP"
        );
        Client::new(user.wait_reachable("packets.acme.example")).echo(b"over UDP");
    }

    // Closed: nobody listens at once, the connection that was there goes on, a client of UDP gets nothing more.
    let there = tcp::connect(both[0].1);
    assert_eq!(echoed(&there, b"is there"), b"is there");
    let client = Client::new(both[1].1);
    client.echo(b"once");
    assert_ne!(user.status()["udp"]["flows"][0], 0);
    for service in ["bytes.acme.example", "packets.acme.example"] {
        user.ask(json!({ "do": "expose-remove", "service": service }));
    }
    TcpListener::bind(both[0].1).unwrap();
    UdpSocket::bind(both[1].1).unwrap();
    assert_eq!(echoed(&there, b"goes on"), b"goes on");
    user.wait("no flow of packets", |s| s["udp"]["flows"][0] == 0);
    assert_eq!(ports(&user), []);
    let error = user.try_ask(json!({ "do": "expose-remove", "service": "bytes.acme.example" })).unwrap_err();
    assert!(error.contains("no local port for 'bytes.acme.example'"), "{error}");
    user.stop();
    user.start();
    assert_eq!(ports(&user), []);
}

#[test]
fn local_ports_of_an_edge_are_opened_and_closed_while_it_runs() {
    opened_and_closed(Build::Edge);
}

#[test]
fn local_ports_of_a_cloud_node_are_opened_and_closed_while_it_runs() {
    opened_and_closed(Build::Cloud);
}

#[test]
fn a_local_port_of_the_file_is_closed_for_good_and_may_come_back() {
    let service = tcp::Service::echo();
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, Build::Edge, "one");
    node.offers("raw", "tcp", service.address());
    node.exposes("raw.acme.example");
    node.start();
    let port = node.wait_reachable("raw.acme.example");
    node.ask(json!({ "do": "expose-remove", "service": "raw.acme.example", "listen": port.to_string() }));
    assert!(TcpStream::connect(port).is_err());
    node.stop();
    node.start();
    assert_eq!(ports(&node), []);
    let out = node.cli(&["expose", "add", "raw.acme.example", "--listen", &format!("{}:0", fabric.ip())]);
    assert!(out.status.success(), "{out:?}");
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(said.contains("raw.acme.example") && said.contains("runtime"), "{said}");
    assert_eq!(echoed(&tcp::connect(node.wait_reachable("raw.acme.example")), b"again"), b"again");
    let out = node.cli(&["expose", "rm", "raw.acme.example"]);
    assert!(out.status.success(), "{out:?}");
    let said = String::from_utf8(node.cli(&["expose", "ls"]).stdout).unwrap();
    assert!(said.contains("no local ports"), "{said}");
}

#[test]
fn what_cannot_be_opened_is_refused_with_the_reason() {
    for build in [Build::Edge, Build::Cloud] {
        let fabric = Fabric::new();
        let org = fabric.org("acme.example");
        let mut node = fabric.node(&org, build, "one");
        node.config["expose_ports"] = json!("9200-9201");
        node.config["limits"] = json!({ "expose": 3 });
        node.start();
        let at = |port: u16| SocketAddr::new(fabric.ip(), port).to_string();
        let refused = |service: &str, port: u16, speaks: &str, why: &str| {
            let error = node.try_ask(add(service, &at(port), speaks)).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        let holder = TcpListener::bind(SocketAddr::new(fabric.ip(), 9200)).unwrap();
        refused("a.acme.example", 9200, "tcp", "the port is in use");
        node.ask(add("a.acme.example", &at(0), "tcp"));
        assert_eq!(ports(&node)[0].1.port(), 9201, "the first that is free");
        refused("b.acme.example", 9201, "tcp", "is the local port of a.acme.example already");
        refused("b.acme.example", 0, "tcp", "all ports of 'expose_ports' (9200-9201) are in use");
        refused("b.acme.example", 0, "http", "for tcp, which HTTP is too, or for udp");
        refused("b.acme.example", 9300, "tcp", "this node's sandbox allows the ports 9200-9201 alone");
        refused("b.acme.example", 99, "udp", "ports below 1024 need the capability");
        node.ask(add("b.acme.example", &at(9201), "udp"));
        node.ask(add("c.acme.example", &at(0), "udp"));
        refused("d.acme.example", 0, "udp", "limits.expose is 3");

        // At the next start another program has the port: that one is shown as closed, the node runs.
        let (mut node, taken) = (node, at(9201));
        node.stop();
        drop(holder);
        let thief = TcpListener::bind(&taken).unwrap();
        node.start();
        let row = |status: &Value| {
            status["expose"].as_array().unwrap().iter().find(|e| e["port"] == "tcp").unwrap().clone()
        };
        let closed = row(&node.status());
        assert!(closed["state"].as_str().unwrap().contains("the port is in use"), "{closed}");
        drop(thief);
        // Asked for again it is tried again.
        node.ask(add("a.acme.example", &taken, "tcp"));
        until("it listens", SOON, || TcpStream::connect(&taken).ok());
    }
}
