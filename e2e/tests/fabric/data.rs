//! The data path: what a client sends is what a service gets, and the other way round, and so is how it ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Client, Http};
use catalyst_e2e::tcp::{self, PATIENCE, Service};
use catalyst_e2e::{Fabric, Node, Org};

/// A cloud node that an edge dials, both running.
pub struct Pair {
    pub fabric: Fabric,
    pub org: Org,
    pub cloud: Node,
    pub edge: Node,
}

/// A pair; `configure` says what each serves and exposes.
pub fn pair(configure: impl FnOnce(&Fabric, &mut Node, &mut Node)) -> Pair {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    configure(&fabric, &mut cloud, &mut edge);
    cloud.start();
    edge.start();
    Pair { fabric, org, cloud, edge }
}

/// A pair with one bare TCP service behind the edge; gives the cloud's local port for it.
fn behind_edge(service: &Service) -> (Pair, std::net::SocketAddr) {
    let target = service.address();
    let pair = pair(|_, cloud, edge| {
        edge.offers("raw", "tcp", target);
        cloud.exposes("raw.acme.example");
    });
    let port = pair.cloud.wait_reachable("raw.acme.example");
    (pair, port)
}

/// As [`behind_edge`], the other way round: the service stands at the cloud, the client at the edge.
fn behind_cloud(service: &Service) -> (Pair, std::net::SocketAddr) {
    let target = service.address();
    let pair = pair(|_, cloud, edge| {
        cloud.offers("raw", "tcp", target);
        edge.exposes("raw.acme.example");
    });
    let port = pair.edge.wait_reachable("raw.acme.example");
    (pair, port)
}

