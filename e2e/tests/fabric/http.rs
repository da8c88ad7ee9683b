//! HTTP by Host on one local port: keep-alive, streams, upgrades, and what the port answers itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use catalyst_e2e::http::Http;
use catalyst_e2e::tcp::{Service, connect, pattern, same};
use catalyst_e2e::wait::until;
use catalyst_e2e::{Build, Fabric, Node};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// A cloud node and an edge of one organisation. Services named here are offered by the cloud node under `far-…` and
/// by the edge under `near-…`; the port is the edge's.
fn pair(build: Build, services: &[(&str, &str, SocketAddr)]) -> (Node, Node, SocketAddr) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "far");
    let mut near = fabric.node(&org, build, "near");
    for (label, protocol, address) in services {
        cloud.offers(&format!("far-{label}"), protocol, *address);
        near.offers(&format!("near-{label}"), protocol, *address);
    }
    near.config["http"] = json!({ "listen": "127.0.0.1:0" });
    near.joins(&mut cloud);
    cloud.start();
    near.start();
    for (label, ..) in services {
        near.wait_route(&format!("far-{label}.acme.example"));
        near.wait_route(&format!("near-{label}.acme.example"));
    }
    let port = near.status()["http"].as_str().unwrap().parse().unwrap();
    (cloud, near, port)
}

/// Reads one answer: its head, and a body of the length that the head tells.
fn answer(client: &mut TcpStream) -> (String, Vec<u8>) {
    let head = head(client);
    let length = head
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().to_string()))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body).unwrap();
    (head, body)
}

fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(client.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Sends these bytes on a connection of their own; all that comes back.
fn ask(port: SocketAddr, request: &[u8]) -> String {
    let mut client = connect(port);
    // The port may answer and close before it has read all.
    let _ = client.write_all(request);
    let mut all = Vec::new();
    let _ = client.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn many_requests_for_several_services_share_one_connection() {
    for build in [Build::Edge, Build::Cloud] {
        let (a, b) = (Http::start("this is a"), Http::start("this is b"));
        let (_cloud, near, port) =
            pair(build, &[("a", "http", a.address()), ("b", "http:graphql", b.address())]);
        let mut client = connect(port);
        for (host, words) in [
            ("far-a.acme.example", a.words()),
            ("FAR-A.Acme.Example:8080", a.words()),
            ("far-a.acme.example", a.words()),
            ("near-b.acme.example", b.words()),
            ("far-b.acme.example.", b.words()),
            ("near-a.acme.example", a.words()),
        ] {
            write!(client, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
            let (head, body) = answer(&mut client);
            assert!(head.starts_with("HTTP/1.1 200"), "{host}: {head}");
            assert_eq!(String::from_utf8(body).unwrap(), words, "{host}");
        }
        assert_eq!((a.requests(), a.connections()), (4, 2), "the first three on one connection");
        assert_eq!(near.status()["flows"][0], 1, "one connection to a service is kept");
        drop(client);
        near.wait("no flow", |status| status["flows"][0] == 0);
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let service = Http::start("ahead");
    let (_cloud, _near, port) = pair(Build::Edge, &[("web", "http", service.address())]);
    let one = "GET / HTTP/1.1\r\nHost: far-web.acme.example\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: near-web.acme.example\r\nContent-Length: 5\r\n\r\nhello";
    let mut client = connect(port);
    client.write_all(format!("{one}{post}{one}").as_bytes()).unwrap();
    let bodies: Vec<_> = (0..3).map(|_| String::from_utf8(answer(&mut client).1).unwrap()).collect();
    assert_eq!(bodies, ["ahead", "hello", "ahead"]);
}

#[test]
fn large_bodies_arrive_whole_in_both_directions() {
    let service = Http::start("");
    let (_cloud, _near, port) = pair(Build::Edge, &[("web", "http", service.address())]);
    for host in ["far-web.acme.example", "near-web.acme.example"] {
        let sent = pattern(8 * 1024 * 1024, 3);
        let mut client = connect(port);
        let mut writer = client.try_clone().unwrap();
        write!(writer, "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", sent.len()).unwrap();
        let copy = sent.clone();
        let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        let (head, body) = answer(&mut client);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        same(&body, &sent);
        writing.join().unwrap();
    }
}

#[test]
fn an_answer_streams_chunk_by_chunk_with_interim_answers_before_it() {
    let (more, chunks) = mpsc::channel::<&'static str>();
    let chunks = Mutex::new(chunks);
    let service = Service::start(move |mut stream| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for chunk in chunks.lock().unwrap().iter() {
            stream.write_all(chunk.as_bytes()).unwrap();
        }
    });
    let (_cloud, _near, port) = pair(Build::Edge, &[("events", "http", service.address())]);
    let mut client = connect(port);
    write!(client, "GET / HTTP/1.1\r\nHost: far-events.acme.example\r\n\r\n").unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 103"));
    assert!(head(&mut client).starts_with("HTTP/1.1 200"));
    for chunk in ["5\r\nfirst\r\n", "6;x=y\r\nsecond\r\n", "0\r\nTrailer: t\r\n\r\n"] {
        // The next one is not made before this one has arrived.
        more.send(chunk).unwrap();
        let mut got = vec![0; chunk.len()];
        client.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), chunk);
    }
    drop(more);
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways() {
    let service = Service::start(|mut stream| {
        let head = head(&mut stream);
        assert!(head.to_ascii_lowercase().contains("upgrade: echo"), "{head}");
        // With the first words of the new protocol in the same segment.
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi!")
            .unwrap();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..read]).unwrap();
        }
    });
    let (_cloud, near, port) = pair(Build::Edge, &[("sock", "http", service.address())]);
    for host in ["far-sock.acme.example", "near-sock.acme.example"] {
        let mut client = connect(port);
        write!(client, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            .unwrap();
        assert!(head(&mut client).starts_with("HTTP/1.1 101"));
        let mut hi = [0; 3];
        client.read_exact(&mut hi).unwrap();
        assert_eq!(&hi, b"hi!");
        let sent = pattern(300_000, 9);
        let mut writer = client.try_clone().unwrap();
        let copy = sent.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        same(&got, &sent);
        writing.join().unwrap();
        near.wait("no flow", |status| status["flows"][0] == 0);
    }
}

