//! What is wrong with one service, port or neighbour where Envoy carries traffic: it is refused or left out with a reason
//! that people see, and all others stay up.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node};
use serde_json::{Value, json};

/// A node with Envoy, and its ingress.
fn alone(configure: impl FnOnce(&mut Node)) -> (Node, SocketAddr) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.cloud(&org, "a");
    let ingress = node.has_envoy();
    configure(&mut node);
    node.start();
    (node, ingress)
}

#[track_caller]
fn answers(ingress: SocketAddr, service: &Http, host: &str) {
    wait::until(&format!("{host} answers"), SOON, || {
        http::get_at(ingress, host).ok().filter(|words| words == service.words())
    });
}

/// The first line of the answer and all that follows.
fn raw(at: SocketAddr, host: &str) -> String {
    let mut stream = tcp::try_connect(at).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // An answer that breaks off is judged by what came.
    let _ = stream.read_to_string(&mut text);
    text
}

fn row<'a>(status: &'a Value, list: &str, key: &str, name: &str) -> &'a Value {
    let rows = status[list].as_array().map_or(&[][..], Vec::as_slice);
    rows.iter().find(|row| row[key] == name).unwrap_or(&Value::Null)
}

#[test]
fn a_service_whose_name_does_not_resolve_is_unhealthy_until_it_is_mended() {
    let web = Http::start("well");
    let (node, ingress) = alone(|node| {
        node.offers("web", "http", web.address());
        node.exposes("lost.acme.example");
    });
    node.add_service(json!({ "name": "lost", "protocol": "http", "target": "nowhere.invalid:80" }));
    let status = node.wait("the lost one is unhealthy", |status| {
        let health = &row(status, "services", "name", "lost.acme.example")["health"];
        let why = health["why"].as_str().unwrap_or_default();
        health["state"] == "unhealthy" && why.contains("nowhere.invalid:80 does not resolve")
    });
    assert_eq!(row(&status, "services", "name", "web.acme.example")["health"], Value::Null);
    let unresolved = &status["envoy"]["unresolved"][0];
    assert_eq!((&unresolved["name"], &unresolved["known"]), (&json!("nowhere.invalid:80"), &json!(false)));
    assert!(status["next_step"].as_str().unwrap().contains("nowhere.invalid:80"), "{status:#}");
    node.wait("the port says why", |status| {
        let state = row(status, "expose", "service", "lost.acme.example")["state"].as_str();
        state.is_some_and(|state| state.contains("does not resolve"))
    });
    answers(ingress, &web, "web.acme.example");
    node.add_service(json!({ "name": "lost", "protocol": "http", "target": web.address().to_string() }));
    node.wait("it is well again", |status| {
        row(status, "services", "name", "lost.acme.example")["health"] == Value::Null
    });
    node.wait_reachable("lost.acme.example");
    answers(ingress, &web, "lost.acme.example");
}

#[test]
fn a_name_that_resolves_is_a_service_like_others() {
    let web = Http::start("by name");
    let (node, ingress) = alone(|_| {});
    // On all of 127/8 somebody listens for it only at this address: a name for it is needed that every machine has.
    let twin = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = twin.local_addr().unwrap().port();
    let to = web.address();
    std::thread::spawn(move || {
        for stream in twin.incoming().flatten() {
            let Ok(other) = tcp::try_connect(to) else { continue };
            let (mut a, mut b) = (stream.try_clone().unwrap(), other.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            let (mut a, mut b) = (stream, other);
            std::thread::spawn(move || std::io::copy(&mut b, &mut a));
        }
    });
    node.add_service(json!({ "name": "web", "protocol": "http", "target": format!("localhost:{port}") }));
    answers(ingress, &web, "web.acme.example");
    let status = node.status();
    assert_eq!(row(&status, "services", "name", "web.acme.example")["health"], Value::Null, "{status:#}");
    assert_eq!(status["envoy"]["unresolved"], json!([]));
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_503_with_a_reason_and_the_next_one_is_used() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut a, mut b) = (fabric.cloud(&org, "a"), fabric.cloud(&org, "b"));
    let ingress = a.has_envoy();
    b.has_envoy();
    a.joins(&mut b);
    let (well, other) = (Http::start("well"), Http::start("the other"));
    let nobody = fabric.address();
    a.offers("web", "http", well.address());
    a.offers("dead", "http", nobody);
    a.offers("both", "http", nobody);
    b.offers("both", "http", other.address());
    b.start();
    a.start();
    a.wait_up(&b);
    answers(ingress, &well, "web.acme.example");
    let answer = wait::until("503", SOON, || {
        Some(raw(ingress, "dead.acme.example")).filter(|answer| answer.starts_with("HTTP/1.1 503 "))
    });
    assert!(answer.contains("connect") || answer.contains("Connection refused"), "a reason: {answer}");
    answers(ingress, &other, "both.acme.example");
    answers(ingress, &well, "web.acme.example");
}

