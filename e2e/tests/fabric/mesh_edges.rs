//! Edges below cloud nodes whose traffic Envoys carry: their services, and their clients.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Barrier};
use std::thread;

use catalyst_e2e::h2::{Call, Echo};
use catalyst_e2e::http::{self, Client, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, Org};
use serde_json::json;

/// What clients write that only a node may say.
const FORGED: [&str; 5] = [
    "X-Catalyst-Caller: spiffe://evil.example/node/x",
    "x-mesh-via: evil",
    "x-catalyst-unheard-of: evil",
    "x-catalyst-service: evil.acme.example",
    "x-catalyst-local: local|evil",
];

/// An edge dials `a`, and `a` dials `b`; both cloud nodes have an Envoy.
struct Below {
    fabric: Fabric,
    org: Org,
    a: Node,
    b: Node,
    edge: Node,
}

fn below(configure: impl FnOnce(&mut Node, &mut Node, &mut Node)) -> Below {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut a, mut b) = (fabric.cloud(&org, "a"), fabric.cloud(&org, "b"));
    let mut edge = fabric.edge(&org, "edge-1");
    a.has_envoy();
    b.has_envoy();
    a.joins(&mut b);
    edge.joins(&mut a);
    configure(&mut a, &mut b, &mut edge);
    b.start();
    a.start();
    edge.start();
    Below { fabric, org, a, b, edge }
}

/// What a service of HTTP was asked, in small letters, when somebody lies about who asks.
#[track_caller]
fn asked(at: SocketAddr, host: &str) -> String {
    wait::until(&format!("an answer of {host} at {at}"), SOON, || {
        http::ask(at, host, "/head", &FORGED).ok().filter(|(status, _)| *status == 200).map(|(_, head)| head)
    })
}

#[track_caller]
fn says_caller(head: &str, caller: &Node) {
    let callers: Vec<&str> = head.lines().filter(|line| line.starts_with("x-catalyst-caller:")).collect();
    assert_eq!(callers, [format!("x-catalyst-caller: {}", caller.spiffe())], "{head}");
    assert!(!head.contains("evil") && !head.contains("x-catalyst-local"), "{head}");
    assert!(!head.contains("x-catalyst-service"), "{head}");
}

/// A call of gRPC, both ways open at once.
#[track_caller]
fn talks(at: SocketAddr, host: &str, caller: &Node) {
    let forged = [("x-catalyst-caller", "spiffe://evil.example/node/x")];
    let mut call = wait::until(&format!("{host} takes calls at {at}"), SOON, || {
        Call::open(at, host, &forged, b"one").ok().filter(|call| call.status() == 200)
    });
    assert_eq!(call.hear().unwrap(), b"one");
    call.say(b"two");
    assert_eq!(call.hear().unwrap(), b"two");
    assert_eq!(call.header("seen-caller"), caller.spiffe());
    let (rest, trailers) = call.finish().unwrap();
    assert_eq!((rest.as_slice(), trailers["grpc-status"].as_bytes()), (&b""[..], &b"0"[..]));
}

/// Sends all this at once, ends its side, and gets it back.
fn echo(at: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let stream = tcp::try_connect(at)?;
    let (mut writer, copy) = (stream.try_clone()?, bytes.to_vec());
    let writing = thread::spawn(move || {
        writer.write_all(&copy)?;
        writer.shutdown(Shutdown::Write)
    });
    let back = tcp::read_all(&stream);
    writing.join().unwrap()?;
    back
}

#[track_caller]
fn wait_echo(at: SocketAddr) {
    wait::until(&format!("an echo at {at}"), SOON, || echo(at, b"ping").ok().filter(|got| got == b"ping"));
}

