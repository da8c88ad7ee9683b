//! A reader that stands still: only its own flow stands still with it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::tcp::{self, Service};

use crate::data::pair;

#[test]
fn a_client_that_does_not_read_stalls_only_itself() {
    // Says 64 MB, far beyond every window on the way.
    let flood = Service::start(|mut stream| {
        let block = tcp::pattern(1_000_000, 3);
        for _ in 0..64 {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    });
    let web = Http::start("hello");
    let pair = pair(|_, cloud, edge| {
        edge.offers("flood", "tcp", flood.address());
        edge.offers("hello", "http", web.address());
        cloud.exposes("flood.acme.example");
        cloud.exposes("hello.acme.example");
    });
    let port = pair.cloud.wait_reachable("flood.acme.example");
    let lazy: Vec<TcpStream> = (0..8).map(|_| tcp::connect(port)).collect();
    pair.edge.wait("all of them flow", |status| status["flows"][0] == 8);
    let hello = pair.cloud.wait_reachable("hello.acme.example");
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    // Longer than the hold time: the session must live beside the stalled flows.
    while begin.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        let got = http::get(hello);
        assert!(
            got.as_ref().is_ok_and(|got| got == "hello"),
            "{got:?} {:?}\n{}",
            asked.elapsed(),
            pair.fabric.logs()
        );
        slowest = slowest.max(asked.elapsed());
    }
    println!("beside eight stalled clients the slowest of {} answers took {slowest:?}", web.requests());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(pair.cloud.peer(&pair.edge)["sessions"], 1);
    // What waits for a client that does not read is bounded, for each by the windows.
    for node in [&pair.cloud, &pair.edge] {
        let resident = resident_mb(node.status()["pid"].as_u64().unwrap());
        println!("{}: {resident} MB resident", node.full_name());
        assert!(resident < 64, "{} holds {resident} MB", node.full_name());
    }
    // And nothing was lost on the way.
    let mut first = vec![0; 3_000_000];
    (&lazy[0]).read_exact(&mut first).unwrap();
    tcp::same(&first[..1_000_000], &tcp::pattern(1_000_000, 3));
    tcp::same(&first[1_000_000..2_000_000], &tcp::pattern(1_000_000, 3));
}

#[test]
fn crowds_of_clients_that_do_not_read_stop_no_other_flow_over_quic() {
    crowd("quic");
}

#[test]
fn crowds_of_clients_that_do_not_read_stop_no_other_flow_over_tcp() {
    crowd("tcp");
}

/// Far more readers stand still at an edge node than its window has room for.
fn crowd(transport: &str) {
    let flood = Service::start(|mut stream| {
        let block = tcp::pattern(1_000_000, 3);
        while stream.write_all(&block).is_ok() {}
    });
    let web = Http::start("hello");
    let pair = pair(|_, cloud, edge| {
        cloud.offers("flood", "tcp", flood.address());
        cloud.offers("hello", "http", web.address());
        edge.exposes("flood.acme.example");
        edge.exposes("hello.acme.example");
        edge.config["peers"][0]["transport"] = transport.into();
    });
    let port = pair.edge.wait_reachable("flood.acme.example");
    let hello = pair.edge.wait_reachable("hello.acme.example");
    assert_eq!(pair.edge.peer(&pair.cloud)["via"], transport);
    let lazy: Vec<TcpStream> = (0..40).map(|_| tcp::connect(port)).collect();
    // Twelve may stand still; at the end no more than these are there.
    let begin = Instant::now();
    let (mut last, mut failed, mut asked, mut slowest) = (begin, 0, 0, Duration::ZERO);
    while pair.edge.status()["flows_lost"][0].as_u64() < Some(28) {
        let one = Instant::now();
        asked += 1;
        match http::get(hello).is_ok_and(|got| got == "hello") {
            true => last = Instant::now(),
            false => failed += 1,
        }
        slowest = slowest.max(one.elapsed());
        // Nobody else waits for ever, whatever the crowd does.
        assert!(last.elapsed() < Duration::from_secs(25), "{}", pair.fabric.logs());
        assert!(begin.elapsed() < Duration::from_secs(90), "{}", pair.edge.status()["flows_lost"]);
    }
    println!(
        "{transport}: settled after {:?}; of {asked} new flows {failed} failed, the slowest took {slowest:?}",
        begin.elapsed()
    );
    slowest = Duration::ZERO;
    for _ in 0..20 {
        let one = Instant::now();
        assert_eq!(http::get(hello).unwrap(), "hello");
        slowest = slowest.max(one.elapsed());
    }
    println!("{transport}: then the slowest of 20 answers took {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(pair.edge.status()["flows_lost"], serde_json::json!([28, 0]));
    assert_eq!(pair.edge.peer(&pair.cloud)["sessions"], 1);
    // Those that were spared have lost nothing.
    let mut whole = 0;
    for mut client in &lazy {
        let mut first = vec![0; 2_000_000];
        if client.read_exact(&mut first).is_ok() {
            tcp::same(&first[1_000_000..], &tcp::pattern(1_000_000, 3));
            whole += 1;
        }
    }
    assert!(whole >= 12, "{whole}");
}

/// Resident memory of a process.
fn resident_mb(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn clients_of_the_http_port_are_told_apart_idle_ones_stay_and_crowds_that_do_not_read_go() {
    let web = Http::start("hello");
    // An answer that has no end.
    let flood = Service::start(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let block = tcp::pattern(1_000_000, 3);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900000000000\r\n\r\n");
        while stream.write_all(&block).is_ok() {}
    });
    let pair = pair(|_, cloud, edge| {
        cloud.offers("hello", "http", web.address());
        cloud.offers("flood", "http", flood.address());
        edge.config["http"] = serde_json::json!({ "listen": "127.0.0.1:0" });
        edge.config["limits"] = serde_json::json!({ "http_clients": 100 });
    });
    for service in ["hello", "flood"] {
        pair.edge.wait_route(&format!("{service}.acme.example"));
    }
    let port = pair.edge.status()["http"].as_str().unwrap().parse().unwrap();
    let request = |mut client: &TcpStream, service: &str| {
        write!(client, "GET / HTTP/1.1\r\nHost: {service}.acme.example\r\n\r\n").unwrap();
    };
    let hello = |mut client: &TcpStream| {
        request(client, "hello");
        let mut whole = [0; 43];
        client.read_exact(&mut whole).unwrap();
        assert!(whole.ends_with(b"hello"), "{}", String::from_utf8_lossy(&whole));
    };
    let idle: Vec<TcpStream> = (0..30).map(|_| tcp::connect(port)).collect();
    idle.iter().for_each(hello);
    let lost = |status: &serde_json::Value| status["flows_lost"][0].as_u64().unwrap();
    catalyst_e2e::wait::stays("idle clients", Duration::from_secs(4), || lost(&pair.edge.status()) == 0);
    idle.iter().for_each(hello);
    assert_eq!(web.connections(), 30, "all that were idle are still there");

    let lazy: Vec<TcpStream> = (0..30).map(|_| tcp::connect(port)).collect();
    lazy.iter().for_each(|client| request(client, "flood"));
    pair.edge.wait_for(
        "as few as may be",
        Duration::from_secs(60),
        serde_json::json!({ "do": "status" }),
        |status| lost(status) >= 18,
    );
    let begin = Instant::now();
    idle.iter().for_each(hello);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!((web.connections(), lost(&pair.edge.status())), (30, 18));
}