#[test]
fn what_cannot_be_carried_is_answered_in_words_and_reaches_no_service() {
    let reached = Arc::new(Mutex::new(Vec::new()));
    let log = reached.clone();
    let service = Service::start(move |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        if !all.is_empty() {
            log.lock().unwrap().push(String::from_utf8_lossy(&all).into_owned());
        }
    });
    let services = [("web", "http", service.address()), ("raw", "tcp", service.address())];
    let (_cloud, _near, port) = pair(Build::Edge, &services);
    let host = "Host: far-web.acme.example\r\n";
    let long = format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "y".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "a: b\r\n".repeat(101));
    let bad: Vec<(String, &str, &str)> = vec![
        ("GET / HTTP/1.1\r\n\r\n".into(), "400", "one Host header"),
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), "400", "one Host header"),
        ("GET / HTTP/1.1\r\nHost: far-web.acme.example:99999\r\n\r\n".into(), "400", "at most 65535"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), "404", "names no service"),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n".into(), "404", "127.0.0.1"),
        ("GET / HTTP/1.1\r\nHost: nobody.acme.example\r\n\r\n".into(), "404", "no route for this service"),
        ("GET / HTTP/1.1\r\nHost: far-raw.acme.example\r\n\r\n".into(), "404", "tcp service"),
        (
            format!("GET / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            "400",
            "length",
        ),
        (
            format!(
                "POST / HTTP/1.1\r\n{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "400",
            "both Content-Length and Transfer-Encoding",
        ),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n"), "501", "chunked"),
        (format!("GET / HTTP/1.1\n{host}\r\n"), "400", "CR LF"),
        (format!("GET / HTTP/1.1\r\n{host}A: b\r\n c\r\n\r\n"), "400", "folded"),
        (format!("CONNECT far-web.acme.example:80 HTTP/1.1\r\n{host}\r\n"), "501", "no proxy"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "505", "HTTP/2"),
        (format!("GET / HTTP/3.0\r\n{host}\r\n"), "505", "HTTP/1.1"),
        (long, "431", "16 KiB"),
        (many, "431", "100 header fields"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}".into(), "400", "zero byte"),
    ];
    for (request, status, words) in bad {
        let got = ask(port, request.as_bytes());
        let shown: String = request.chars().take(120).collect();
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {got}");
        assert!(got.contains(words), "{shown:?}: {got}");
        assert!(got.contains("Connection: close"), "{shown:?}: {got}");
    }
    let got = ask(port, b"HEAD / HTTP/1.1\r\nHost: nobody.acme.example\r\n\r\n");
    assert!(got.starts_with("HTTP/1.1 404") && got.ends_with("\r\n\r\n"), "no body for HEAD: {got}");
    assert_eq!(*reached.lock().unwrap(), Vec::<String>::new());
    // A chunk that is malformed later cuts the request off; nothing behind it is taken for another request.
    let smuggled = format!(
        "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nzz\r\nGET /evil HTTP/1.1\r\n{host}\r\n"
    );
    let got = ask(port, smuggled.as_bytes());
    assert!(got.starts_with("HTTP/1.1 400") && got.contains("chunk"), "{got}");
    assert!(!reached.lock().unwrap().concat().contains("evil"));
}

