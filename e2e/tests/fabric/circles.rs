//! A service whose target is a port of its own node: refused where it can be seen, cut where it cannot.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::SocketAddr;

use catalyst_e2e::process::both;
use catalyst_e2e::udp::Client;
use catalyst_e2e::wait::{SOON, until};
use catalyst_e2e::{Build, Fabric, Node, http, tcp};
use serde_json::{Value, json};

fn one(build: Build) -> (Fabric, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.config["expose_ports"] = json!("9200-9203");
    (fabric, node)
}

/// The answer of a refusal.
#[track_caller]
fn refused(node: &Node, args: &[&str]) -> String {
    let out = node.cli(args);
    assert_eq!(out.status.code(), Some(5), "{}", both(&out));
    both(&out)
}

#[test]
fn a_target_that_is_a_port_of_the_node_is_refused_while_it_runs() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, mut node) = one(build);
        node.config["http"] = json!({ "listen": "127.0.0.1:0" });
        node.exposes("hello.acme.example");
        node.start();
        let local = fabric.ip();
        let add = |target: &str, protocol: &str| {
            refused(&node, &["service", "add", "hello", "--target", target, "--protocol", protocol])
        };
        let status = node.status();
        let port = |text: &Value| text.as_str().unwrap().parse::<SocketAddr>().unwrap();
        let (exposed, by_host) = (port(&status["expose"][0]["listen"]), port(&status["http"]));
        for target in [exposed.to_string(), by_host.to_string(), format!("localhost:{}", by_host.port())] {
            let said = add(&target, "http");
            assert!(said.contains("would be a circle") && said.contains(&target), "{said}");
        }
        if build == Build::Cloud {
            for protocol in ["tcp", "udp"] {
                assert!(add(&node.address().to_string(), protocol).contains("would be a circle"));
            }
        }
        // A port of the other kind is no circle.
        node.ask(json!({ "do": "service-add", "service":
            { "name": "packets", "protocol": "udp", "target": exposed.to_string() } }));

        // The other way round: a service is there first, and its server does not listen.
        for protocol in ["tcp", "udp"] {
            let target = format!("{local}:9200");
            node.ask(json!({ "do": "service-add", "service":
                { "name": format!("late-{protocol}"), "protocol": protocol, "target": target } }));
            let ask = ["expose", "add", "far.acme.example", "--protocol", protocol, "--listen"];
            let said = refused(&node, &[&ask[..], &[&target]].concat());
            assert!(
                said.contains(&format!("is the target '{target}' of the service 'late-{protocol}'")),
                "{said}"
            );
            let any = format!("{local}:0");
            let out = node.cli(&[&ask[..], &[&any]].concat());
            assert!(out.status.success() && both(&out).contains(&format!("{local}:9201")), "{}", both(&out));
        }
        assert_eq!(node.status()["flows_total"], json!([0, 0]));
    }
}

#[test]
fn a_circle_that_nobody_could_see_ends_with_its_first_connection() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, mut node) = one(build);
        node.start();
        let port = |number: u16| SocketAddr::new(fabric.ip(), number);
        for (name, protocol, number) in
            [("web", "http", 9210), ("bytes", "tcp", 9211), ("packets", "udp", 9212)]
        {
            node.ask(json!({ "do": "service-add", "service":
                { "name": name, "protocol": protocol, "target": port(number).to_string() } }));
        }
        node.stop();
        // The file is checked without what was added at run time.
        node.config["http"] = json!({ "listen": port(9210).to_string() });
        node.config["expose"] = json!([
            { "service": "bytes.acme.example", "listen": port(9211).to_string() },
            { "service": "packets.acme.example", "listen": port(9212).to_string(), "protocol": "udp" },
        ]);
        node.start();
        let get = "GET / HTTP/1.1\r\nHost: web.acme.example\r\nConnection: close\r\n\r\n";
        let mut client = tcp::connect(port(9210));
        client.write_all(get.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");

        // The reset may be there before the client has looked.
        let ended = tcp::try_connect(port(9211)).and_then(|mut client| {
            client.set_read_timeout(Some(SOON))?;
            client.read(&mut [0])
        });
        let reset = |e: &Error| matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused);
        assert!(ended.as_ref().is_err_and(reset), "{ended:?}");

        let client = Client::new(port(9212));
        client.send(b"round and round");
        until("the packet is dropped", SOON, || {
            (node.status()["udp"]["dropped_no_flow"].as_u64() >= Some(1)).then_some(())
        });
        let status = node.status();
        let (flows, packets) = (&status["flows_total"][0], &status["udp"]["flows_total"][0]);
        assert!(flows.as_u64() <= Some(3) && packets.as_u64() <= Some(1), "{flows} {packets}");
        let log = std::fs::read_to_string(node.log()).unwrap();
        assert_eq!(log.matches("would go in circles").count(), 3, "{log}");
        drop(http::get(port(9210)));
        let log = std::fs::read_to_string(node.log()).unwrap();
        assert_eq!(log.matches("would go in circles").count(), 3, "said once: {log}");
    }
}
