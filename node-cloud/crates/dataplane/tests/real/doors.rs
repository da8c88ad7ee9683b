//! Each door from the side of somebody who wants more than is his: what reaches the service, Envoy said and nobody else.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use catalyst_dataplane::{Identity, Via};
use catalyst_names::{NodeName, Protocol};

use crate::certs::{tls, tls_to};
use crate::http1::{Http1, Message};
use crate::http2::{Answer, Http2};
use crate::lab::{Lab, Node, PATIENCE, pair, server_name, service, ways};
use crate::peers::{Served, echoes, greeted, greeter, http, served};

const HOST: &str = "web.acme.example";

/// A node with `web` (HTTP) and `db` (TCP), and two neighbours of which there are certificates alone. The second is of
/// another organisation and may use `web`.
struct House {
    lab: Lab,
    a: Node,
    web: Served,
    db: Served,
    friend: Identity,
    partner: Identity,
}

fn house() -> House {
    let lab = Lab::new(&["acme.example", "globex.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let (web, db) = (http(a.ip, "web"), greeter(a.ip, "db"));
    for (name, protocol, at) in [(HOST, Protocol::Http, web.at), ("db.acme.example", Protocol::Tcp, db.at)] {
        a.planner.set_target(&service(name), Some(vec![at]));
        a.planner.set_service(&service(name), ways(protocol, &[Via::Local]));
    }
    let names: [NodeName; 2] = ["x.acme.example".parse().unwrap(), "g.globex.example".parse().unwrap()];
    for name in &names {
        a.planner.set_neighbour(name, Some(Vec::new()));
    }
    a.planner.set_grant(&names[1], &service(HOST), true);
    a.planner.open_port(&service(HOST), a.at(9001));
    a.tell();
    lab.settled(&a);
    let [friend, partner] = names.each_ref().map(|name| lab.identity(name));
    House { lab, a, web, db, friend, partner }
}

impl House {
    fn mesh(&self, identity: &Identity) -> Http2 {
        let caller = if *identity == self.friend { "x.acme.example" } else { "g.globex.example" };
        let asked = server_name(caller, &self.a.name);
        let stream = tls_to(self.a.site.mesh, Some(asked), Some(identity), &["h2"]).unwrap();
        Http2::over(Box::new(stream)).unwrap()
    }
}

/// What nobody but Envoy may say, in all the ways to write it.
const FORGED: &[(&str, &str)] = &[
    ("x-catalyst-caller", "spiffe://evil.example/node/x"),
    ("x-catalyst-caller", "spiffe://evil.example/node/twice"),
    ("x_catalyst_caller", "spiffe://evil.example/node/underscores"),
    ("x-catalyst_caller", "spiffe://evil.example/node/mixed"),
    ("x_catalyst-caller", "spiffe://evil.example/node/mixed2"),
    ("x-mesh-via", "evil"),
    ("catalyst-caller", "evil"),
    ("x-catalyst-via", "evil"),
    ("x-catalyst-of-tomorrow", "evil"),
    ("x-catalystevil", "evil"),
    ("x-catalyst-service", "evil"),
    ("x-catalyst-local", "evil"),
    ("x-envoy-retry-on", "5xx,evil"),
    ("x-envoy-max-retries", "66666evil"),
    ("x-envoy-original-path", "/evil"),
    ("x-envoy-upstream-rq-timeout-ms", "1evil"),
    ("x-envoy-decorator-operation", "evil"),
    ("x-envoy-retry-grpc-on", "cancelled,evil"),
    ("x-envoy-retriable-status-codes", "200,evil"),
    ("x-envoy-retriable-header-names", "evil"),
    ("x-envoy-upstream-rq-per-try-timeout-ms", "1evil"),
    ("x-envoy-upstream-rq-timeout-alt-response", "evil"),
    ("x-envoy-upstream-stream-duration-ms", "1evil"),
    ("x-envoy-upstream-alt-stat-name", "evil"),
    ("x-envoy-hedge-on-per-try-timeout", "evil"),
    ("x-envoy-expected-rq-timeout-ms", "1evil"),
    ("x-envoy-force-trace", "evil"),
    ("x-envoy-ip-tags", "evil"),
    ("x-envoy-original-url", "evil"),
    ("x-envoy-attempt-count", "evil"),
    ("x-envoy-downstream-service-cluster", "evil"),
    ("x-envoy-downstream-service-node", "evil"),
    ("x-envoy-internal", "evil"),
    ("x-envoy-external-address", "evil"),
    ("x-envoy-original-dst-host", "evil"),
    ("x-forwarded-for", "127.0.0.1"),
];

fn forged() -> String {
    FORGED.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// The service saw this caller and nothing that was forged.
fn saw(text: &str, caller: &str) {
    let lower = text.to_lowercase();
    assert!(lower.contains(&format!("x-catalyst-caller: {caller}\r\n")), "{text}");
    assert_eq!(lower.matches("catalyst").count(), 1 + caller.matches("catalyst").count(), "{text}");
    assert!(!lower.contains("evil"), "{text}");
}

/// Nothing of Envoy's own ways of finding a service is told to a client.
fn tells_nothing(answer: &Message) {
    for name in ["x-mesh-via", "x-catalyst-service", "x-catalyst-local", "x-catalyst-caller"] {
        assert!(!answer.head.to_lowercase().contains(name), "{answer:?}");
    }
}

fn handed_in(socket: &Path, header: &[u8]) -> Http1 {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(header).unwrap();
    Http1 { lines: BufReader::new(Box::new(stream.try_clone().unwrap())), out: Box::new(stream) }
}

/// PROXY protocol v2 with TLVs.
fn proxied(tlvs: &[(u8, &str)]) -> Vec<u8> {
    let mut body = vec![127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0];
    for (kind, text) in tlvs {
        body.push(*kind);
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut all = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    all.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    all.extend(body);
    all
}

#[test]
fn forged_identity_reaches_no_service_by_any_door() {
    let house = house();
    let a = &house.a;
    for (at, host) in [(a.at(8080), HOST), (a.at(9001), "any.example")] {
        let answer = Http1::dial(at).get(host, "/", &forged()).unwrap();
        saw(&answer.text(), "spiffe://acme.example/node/a");
        tells_nothing(&answer);
        let mut client = Http2::dial(at);
        let answer = client.get(host, "/", FORGED);
        saw(&answer.text(), "spiffe://acme.example/node/a");
    }
    for (identity, caller) in
        [(&house.friend, "spiffe://acme.example/node/x"), (&house.partner, "spiffe://globex.example/node/g")]
    {
        let answer = house.mesh(identity).get(HOST, "/", FORGED);
        assert_eq!(answer.status, 200, "{answer:?}\n{}", a.log_text());
        saw(&answer.text(), caller);
    }
    let tlvs = [(0xE0, "spiffe://acme.example/node/edge"), (0xE1, HOST)];
    let answer = handed_in(&a.site.http_socket, &proxied(&tlvs)).get("any", "/", &forged()).unwrap();
    saw(&answer.text(), "spiffe://acme.example/node/edge");
    tells_nothing(&answer);
}

#[test]
fn a_service_does_not_speak_for_the_nodes() {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let name = service(HOST);
    let web = served(a.ip, |stream| {
        let mut peer = Http1::of(stream);
        while peer.head().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nX-Catalyst-Unavailable: evil\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    a.planner.set_target(&name, Some(vec![web.at]));
    a.planner.set_service(&name, ways(Protocol::Http, &[Via::Local]));
    a.tell();
    lab.settled(&a);
    let answer = Http1::dial(a.at(8080)).get(HOST, "/", "").unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    assert!(!answer.head.to_lowercase().contains("unavailable"), "{answer:?}");
    // What the node says itself stays: the service is not there.
    a.planner.set_target(&name, Some(vec![a.at(1)]));
    a.tell();
    lab.settled(&a);
    let answer = Http1::dial(a.at(8080)).get(HOST, "/", "").unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.head.to_lowercase().contains("x-catalyst-unavailable: "), "{answer:?}");
}

#[test]
fn a_stream_without_a_caller_or_a_service_goes_nowhere() {
    let house = house();
    let friend = "spiffe://acme.example/node/edge";
    let service = format!("x-catalyst-service: {HOST}\r\n");
    let caller = "x-catalyst-caller: spiffe://acme.example/node/a\r\n";
    for tlvs in [
        &[][..],
        &[(0xE0, friend)],
        &[(0xE1, HOST)],
        &[(0xE0, ""), (0xE1, HOST)],
        &[(0xE0, friend), (0xE1, "")],
        &[(0xE0, "spiffe://globex.example/node/edge"), (0xE1, HOST)],
        &[(0xE0, "spiffe://acme.example/svc/edge"), (0xE1, HOST)],
    ] {
        let mut client = handed_in(&house.a.site.http_socket, &proxied(tlvs));
        let answer = client.get(HOST, "/", &format!("{service}{caller}")).unwrap();
        assert!(matches!(answer.status(), 403 | 404), "{tlvs:?}: {answer:?}");
        let tlvs: Vec<_> =
            tlvs.iter().map(|(k, v)| (*k, if *v == HOST { "db.acme.example" } else { *v })).collect();
        let mut client = handed_in(&house.a.site.stream_socket, &proxied(&tlvs));
        assert!(client.head().is_none(), "{tlvs:?}");
    }
    assert_eq!((house.web.taken(), house.db.taken()), (0, 0));
}

#[test]
fn no_authority_on_the_mesh_leads_where_the_caller_may_not() {
    let house = house();
    let before = house.web.taken();
    let connect = |authority| vec![(":method", "CONNECT"), (":authority", authority)];
    // The partner may use web and nothing else, however it writes it.
    for authority in [
        "db.acme.example:1",
        "DB.acme.example:1",
        "db.acme.example.:1",
        "db.acme.example",
        "u@db.acme.example:1",
        "web.acme.example@db.acme.example:1",
        "inner",
        "terminate",
        "node",
        "localhost",
        "a.acme.example",
        "local|db.acme.example",
        "[::1]:1",
        "127.0.0.1",
        "*",
        "-",
        "web.acme.example:1",
    ] {
        let answer = house.mesh(&house.partner).ask(&connect(authority));
        assert_ne!(answer.status, 200, "CONNECT {authority}: {answer:?}");
    }
    assert_eq!(house.db.taken(), 0);
    for authority in [
        "WEB.acme.example",
        "web.acme.example.",
        "u@web.acme.example",
        "inner",
        "terminate",
        "node",
        "localhost",
        "a.acme.example",
        "db.acme.example",
        "local|web.acme.example",
        "127.0.0.1",
        "[::1]",
        "*",
        "-",
        "",
        "web.acme.example,web.acme.example",
        " web.acme.example",
        "web.acme.example/",
        "%77eb.acme.example",
    ] {
        let answer = house.mesh(&house.partner).get(authority, "/", &[]);
        assert!(matches!(answer.status, 0 | 400 | 403 | 404), "GET {authority}: {answer:?}");
    }
    // A second Host, or none but a Host, is never another service's.
    for host in ["db.acme.example", "localhost"] {
        let answer = house.mesh(&house.partner).get(HOST, "/", &[("host", host)]);
        assert!(answer.status != 200 || answer.text().contains(&format!("host: {HOST}\r\n")), "{answer:?}");
        let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", host)];
        assert_ne!(house.mesh(&house.partner).ask(&fields).status, 200);
    }
    let smuggled = house.web.taken();
    for path in [
        "http://db.acme.example/",
        "//db.acme.example/",
        "/../db",
        "/%2e%2e/db",
        "*",
        "db",
        "",
        "/a\r\nHost: x",
    ] {
        let answer = house.mesh(&house.partner).get(HOST, path, &[]);
        if answer.status == 200 {
            let text = answer.text();
            assert!(text.contains(&format!("host: {HOST}\r\n")), "{path}: {text}");
            assert_eq!(text.to_lowercase().matches("\r\nhost:").count(), 1, "{path}: {text}");
        }
    }
    assert!(house.web.taken() >= smuggled && smuggled >= before);
    assert_eq!(house.db.taken(), 0);
    // And the question of neighbours tells nothing of services.
    let answer = house.mesh(&house.partner).get("health", "/", &[]);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
}

#[test]
fn requests_at_the_ingress_reach_the_service_of_their_host_or_none() {
    let house = house();
    let at = house.a.at(8080);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: db.acme.example\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"
        ),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {HOST} \r\n x: folded\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost : {HOST}\r\n\r\n"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n"),
    ] {
        let mut client = Http1::dial(at);
        client.say(&request);
        let status = client.message().map_or(0, |answer| answer.status());
        assert!(matches!(status, 0 | 400 | 404 | 426 | 501), "{request}: {status}");
    }
    assert_eq!(house.web.taken(), 0);
    // What the request line says counts, and the service hears it as its Host.
    let mut client = Http1::dial(at);
    client.say(&format!("GET http://{HOST}/x HTTP/1.1\r\nHost: db.acme.example\r\n\r\n"));
    let answer = client.message().unwrap();
    assert!(answer.text().starts_with("web GET /x HTTP/1.1\r\n"), "{answer:?}");
    assert!(answer.text().contains(&format!("host: {HOST}\r\n")), "{answer:?}");
}

#[test]
fn a_service_of_another_protocol_is_refused() {
    let house = house();
    let mut client = Http1::dial(house.a.at(8080));
    client.say(&format!("CONNECT {HOST}:80 HTTP/1.1\r\nHost: {HOST}:80\r\n\r\n"));
    assert!(matches!(client.message().unwrap().status(), 403 | 404));
    assert_eq!(Http1::dial(house.a.at(8080)).get("db.acme.example", "/", "").unwrap().status(), 404);
    for identity in [&house.friend, &house.partner] {
        let answer = house.mesh(identity).ask(&[(":method", "CONNECT"), (":authority", HOST)]);
        assert!(matches!(answer.status, 403 | 404), "{answer:?}");
        let answer = house.mesh(identity).get("db.acme.example", "/", &[]);
        assert!(matches!(answer.status, 403 | 404), "{answer:?}");
        for protocol in ["websocket", "connect-udp", "connect-ip"] {
            let fields = [
                (":method", "CONNECT"),
                (":protocol", protocol),
                (":scheme", "https"),
                (":path", "/"),
                (":authority", "db.acme.example:1"),
            ];
            let answer = house.mesh(identity).ask(&fields);
            assert_ne!(answer.status, 200, "{protocol}: {answer:?}");
        }
    }
    let tlvs = [(0xE0, "spiffe://acme.example/node/edge"), (0xE1, "db.acme.example")];
    let answer = handed_in(&house.a.site.http_socket, &proxied(&tlvs)).get("any", "/", "").unwrap();
    assert!(matches!(answer.status(), 403 | 404), "{answer:?}");
    let tlvs = [(0xE0, "spiffe://acme.example/node/edge"), (0xE1, HOST)];
    assert!(handed_in(&house.a.site.stream_socket, &proxied(&tlvs)).head().is_none());
    assert_eq!((house.web.taken(), house.db.taken()), (0, 0));
}

#[test]
fn what_envoy_says_to_itself_does_not_reach_a_neighbour() {
    // b stands for the neighbour: what it takes from a is what a service of b would see if b removed nothing.
    let mut pair = pair(Protocol::Http, |ip| http(ip, "web"));
    let db = service("db.acme.example");
    let (here, there) = (greeter(pair.a.ip, "db a"), greeter(pair.b.ip, "db b"));
    pair.b.planner.set_target(&db, Some(vec![there.at]));
    pair.b.planner.set_service(&db, ways(Protocol::Tcp, &[Via::Local]));
    pair.a.planner.set_target(&db, Some(vec![here.at]));
    // The neighbour first, and this node after it.
    pair.a.planner.set_service(&db, ways(Protocol::Tcp, &[pair.b.via(), Via::Local]));
    pair.a.planner.open_port(&db, pair.a.at(9002));
    pair.b.tell();
    pair.a.tell();
    [&pair.a, &pair.b].iter().for_each(|node| pair.lab.settled(node));
    assert!(echoes(&mut greeted(pair.a.at(9002), "220 db b\n").unwrap()));
    let mut client = Http1::dial(pair.a.at(8080));
    let answer = client.get(HOST, "/", &forged()).unwrap();
    saw(&answer.text(), "spiffe://acme.example/node/a");
    tells_nothing(&answer);
    assert!(pair.served.taken() > 0);
}

#[test]
fn the_https_ingress_speaks_both_versions() {
    let mut house = house();
    let key = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let identity = Identity { chain: key.cert.pem(), key: key.signing_key.serialize_pem() };
    house.a.planner.set_ingress(&identity);
    house.a.planner.open_ingress(house.a.at(8444), true);
    house.a.tell();
    house.lab.settled(&house.a);
    let at = house.a.at(8444);
    let both = tls(at, None, &["h2", "http/1.1"]).unwrap();
    assert_eq!(both.conn.alpn_protocol(), Some(&b"h2"[..]));
    let answer: Answer = Http2::over(Box::new(both)).unwrap().get(HOST, "/", FORGED);
    saw(&answer.text(), "spiffe://acme.example/node/a");
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = tls(at, None, alpn).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), alpn.first().map(|name| name.as_bytes()));
        stream
            .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}:8444\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut text = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut text);
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains("x-forwarded-proto: https\r\n"), "{text}");
    }
    // A new certificate, without a word to the listener.
    let again = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    house
        .a
        .planner
        .set_ingress(&Identity { chain: again.cert.pem(), key: again.signing_key.serialize_pem() });
    house.a.tell();
    house.lab.settled(&house.a);
    let shown = tls(at, None, &["h2"]).unwrap();
    assert_eq!(shown.conn.peer_certificates().unwrap()[0].as_ref(), again.cert.der().as_ref());
}