#[test]
fn an_edges_services_answer_at_the_envoys_of_both_cloud_nodes() {
    let (web, grpc, raw) = (Http::start("web"), Echo::start(), Service::echo());
    let services = ["web.acme.example", "grpc.acme.example", "raw.acme.example"];
    let Below { a, b, edge: _edge, .. } = below(|a, b, edge| {
        edge.offers("web", "http", web.address());
        edge.offers("grpc", "http:grpc", grpc.address());
        edge.offers("raw", "tcp", raw.address());
        for service in services {
            a.exposes(service);
            b.exposes(service);
        }
    });
    for node in [&a, &b] {
        let [to_web, to_grpc, to_raw] = services.map(|service| node.wait_reachable(service));
        says_caller(&asked(node.ingress(), "web.acme.example"), node);
        says_caller(&asked(to_web, "any.name"), node);
        talks(node.ingress(), "grpc.acme.example", node);
        talks(to_grpc, "any.name", node);
        wait_echo(to_raw);
    }
    // From b by its Envoy to that of a, and from there through the tunnel.
    let (first, second) = (b.spiffe(), a.spiffe());
    for (service, cluster) in [("web.acme.example", "node|web.acme.example"), ("raw.acme.example:1", "node")]
    {
        b.wait_logged(&[
            ("caller", &first),
            ("authority", service),
            ("cluster", "peer|a.acme.example"),
            ("peer", &second),
        ]);
        a.wait_logged(&[("door", "mesh"), ("caller", &first), ("authority", service), ("cluster", cluster)]);
    }
}

#[test]
fn an_edges_clients_reach_services_of_both_cloud_nodes() {
    let (web, grpc, raw) = (Http::start("web"), Echo::start(), Service::echo());
    let Below { a, b, edge, .. } = below(|a, b, edge| {
        for (node, end) in [(a, "a"), (b, "b")] {
            node.offers(&format!("web-{end}"), "http", web.address());
            node.offers(&format!("grpc-{end}"), "http:grpc", grpc.address());
            node.offers(&format!("raw-{end}"), "tcp", raw.address());
            for kind in ["web", "grpc", "raw"] {
                edge.exposes(&format!("{kind}-{end}.acme.example"));
            }
        }
        edge.config["http"] = json!({ "listen": "127.0.0.1:0" });
    });
    let by_host = edge.status()["http"].as_str().unwrap().parse().unwrap();
    // A service hears of the neighbour that its Envoy sees; the token that tells of the first one comes later.
    for (end, caller) in [("a", &edge), ("b", &a)] {
        let name = |kind: &str| format!("{kind}-{end}.acme.example");
        let [to_web, to_grpc, to_raw] = ["web", "grpc", "raw"].map(|kind| edge.wait_reachable(&name(kind)));
        says_caller(&asked(to_web, "any.name"), caller);
        says_caller(&asked(by_host, &name("web")), caller);
        talks(to_grpc, "any.name", caller);
        wait_echo(to_raw);
        for authority in [name("web"), format!("{}:1", name("raw"))] {
            a.wait_logged(&[("caller", &edge.spiffe()), ("authority", &authority)]);
        }
    }
    for authority in ["web-b.acme.example", "raw-b.acme.example:1"] {
        a.wait_logged(&[("caller", &edge.spiffe()), ("authority", authority), ("peer", &b.spiffe())]);
        b.wait_logged(&[("door", "mesh"), ("caller", &a.spiffe()), ("authority", authority)]);
    }
}

/// A client and a service on either side of the tunnel, and with one more Envoy between.
fn both_ways(raw: &Service) -> (Below, [SocketAddr; 4]) {
    let below = below(|a, b, edge| {
        edge.offers("below", "tcp", raw.address());
        a.offers("above", "tcp", raw.address());
        b.offers("far", "tcp", raw.address());
        a.exposes("below.acme.example");
        b.exposes("below.acme.example");
        edge.exposes("above.acme.example");
        edge.exposes("far.acme.example");
    });
    let ports = [
        below.a.wait_reachable("below.acme.example"),
        below.b.wait_reachable("below.acme.example"),
        below.edge.wait_reachable("above.acme.example"),
        below.edge.wait_reachable("far.acme.example"),
    ];
    ports.into_iter().for_each(wait_echo);
    (below, ports)
}

#[test]
fn long_streams_and_their_ends_pass_both_ways() {
    let raw = Service::echo();
    let (_below, ports) = both_ways(&raw);
    let sent = tcp::pattern(16 << 20, 3);
    for port in ports {
        tcp::same(&echo(port, &sent).unwrap(), &sent);
    }
}

