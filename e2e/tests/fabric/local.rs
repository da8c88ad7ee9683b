//! A client and a service on the same machine, joined by the node; and the local ports themselves.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;

use catalyst_e2e::tcp::{self, Service, connect, pattern, read_all, same};
use catalyst_e2e::{Build, Fabric, Node};

const BOTH: [Build; 2] = [Build::Edge, Build::Cloud];
const MIB: usize = 1024 * 1024;

fn one(build: Build, service: &Service) -> (Node, SocketAddr) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.offers("raw", "tcp", service.address());
    node.exposes("raw.acme.example");
    node.start();
    let port = node.wait_reachable("raw.acme.example");
    (node, port)
}

#[test]
fn ten_megabytes_arrive_whole_both_ways_and_the_flow_is_counted() {
    for build in BOTH {
        let service = Service::echo();
        let (node, port) = one(build, &service);
        let client = connect(port);
        let sent = pattern(10 * MIB, 7);
        let (copy, writer) = (sent.clone(), client.try_clone().unwrap());
        let writing = thread::spawn(move || {
            (&writer).write_all(&copy).unwrap();
            node.wait("one flow", |status| status["flows"][0] == 1);
            writer.shutdown(Shutdown::Write).unwrap();
            node
        });
        same(&read_all(&client).unwrap(), &sent);
        let node = writing.join().unwrap();
        node.wait("no flow", |status| status["flows"][0] == 0);
    }
}

#[test]
fn a_reset_by_the_service_resets_the_client_and_the_reverse() {
    for build in BOTH {
        let service = Service::start(|mut stream| {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) if byte == *b"r" => tcp::reset(stream),
                // Waits for the client's reset, and leaves when it comes.
                Ok(1) => assert!(stream.read(&mut byte).is_err()),
                other => panic!("{other:?}"),
            }
        });
        let (node, port) = one(build, &service);
        let mut client = connect(port);
        client.write_all(b"r").unwrap();
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let mut client = connect(port);
        client.write_all(b"c").unwrap();
        node.wait("the flow", |status| status["flows"][0] == 1);
        tcp::reset(client);
        node.wait("no flow", |status| status["flows"][0] == 0);
    }
}

#[test]
fn a_service_that_does_not_read_stops_its_client_and_nobody_else() {
    let deaf = Service::start(|stream| {
        let mut ended = [0];
        // Only the end is looked at.
        while stream.peek(&mut ended).is_ok_and(|n| n > 0) {
            thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let (node, port) = one(Build::Edge, &deaf);
    let client = connect(port);
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let mut still = 0;
    while still < 50 {
        match (&client).write(&[1; 65_536]) {
            Ok(n) => (sent, still) = (sent + n, 0),
            Err(_) => {
                still += 1;
                thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        assert!(sent < 64 * MIB, "backpressure");
    }
    let others: Vec<_> = (0..20).map(|_| connect(port)).collect();
    node.wait("all flows", |status| status["flows"][0] == 21);
    drop((client, others));
}

#[test]
fn a_free_port_is_the_same_after_a_restart_and_another_when_it_is_taken() {
    for build in BOTH {
        let service = Service::echo();
        let (mut node, port) = one(build, &service);
        node.kill();
        node.start();
        assert_eq!(node.wait_reachable("raw.acme.example"), port);
        node.stop();
        let thief = TcpListener::bind(port).unwrap();
        node.start();
        let new = node.wait_reachable("raw.acme.example");
        assert_ne!(new, port);
        let log = std::fs::read_to_string(node.log()).unwrap();
        assert!(log.contains("is taken by something else"), "{log}");
        drop(thief);
        node.stop();
        node.start();
        assert_eq!(node.wait_reachable("raw.acme.example"), new, "the new one stays");
    }
}

/// Private memory of a process, in KiB.
fn anonymous(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn connections_that_are_idle_hold_neither_pipe_nor_buffer() {
    const CLIENTS: usize = 300;
    let service = Service::echo();
    let (mut node, port) = one(Build::Edge, &service);
    let talk = |mut client: &std::net::TcpStream| {
        let mut back = [0; 4096];
        client.write_all(&[3; 4096]).unwrap();
        client.read_exact(&mut back).unwrap();
    };
    // Warm: what the first connections bring about stays.
    (0..20).for_each(|_| talk(&connect(port)));
    node.wait("no flow", |status| status["flows"][0] == 0);
    let pid = node.pid();
    let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let before = (anonymous(pid), descriptors());
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(port)).collect();
    clients.iter().for_each(talk);
    node.wait("all flows", |status| status["flows"][0] == CLIENTS);
    let after = (anonymous(pid), descriptors());
    println!("{} bytes a connection", (after.0.saturating_sub(before.0)) * 1024 / CLIENTS);
    // Two buffers of 8 KiB each would show.
    assert!(after.0 < before.0 + CLIENTS * 8 + 256, "{} KiB, then {} KiB", before.0, after.0);
    // Two sockets each, and a few for who asks.
    assert!(after.1 <= before.1 + 2 * CLIENTS + 4, "{} descriptors, then {}", before.1, after.1);
}

#[test]
fn clients_beyond_the_limit_are_reset_at_once_counted_and_served_again_later() {
    const ROOM: usize = 50;
    for build in BOTH {
        let service = Service::echo();
        let fabric = Fabric::new();
        let org = fabric.org("acme.example");
        let mut node = fabric.node(&org, build, "one");
        node.config["limits"] = serde_json::json!({ "flows": ROOM });
        node.offers("raw", "tcp", service.address());
        node.exposes("raw.acme.example");
        node.start();
        let port = node.wait_reachable("raw.acme.example");
        let held: Vec<_> = (0..ROOM).map(|_| connect(port)).collect();
        node.wait("full", |status| status["flows"][0] == ROOM);
        for _ in 0..400 {
            let refused = tcp::try_connect(port).and_then(|mut client| client.read(&mut [0]));
            assert!(!matches!(refused, Ok(1..)), "{refused:?}");
            assert_ne!(refused.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "not left waiting");
        }
        let status = node.status();
        assert_eq!(status["flows"][0], ROOM, "those that are there stay");
        assert_eq!(status["flows_total"][1], 400);
        let log = std::fs::read_to_string(node.log()).unwrap();
        let lines = log.matches("a local client was turned away").count();
        assert!((1..50).contains(&lines), "{lines} lines");
        drop(held);
        node.wait("empty", |status| status["flows"][0] == 0);
        let mut client = connect(port);
        client.write_all(b"again").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&client).unwrap(), b"again");
    }
}