#[test]
fn a_service_that_speaks_something_else_fails_alone() {
    let web = Http::start("well");
    let banner = Service::start(|mut stream| {
        let _ = stream.write_all(b"220 this is no HTTP\r\n");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let (_node, ingress) = alone(|node| {
        node.offers("web", "http", web.address());
        node.offers("odd", "http", banner.address());
        node.offers("rpc", "http:grpc", web.address());
    });
    answers(ingress, &web, "web.acme.example");
    for host in ["odd.acme.example", "rpc.acme.example"] {
        wait::until(&format!("{host} is refused"), SOON, || {
            let answer = raw(ingress, host);
            let refused = answer.starts_with("HTTP/1.1 502 ") || answer.starts_with("HTTP/1.1 503 ");
            refused.then_some(answer)
        });
    }
    answers(ingress, &web, "web.acme.example");
}

#[test]
fn two_services_cannot_have_one_name() {
    let (first, second) = (Http::start("first"), Http::start("second"));
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.cloud(&org, "a");
    let ingress = node.has_envoy();
    node.offers("web", "http", first.address());
    node.offers("web", "http", second.address());
    let (said, _) = node.start_in_vain();
    assert!(said.contains("web"), "{said}");
    node.config["services"].as_array_mut().unwrap().pop();
    node.start();
    answers(ingress, &first, "web.acme.example");
    // At run time the second takes the place of the first: one name, one service.
    node.add_service(json!({ "name": "web", "protocol": "http", "target": second.address().to_string() }));
    answers(ingress, &second, "web.acme.example");
    assert_eq!(node.status()["services"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_port_that_another_program_has_is_refused_at_run_time() {
    let web = Http::start("well");
    let mut thief = None;
    let (node, ingress) = alone(|node| {
        node.offers("web", "http", web.address());
        let taken = TcpListener::bind((node.fabric.ip(), 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        node.config["expose_ports"] = json!(format!("{port}-{port}"));
        thief = Some(taken);
    });
    let taken = thief.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let expose = json!({ "service": "web.acme.example", "listen": listen, "port": "tcp" });
    let refused = node.try_ask(json!({ "do": "expose-add", "expose": expose })).unwrap_err();
    assert!(refused.contains(&listen) && refused.contains("in use"), "{refused}");
    answers(ingress, &web, "web.acme.example");
}

/// Holds one of the ports of a node as it starts: the others work, `status` says it, and the port works once it is free.
fn held(
    what: &str,
    choose: impl FnOnce(&mut Node, SocketAddr) -> SocketAddr,
    works: impl Fn(&Node, SocketAddr),
) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut node, web, other) = (fabric.cloud(&org, "a"), Http::start("well"), Http::start("other"));
    let ingress = node.has_envoy();
    node.offers("web", "http", web.address());
    node.offers("other", "http", other.address());
    let free = fabric.address();
    let expose = |service: &str, at: SocketAddr| json!({ "service": service, "listen": at.to_string() });
    node.config["expose"] = json!([expose("other.acme.example", free)]);
    let at = choose(&mut node, ingress);
    let thief = TcpListener::bind(at).unwrap();
    node.start();
    let status = node.wait(&format!("{what} is refused"), |status| {
        let rejected = status["envoy"]["rejected"].as_array();
        rejected
            .is_some_and(|rows| rows.iter().any(|row| row["of"].as_str().is_some_and(|of| of.contains(what))))
    });
    let step = status["next_step"].as_str().unwrap();
    assert!(step.contains(what) && step.contains("another program"), "{step}");
    wait::until("the other port answers", SOON, || {
        http::get(free).ok().filter(|words| words == other.words())
    });
    drop(thief);
    node.wait(&format!("{what} is taken"), |status| status["envoy"]["rejected_count"] == 0);
    works(&node, at);
}

#[test]
fn an_exposed_port_that_another_program_has_at_the_start_is_said_and_opened_later() {
    held(
        "of web.acme.example",
        |node, _| {
            let at = node.fabric.address();
            let port = json!({ "service": "web.acme.example", "listen": at.to_string() });
            node.config["expose"].as_array_mut().unwrap().push(port);
            at
        },
        |node, at| {
            node.wait_reachable("web.acme.example");
            wait::until("it answers", SOON, || http::get(at).ok().filter(|words| words == "well"));
        },
    );
}

#[test]
fn an_ingress_whose_port_another_program_has_is_said_and_opened_later() {
    held(
        "the HTTP ingress",
        |_, ingress| ingress,
        |_, at| {
            let ask = || http::get_at(at, "web.acme.example").ok().filter(|words| words == "well");
            wait::until("it answers", SOON, ask);
        },
    );
}

#[test]
fn a_mesh_port_that_another_program_has_is_said_and_opened_later() {
    held(
        "the mesh port",
        |node, _| node.config["envoy"]["listen"].as_str().unwrap().parse().unwrap(),
        |_, at| {
            // Envoy listens: it takes connections, and wants TLS.
            wait::until("it is open", SOON, || tcp::try_connect(at).ok());
        },
    );
}

#[test]
fn an_ingress_answers_as_the_node_under_the_address_that_neighbours_are_told() {
    let (_node, ingress) = alone(|node| node.config["envoy"]["address"] = json!("Gate.acme.example:8443"));
    let said = |host: &str| http::ask(ingress, host, "/graphql", &[]).ok();
    let own = |host: &str| said(host).filter(|(status, text)| *status == 404 && text.contains("not_found"));
    wait::until("the node's own answer", SOON, || own("gate.acme.example:8080"));
    let listen = wait::until("the same by address", SOON, || own(&ingress.ip().to_string()));
    assert_eq!(own("gate.acme.example").as_ref(), Some(&listen));
    assert!(own("other.acme.example").is_none(), "{:?}", said("other.acme.example"));
}