#[test]
fn two_hundred_connections_at_once_pass_both_ways() {
    const CLIENTS: usize = 200;
    let raw = Service::echo();
    let (_below, ports) = both_ways(&raw);
    // All are there before the first ends.
    let all = Arc::new(Barrier::new(CLIENTS));
    let client = |n: usize| {
        let (all, at) = (all.clone(), ports[n % ports.len()]);
        thread::spawn(move || {
            let sent = tcp::pattern(10_000 + n, n as u64);
            let mut stream = tcp::connect(at);
            let (first, rest) = sent.split_at(100);
            stream.write_all(first).unwrap();
            let mut back = vec![0; first.len()];
            std::io::Read::read_exact(&mut stream, &mut back).unwrap();
            all.wait();
            stream.write_all(rest).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            back.extend(tcp::read_all(&stream).unwrap());
            tcp::same(&back, &sent);
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let failed = clients.into_iter().filter_map(|client| client.join().err()).count();
    assert_eq!(failed, 0, "of {CLIENTS}");
}

#[test]
fn what_goes_from_edge_to_edge_never_leaves_the_tunnel() {
    let (web, raw) = (Http::start("web"), Service::echo());
    let Below { fabric, org, mut a, b: _b, edge } = below(|a, _, edge| {
        edge.offers("web", "http", web.address());
        edge.offers("raw", "tcp", raw.address());
        a.exposes("raw.acme.example");
    });
    a.stop();
    let mut far = fabric.edge(&org, "edge-2");
    far.joins(&mut a);
    far.exposes("web.acme.example");
    far.exposes("raw.acme.example");
    a.start();
    far.start();
    let (to_web, to_raw) = (far.wait_reachable("web.acme.example"), far.wait_reachable("raw.acme.example"));
    let head = wait::until("an answer", SOON, || http::ask(to_web, "any", "/head", &[]).ok()).1;
    assert!(head.contains("host: any") && !head.contains("x-catalyst"), "no Envoy touched it: {head}");
    wait_echo(to_raw);
    // A line that comes after all that could be there.
    wait_echo(a.wait_reachable("raw.acme.example"));
    a.wait_logged(&[("caller", &a.spiffe()), ("authority", "raw.acme.example:1")]);
    let rows = a.log_rows();
    assert!(rows.iter().all(|row| row["caller"] != far.spiffe().as_str()), "{rows:#?}");
    assert_eq!(edge.peer(&a)["state"], "up");
}

#[test]
fn a_request_that_the_tunnel_does_not_take_goes_on_to_the_next_origin() {
    let there = Http::start("there");
    // One request a connection, so that each is a flow of its own.
    let gone = Service::start(|mut stream| {
        let mut got = Vec::new();
        while !got.ends_with(b"words") {
            let mut buffer = [0; 1024];
            let Ok(n @ 1..) = stream.read(&mut buffer) else { return };
            got.extend(&buffer[..n]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nwords");
    });
    let host = "twice.acme.example";
    let below = below(|_, b, edge| {
        edge.offers("twice", "http", gone.address());
        edge.offers("alone", "http", gone.address());
        b.offers("twice", "http", there.address());
    });
    let post = || Client::connect_for(below.a.ingress(), host)?.post(b"words");
    wait::until("an answer of each", SOON, || {
        let _: Option<Vec<u8>> = post().ok();
        (gone.taken() > 0 && there.requests() > 0).then_some(())
    });
    // The edge has nobody to hand a flow to any more, and does not take it.
    drop(gone);
    let before = there.requests();
    for n in 0..20 {
        assert_eq!(post().unwrap_or_else(|why| panic!("{n}: {why}\n{}", below.a.access_log())), b"words");
    }
    assert_eq!(there.requests(), before + 20);
    // With nowhere else to go, the answer is for the client, and says nothing of how nodes find it.
    let mut raw = tcp::try_connect(below.a.ingress()).unwrap();
    raw.write_all(b"GET / HTTP/1.1\r\nhost: alone.acme.example\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-catalyst-unavailable"), "{answer}");
    assert!(!answer.contains("x-catalyst-refused"), "{answer}");
}