#[test]
fn a_client_at_the_cloud_reaches_a_service_behind_the_edge() {
    let web = Http::start("hello from behind the edge");
    let pair = pair(|_, cloud, edge| {
        edge.offers("hello", "http", web.address());
        cloud.exposes("hello.acme.example");
    });
    let port = pair.cloud.wait_reachable("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
    assert_eq!(web.requests(), 1);
    assert_eq!(pair.cloud.status()["flows_total"][0], 1);
    assert_eq!(pair.edge.status()["flows_total"][0], 1);
}

#[test]
fn a_client_at_the_edge_reaches_a_service_at_the_cloud() {
    let web = Http::start("hello from the cloud");
    let pair = pair(|_, cloud, edge| {
        cloud.offers("hello", "http", web.address());
        edge.exposes("hello.acme.example");
    });
    let port = pair.edge.wait_reachable("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
}

#[test]
fn an_edge_reaches_another_edge_through_the_cloud() {
    let web = Http::start("hello from the other edge");
    let Pair { cloud, edge, org, fabric, .. } =
        pair(|_, _, edge| edge.offers("hello", "http", web.address()));
    drop(cloud);
    // The cloud again, with a second edge.
    let mut cloud = fabric.node_in(&org, catalyst_e2e::Build::Cloud, "cloud-2", "cloud-2");
    let mut far = fabric.edge(&org, "edge-2");
    let mut near = edge;
    near.config["peers"] = serde_json::json!([]);
    near.stop();
    near.dials(&cloud);
    far.dials(&cloud);
    far.exposes("hello.acme.example");
    cloud.awaits(&near);
    cloud.awaits(&far);
    cloud.start();
    near.start();
    far.start();
    let port = far.wait_reachable("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
    let rows = far.routes_to("hello.acme.example");
    assert_eq!(rows[0]["node_path"], serde_json::json!(["cloud-2", "edge-1"]), "{rows:#?}");
}

#[test]
fn a_local_client_reaches_a_local_service_through_the_same_port() {
    let web = Http::start("hello from next door");
    let pair = pair(|_, _, edge| {
        edge.offers("hello", "http", web.address());
        edge.exposes("hello.acme.example");
    });
    let port = pair.edge.wait_reachable("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
    let echo = Service::echo();
    pair.edge.add("hello", echo.address());
    // The port stays, the service behind it changed.
    let mut client = tcp::connect(port);
    client.write_all(b"now an echo").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(tcp::read_all(&client).unwrap(), b"now an echo");
    assert_eq!(pair.org.name, "acme.example");
}

#[test]
fn one_connection_carries_many_requests() {
    let web = Http::start("again and again");
    let pair = pair(|_, cloud, edge| {
        edge.offers("hello", "http", web.address());
        cloud.exposes("hello.acme.example");
    });
    let port = pair.cloud.wait_reachable("hello.acme.example");
    let mut client = Client::connect(port).unwrap();
    for n in 0..50 {
        assert_eq!(client.get().unwrap(), web.words());
        let body = tcp::pattern(n * 101, n as u64);
        tcp::same(&client.post(&body).unwrap(), &body);
    }
    assert_eq!((web.requests(), web.connections()), (100, 1));
}

/// 10 MB there and back at the same time, through a port.
fn much_both_ways(port: std::net::SocketAddr) {
    let sent = tcp::pattern(10_000_000, 7);
    let client = tcp::connect(port);
    let mut writer = client.try_clone().unwrap();
    let copy = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let got = tcp::read_all(&client).unwrap();
    writing.join().unwrap();
    tcp::same(&got, &sent);
}

#[test]
fn ten_megabytes_arrive_whole_in_both_directions() {
    let echo = Service::echo();
    let (_pair, port) = behind_edge(&echo);
    much_both_ways(port);
}

#[test]
fn ten_megabytes_arrive_whole_from_an_edge() {
    let echo = Service::echo();
    let (_pair, port) = behind_cloud(&echo);
    much_both_ways(port);
}

#[test]
fn the_client_ends_first_and_still_gets_the_answer() {
    // Answers only once the client has ended its side.
    let service = Service::start(|mut stream| {
        let question = tcp::read_all(&stream).unwrap();
        stream.write_all(format!("you said {} bytes", question.len()).as_bytes()).unwrap();
    });
    for (_pair, port) in [behind_edge(&service), behind_cloud(&service)] {
        let mut client = tcp::connect(port);
        client.write_all(&[1; 5000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(tcp::read_all(&client).unwrap(), b"you said 5000 bytes");
    }
}

#[test]
fn the_service_ends_first_and_still_gets_the_rest() {
    let (tell, told) = mpsc::channel();
    let service = Service::start(move |mut stream| {
        stream.write_all(b"the end of mine").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        tell.send(tcp::read_all(&stream).unwrap()).unwrap();
    });
    for (_pair, port) in [behind_edge(&service), behind_cloud(&service)] {
        let mut client = tcp::connect(port);
        assert_eq!(tcp::read_all(&client).unwrap(), b"the end of mine");
        // The service's side is closed; ours is not.
        client.write_all(b"a late word").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), b"a late word");
    }
}

#[test]
fn a_reset_by_the_service_reaches_the_client_as_a_reset() {
    let service = Service::start(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        tcp::reset(stream);
    });
    for (_pair, port) in [behind_edge(&service), behind_cloud(&service)] {
        let mut client = tcp::connect(port);
        client.write_all(b"x").unwrap();
        let end = tcp::read_all(&client).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset, "{end}");
    }
}

#[test]
fn a_reset_by_the_client_reaches_the_service_as_a_reset() {
    let (tell, told) = mpsc::channel();
    let service = Service::start(move |mut stream| {
        stream.write_all(b"ready").unwrap();
        tell.send(tcp::read_all(&stream).map_err(|e| e.kind())).unwrap();
    });
    for (_pair, port) in [behind_edge(&service), behind_cloud(&service)] {
        let mut client = tcp::connect(port);
        let mut ready = [0; 5];
        client.read_exact(&mut ready).unwrap();
        tcp::reset(client);
        let end = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
    }
}

/// How a client's connection fails, and how soon.
fn failure(port: std::net::SocketAddr) -> (ErrorKind, Duration) {
    let start = Instant::now();
    let ask = |mut client: TcpStream| client.write_all(b"x").and_then(|()| tcp::read_all(&client));
    let end = tcp::try_connect(port).and_then(ask).unwrap_err();
    (end.kind(), start.elapsed())
}

#[test]
fn a_service_that_is_gone_fails_its_client_at_once() {
    let service = Service::echo();
    let (_pair, port) = behind_edge(&service);
    drop(service);
    let (kind, took) = failure(port);
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[test]
fn a_service_that_is_unknown_fails_its_client_at_once() {
    let pair = pair(|_, cloud, _| cloud.exposes("nowhere.acme.example"));
    let status = pair.cloud.status();
    assert_ne!(status["expose"][0]["state"], "reachable", "{status:#}");
    let (kind, took) = failure(pair.cloud.port("nowhere.acme.example"));
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[test]
fn two_hundred_connections_at_once_do_not_mix() {
    let echo = Service::echo();
    let (pair, port) = behind_edge(&echo);
    let clients: Vec<TcpStream> = (0..200).map(|_| tcp::connect(port)).collect();
    // Every one says its own words first; all stay open until all have spoken.
    for (n, mut client) in clients.iter().enumerate() {
        client.write_all(&tcp::pattern(2000, n as u64)).unwrap();
    }
    pair.cloud.wait("200 flows", |status| status["flows"][0] == 200);
    for (n, client) in clients.iter().enumerate() {
        client.shutdown(Shutdown::Write).unwrap();
        tcp::same(&tcp::read_all(client).unwrap(), &tcp::pattern(2000, n as u64));
    }
    assert_eq!(echo.taken(), 200);
    drop(clients);
    pair.cloud.wait("no flow is left", |status| status["flows"][0] == 0);
    pair.edge.wait("no flow is left", |status| status["flows"][0] == 0);
}

#[test]
fn a_flow_of_an_edge_that_is_killed_ends_and_does_not_hang() {
    let echo = Service::echo();
    let (mut pair, port) = behind_edge(&echo);
    let mut client = tcp::connect(port);
    client.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    client.read_exact(&mut back).unwrap();
    let killed = pair.edge.kill();
    let end = tcp::read_all(&client);
    println!("the client of a killed edge heard of it after {:?}", killed.elapsed());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(killed.elapsed() < Duration::from_secs(4));
    pair.cloud.wait("no flow is left", |status| status["flows"][0] == 0);
}

#[test]
fn a_live_flow_survives_changes_of_other_routes() {
    let echo = Service::echo();
    let (pair, port) = behind_edge(&echo);
    let mut client = tcp::connect(port);
    for n in 0..20u8 {
        pair.edge.add(&format!("other-{}", n % 3), echo.address());
        pair.edge.add_service(
            serde_json::json!({ "name": "raw", "target": echo.address().to_string(), "cost": n }),
        );
        client.write_all(&[n; 100]).unwrap();
        let mut back = [0; 100];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, [n; 100]);
    }
    assert_eq!(echo.taken(), 1);
}

#[test]
fn ports_of_exposed_services_take_ipv6_clients_too() {
    let echo = Service::echo();
    let pair = pair(|_, cloud, edge| {
        edge.offers("raw", "tcp", echo.address());
        cloud.config["expose"] = serde_json::json!([{ "service": "raw.acme.example", "listen": "[::1]:0" }]);
    });
    let port = pair.cloud.wait_reachable("raw.acme.example");
    assert!(port.is_ipv6());
    let mut client = tcp::connect(port);
    client.write_all(b"six").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(tcp::read_all(&client).unwrap(), b"six");
}

#[test]
fn a_udp_service_is_shown_as_out_of_reach_and_takes_no_tcp_client() {
    // A TCP socket that happens to have the number of the UDP service's port.
    let other = Service::echo();
    let pair = pair(|_, cloud, edge| {
        edge.offers("dns", "udp", other.address());
        cloud.exposes("dns.acme.example");
    });
    pair.cloud.wait_route("dns.acme.example");
    let status =
        pair.cloud.wait("why it is out of reach", |s| s["expose"][0]["state"] != "no route for this service");
    assert!(status["expose"][0]["state"].as_str().unwrap().contains("udp"), "{status:#}");
    failure(pair.cloud.port("dns.acme.example"));
    assert_eq!(other.taken(), 0);
}
