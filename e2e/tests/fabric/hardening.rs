//! What a node gives up before it starts, what it tells a service manager, and its figures.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use catalyst_e2e::http::Http;
use catalyst_e2e::{Fabric, tcp, wait};
use serde_json::json;

/// A line of `/proc/PID/status`.
fn proc_status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_string()
}

#[test]
fn the_edge_gives_up_what_it_does_not_need_and_says_so() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.start();
    let status = edge.status();
    let layers: BTreeMap<&str, &str> = status["sandbox"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["layer"].as_str().unwrap(), l["state"].as_str().unwrap()))
        .collect();
    let all = [("capabilities", "enforced"), ("files and ports", "enforced"), ("system calls", "enforced")];
    assert_eq!(layers, BTreeMap::from(all), "{:#}", status["sandbox"]);
    // The kernel's own word, for every thread.
    let pid = edge.pid();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let task: u32 = task.file_name().to_str().unwrap().parse().unwrap();
        assert_eq!(proc_status(task, "Seccomp"), "2", "a filter is in force");
        assert_eq!(proc_status(task, "NoNewPrivs"), "1");
        assert_eq!(proc_status(task, "CapEff"), "0000000000000000");
        assert_eq!(proc_status(task, "CapPrm"), "0000000000000000");
    }
    let text = String::from_utf8(edge.cli(&["status"]).stdout).unwrap();
    assert!(text.contains("sandbox: files and ports enforced"), "{text}");
    edge.stop();
    edge.config["sandbox"] = json!("off");
    edge.start();
    assert_eq!(edge.status()["sandbox"][0]["state"], "off");
    assert_eq!(proc_status(edge.pid(), "Seccomp"), "0");
}

#[test]
fn a_service_manager_hears_ready_a_turning_loop_and_the_end() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.config["expose"] = json!([{ "service": "x.acme.example", "listen": fabric.address().to_string() }]);
    let listen: SocketAddr = edge.config["expose"][0]["listen"].as_str().unwrap().parse().unwrap();
    let path = fabric.dir().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(wait::SOON)).unwrap();
    let hear = || {
        let mut buffer = [0; 512];
        let read = manager.recv(&mut buffer).expect("a message of the node");
        String::from_utf8(buffer[..read].to_vec()).unwrap().trim().to_string()
    };
    let socket = format!("NOTIFY_SOCKET={}", path.display());
    edge.start_under(&["env", &socket, "WATCHDOG_USEC=200000"]);
    assert_eq!(hear(), "READY=1");
    tcp::try_connect(listen).expect("ready means that the ports are open");
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    let took = start.elapsed();
    assert!(took > Duration::from_millis(350), "fed every 100 ms, not at will: {took:?}");
    // A loop that does not turn does not feed.
    edge.freeze();
    manager.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut buffer = [0; 64];
    // One message may have been on its way.
    let quiet = (0..3).any(|_| manager.recv(&mut buffer).is_err());
    assert!(quiet, "a node that stands still fed its watchdog");
    manager.set_read_timeout(Some(wait::SOON)).unwrap();
    edge.thaw();
    assert_eq!(hear(), "WATCHDOG=1");
    edge.stop();
    let last = std::iter::repeat_with(hear).find(|said| said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

/// Reads the text format strictly: HELP and TYPE before the samples of a family, and nothing twice.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut all, mut family) = (BTreeMap::new(), String::new());
    let mut helped = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split(' ').next().unwrap().to_string();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert_eq!(name, helped, "HELP comes before TYPE");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = name.to_string();
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), family, "{line}");
            assert!(all.insert(name.to_string(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    all
}

fn fetch(address: SocketAddr, request: &str) -> String {
    let mut stream = tcp::try_connect(address).unwrap();
    stream.set_read_timeout(Some(wait::SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn prometheus_reads_the_figures() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.joins(&mut cloud);
    let web = Http::start("web");
    edge.offers("web", "http", web.address());
    let address = fabric.address();
    edge.config["metrics"] = json!({ "listen": address.to_string() });
    cloud.start();
    edge.start();
    edge.wait_up(&cloud);
    let answer = fetch(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("version=0.0.4"), "{head}");
    let all = samples(page);
    assert_eq!(all["catalyst_peer_up{peer=\"cloud-1.acme.example\"}"], 1.0);
    assert_eq!(all["catalyst_services"], 1.0);
    assert!(all["catalyst_process_resident_memory_bytes"] > 1e6, "{page}");
    assert!(fetch(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    // Clients that send nothing, or without end, do not keep others out for long.
    let silent: Vec<_> = (0..4).map(|_| tcp::try_connect(address).unwrap()).collect();
    let _ = tcp::try_connect(address).unwrap().write_all(&[b'x'; 64 * 1024]);
    assert!(fetch(address, "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
    drop(silent);
}