#[test]
fn a_service_that_closes_between_requests_or_in_an_answer_is_told_apart() {
    let service = Service::start(|mut stream| {
        let first = head(&mut stream);
        match () {
            // Says that it keeps the connection, and does not.
            () if first.starts_with("GET /lies") || first.starts_with("POST") => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
            () if first.starts_with("GET /half") => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
            }
            () if first.starts_with("GET /garbage") => {
                stream.write_all(b"SSH-2.0-server\r\n\r\n").unwrap();
            }
            () if first.starts_with("GET /until-close") => {
                stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end").unwrap();
            }
            () => {}
        }
    });
    let (_cloud, _near, port) = pair(Build::Edge, &[("odd", "http", service.address())]);
    for host in ["far-odd.acme.example", "near-odd.acme.example"] {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut client = connect(port);
        for _ in 0..5 {
            client.write_all(get("/lies").as_bytes()).unwrap();
            assert_eq!(answer(&mut client).1, b"ok", "a new connection is made for each");
        }
        let got = ask(port, get("/until-close").as_bytes());
        assert!(got.ends_with("to the end"), "{got}");
        let got = ask(port, get("/nothing").as_bytes());
        assert!(got.starts_with("HTTP/1.1 502") && got.contains("before it answered"), "{got}");
        let got = ask(port, get("/garbage").as_bytes());
        assert!(got.starts_with("HTTP/1.1 502") && got.contains("cannot be handed on"), "{got}");
        let mut client = connect(port);
        client.write_all(get("/half").as_bytes()).unwrap();
        let error = client.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "half an answer is never a whole one");
    }
}

#[test]
fn a_service_that_is_gone_is_answered_for_and_its_successor_is_found() {
    let (first, second) = (Http::start("first"), Http::start("second"));
    let (cloud, near, port) = pair(Build::Edge, &[("web", "http", first.address())]);
    let mut client = connect(port);
    let get = b"GET / HTTP/1.1\r\nHost: moved.acme.example\r\n\r\n";
    cloud.add_service(json!({ "name": "moved", "protocol": "http", "target": first.address().to_string() }));
    near.wait_route("moved.acme.example");
    client.write_all(get).unwrap();
    assert_eq!(answer(&mut client).1, b"first");
    // The same client connection, another way: the withdrawn one is not used again.
    near.add_service(json!({ "name": "moved", "protocol": "http", "target": second.address().to_string() }));
    cloud.remove("moved");
    near.wait_routes("moved.acme.example", "only its own", |routes| routes.len() == 1);
    client.write_all(get).unwrap();
    assert_eq!(answer(&mut client).1, b"second");
    near.remove("moved");
    near.wait_no_route("moved.acme.example");
    client.write_all(get).unwrap();
    let (head, body) = answer(&mut client);
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("no route for this service"));
    // Nobody listens at the target any more.
    let gone = until("a port that nobody has", LIMIT, || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        listener.local_addr().ok()
    });
    near.add_service(json!({ "name": "gone", "protocol": "http", "target": gone.to_string() }));
    near.wait_route("gone.acme.example");
    let got = ask(port, b"GET / HTTP/1.1\r\nHost: gone.acme.example\r\n\r\n");
    assert!(got.starts_with("HTTP/1.1 502") && got.contains("refused the connection"), "{got}");
}

#[test]
fn a_client_that_is_slow_with_its_head_is_told_and_others_are_served_meanwhile() {
    let service = Http::start("served");
    let (_cloud, near, port) = pair(Build::Edge, &[("web", "http", service.address())]);
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut client = connect(port);
            client.write_all(b"GET / HTTP/1.1\r\nHost: far-w").unwrap();
            client
        })
        .collect();
    let mut client = connect(port);
    client.write_all(b"GET / HTTP/1.1\r\nHost: far-web.acme.example\r\n\r\n").unwrap();
    assert_eq!(answer(&mut client).1, b"served");
    assert_eq!(near.status()["flows"][0], 1, "clients without a request hold no flow");
    for mut client in slow {
        let (head, body) = answer(&mut client);
        assert!(head.starts_with("HTTP/1.1 408"), "{head}");
        assert!(String::from_utf8_lossy(&body).contains("longer than 10 s"));
    }
}

#[test]
fn the_port_is_the_same_after_a_restart_and_stands_in_status() {
    let service = Http::start("again");
    let (_cloud, mut near, port) = pair(Build::Edge, &[("web", "http", service.address())]);
    near.kill();
    near.start();
    assert_eq!(near.status()["http"], port.to_string());
    let shown = String::from_utf8(near.cli(&["status"]).stdout).unwrap();
    assert!(shown.contains(&format!("HTTP services by Host on {port}")), "{shown}");
    let got = ask(port, b"GET / HTTP/1.1\r\nHost: near-web.acme.example\r\nConnection: close\r\n\r\n");
    assert!(got.ends_with("again"), "{got}");
}