#[test]
fn the_nodes_own_names_are_reserved_and_all_others_are_explained() {
    let mut house = house();
    let at = house.a.at(8080);
    let ip = house.a.ip.to_string();
    for host in ["a.acme.example", "localhost", "localhost:8080", &ip, &format!("{ip}:8080")] {
        for path in ["/graphql", "/.well-known/jwks.json"] {
            let answer = Http1::dial(at).get(host, path, "").unwrap();
            assert_eq!(answer.status(), 404, "{host}{path}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
            assert!(answer.text().starts_with('{') && answer.text().contains(path), "{answer:?}");
        }
        let answer = Http1::dial(at).get(host, "/", "").unwrap();
        assert_eq!((answer.status(), answer.header("content-type")), (404, Some("text/plain")), "{answer:?}");
        assert!(answer.text().contains("Host"), "{answer:?}");
    }
    let answer = Http1::dial(at).get("nobody.acme.example", "/graphql", "").unwrap();
    assert_eq!((answer.status(), answer.header("content-type")), (404, Some("text/plain")), "{answer:?}");
    assert!(
        answer.text().contains("'nobody.acme.example'") && answer.text().contains("route ls"),
        "{answer:?}"
    );
    // What is under a service's own Host is the service's.
    for path in ["/graphql", "/.well-known/jwks.json"] {
        let answer = Http1::dial(at).get(HOST, path, "").unwrap();
        assert!(answer.text().starts_with(&format!("web GET {path} ")), "{answer:?}");
    }
    // A service with the node's name has it, and leaves it again.
    let same = service("a.acme.example");
    house.a.planner.set_target(&same, Some(vec![house.web.at]));
    house.a.planner.set_service(&same, ways(Protocol::Http, &[Via::Local]));
    house.a.tell();
    house.lab.settled(&house.a);
    assert_eq!(Http1::dial(at).get("a.acme.example", "/graphql", "").unwrap().status(), 200);
    house.a.planner.set_service(&same, ways(Protocol::Http, &[]));
    house.a.planner.set_target(&same, None);
    house.a.tell();
    house.lab.settled(&house.a);
    let answer = Http1::dial(at).get("a.acme.example", "/graphql", "").unwrap();
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
}
