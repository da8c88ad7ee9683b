//! What a node gives up before it starts, what it tells a service manager, and its figures.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use catalyst_e2e::http::Http;
use catalyst_e2e::tcp::Service;
use catalyst_e2e::{Fabric, tcp, wait};
use serde_json::{Value, json};

/// A line of `/proc/PID/status`.
fn proc_status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_string()
}

#[test]
fn both_nodes_give_up_what_they_do_not_need_and_say_so() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    for mut node in [fabric.edge(&acme, "edge-1"), fabric.cloud(&acme, "cloud-1")] {
        node.start();
        let status = node.status();
        let layers: BTreeMap<&str, &str> = status["sandbox"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| (l["layer"].as_str().unwrap(), l["state"].as_str().unwrap()))
            .collect();
        let all =
            [("capabilities", "enforced"), ("files and ports", "enforced"), ("system calls", "enforced")];
        assert_eq!(layers, BTreeMap::from(all), "{:#}", status["sandbox"]);
        // The kernel's own word, for every thread.
        let pid = node.pid();
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let task: u32 = task.file_name().to_str().unwrap().parse().unwrap();
            assert_eq!(proc_status(task, "Seccomp"), "2", "a filter is in force");
            assert_eq!(proc_status(task, "NoNewPrivs"), "1");
            assert_eq!(proc_status(task, "CapEff"), "0000000000000000");
            assert_eq!(proc_status(task, "CapPrm"), "0000000000000000");
        }
        let text = String::from_utf8(node.cli(&["status"]).stdout).unwrap();
        assert!(text.contains("sandbox: files and ports enforced"), "{text}");
        let checked: Value = serde_json::from_slice(&node.cli(&["check", "--json"]).stdout).unwrap();
        assert_eq!(checked["sandbox"].as_array().unwrap().len(), 3, "{checked}");
        node.stop();
        node.config["sandbox"] = json!("off");
        node.start();
        assert_eq!(node.status()["sandbox"][0]["state"], "off");
        assert_eq!(proc_status(node.pid(), "Seccomp"), "0");
    }
}

/// The peering port is a free one: TCP takes after UDP, and must be allowed to.
#[test]
fn a_cloud_node_at_a_free_port_is_reached_in_its_sandbox() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    cloud.config["listen"] = json!("127.0.0.1:0");
    cloud.config["sandbox"] = json!("require");
    cloud.start();
    let status = cloud.status();
    let why = status["sandbox"][0]["why"].as_str().unwrap();
    assert!(why.contains("to be chosen by the system"), "{why}");
    let peering: SocketAddr = status["peering"].as_str().unwrap().parse().unwrap();
    tcp::try_connect(peering).expect("TCP at the port of UDP");
}

/// A service manager: what a node tells it.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(fabric: &Fabric) -> Manager {
        let path = fabric.dir().join("notify");
        Manager { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    /// What the node needs in its environment: it is to be fed every 100 ms.
    fn environment(&self) -> Vec<String> {
        vec![format!("NOTIFY_SOCKET={}", self.path.display()), "WATCHDOG_USEC=200000".to_string()]
    }

    /// The next thing that the node says, if it says anything in this time.
    fn within(&self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 512];
        let read = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..read].to_vec()).unwrap().trim().to_string())
    }

    fn hear(&self) -> String {
        self.within(wait::SOON).expect("a message of the node")
    }

    /// The first message that begins so; what comes before it is dropped.
    fn until(&self, beginning: &str) -> String {
        let end = Instant::now() + wait::SOON;
        let said = std::iter::from_fn(|| (Instant::now() < end).then(|| self.hear()));
        let mut dropped = Vec::new();
        for said in said {
            if said.starts_with(beginning) {
                return said;
            }
            dropped.push(said);
        }
        panic!("no {beginning} among {dropped:?}");
    }

    /// Whether it comes to be silent for five times of what it promised.
    fn falls_silent(&self) -> bool {
        let end = Instant::now() + wait::SOON;
        while Instant::now() < end {
            if self.within(Duration::from_millis(500)).is_none() {
                return true;
            }
        }
        false
    }
}

#[test]
fn a_service_manager_hears_ready_a_turning_loop_and_the_end() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.config["expose"] = json!([{ "service": "x.acme.example", "listen": fabric.address().to_string() }]);
    let listen: SocketAddr = edge.config["expose"][0]["listen"].as_str().unwrap().parse().unwrap();
    let manager = Manager::new(&fabric);
    let environment = manager.environment();
    edge.start_under(&["env", &environment[0], &environment[1]]);
    assert_eq!(manager.hear(), "READY=1");
    // Nobody offers the service: the node may have reset the connection by the time that it is looked at.
    let refused = tcp::try_connect(listen).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused);
    assert!(!refused, "ready means that the ports are open");
    let start = Instant::now();
    for _ in 0..5 {
        manager.until("WATCHDOG=1");
    }
    let took = start.elapsed();
    assert!(took > Duration::from_millis(350), "fed every 100 ms, not at will: {took:?}");
    edge.freeze();
    assert!(manager.falls_silent(), "a node that stands still fed its watchdog");
    edge.thaw();
    manager.until("WATCHDOG=1");
    edge.stop();
    assert!(manager.until("STOPPING=1").contains("\nSTATUS=stopping"));
}

#[test]
fn a_service_manager_is_told_how_the_node_is() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.joins(&mut cloud);
    let web = Http::start("web");
    cloud.offers("web", "http", web.address());
    let manager = Manager::new(&fabric);
    edge.start_under(&["env", &manager.environment()[0]]);
    assert_eq!(manager.hear(), "READY=1");
    assert_eq!(manager.hear(), "STATUS=0 of 1 peers up, 0 routes, sandbox enforced");
    cloud.start();
    assert_eq!(manager.until("STATUS=1 of 1 peers up, 1 routes"), manager_said("1 of 1", 1));
    cloud.kill();
    // Its route stays until it is known whether it comes back.
    manager.until("STATUS=0 of 1 peers up");
}

fn manager_said(peers: &str, routes: usize) -> String {
    format!("STATUS={peers} peers up, {routes} routes, sandbox enforced")
}

/// The log goes into a pipe that nobody reads: the loop hangs in its next line. This is what a watchdog is for.
#[test]
fn a_loop_that_hangs_starves_its_watchdog() {
    for build in ["edge", "cloud"] {
        let fabric = Fabric::new();
        let acme = fabric.org("acme.example");
        let mut cloud = fabric.cloud(&acme, "cloud-1");
        let mut edge = fabric.edge(&acme, "edge-1");
        edge.joins(&mut cloud);
        let (mut node, mut other) = if build == "edge" { (edge, cloud) } else { (cloud, edge) };
        other.start();
        let pipe = fabric.dir().join("log");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut log =
            File::options().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe).unwrap();
        let manager = Manager::new(&fabric);
        let environment = manager.environment();
        let redirect = format!("exec \"$@\" 2>>{}", pipe.display());
        node.start_under(&["env", &environment[0], &environment[1], "sh", "-c", &redirect, "sh"]);
        node.wait_up(&other);
        manager.until("WATCHDOG=1");
        while log.write(&[b'x'; 4096]).is_ok() {}
        while log.write(b"x").is_ok() {}
        // Nothing is to be said: the loop goes on.
        assert!((0..10).all(|_| manager.within(Duration::from_secs(2)).is_some()), "{build}");
        other.kill();
        assert!(manager.falls_silent(), "{build}: it fed its watchdog while its loop hung");
        let mut sink = [0; 4096];
        while log.read(&mut sink).is_ok() {}
        manager.until("WATCHDOG=1");
        node.stop();
    }
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
    assert!(all["process_resident_memory_bytes"] > 1e6, "{page}");
    assert!(fetch(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    // Clients that send nothing, or without end, do not keep others out for long.
    let silent: Vec<_> = (0..4).map(|_| tcp::try_connect(address).unwrap()).collect();
    let _ = tcp::try_connect(address).unwrap().write_all(&[b'x'; 64 * 1024]);
    assert!(fetch(address, "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
    drop(silent);
}

/// What goes through is counted at both ends of the tunnel, while it goes and after.
#[test]
fn bytes_are_counted_by_direction_and_service() {
    const TO: usize = 100_000;
    const FROM: usize = 300_000;
    let service = Service::start(|mut stream| {
        let mut asked = vec![0; TO];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&tcp::pattern(FROM, 1)).unwrap();
        // Until the client ends.
        let _ = stream.read(&mut [0]);
    });
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("deep", "tcp", service.address());
    cloud.exposes("deep.acme.example");
    let pages = [fabric.address(), fabric.address()];
    cloud.config["metrics"] = json!({ "listen": pages[0].to_string() });
    edge.config["metrics"] = json!({ "listen": pages[1].to_string() });
    cloud.start();
    edge.start();
    let port = cloud.wait_reachable("deep.acme.example");
    let figures = |page: SocketAddr| {
        let answer = fetch(page, "GET /metrics HTTP/1.1\r\n\r\n");
        let all = samples(answer.split_once("\r\n\r\n").unwrap().1);
        let of = |direction: &str| {
            let service = format!("{{service=\"deep.acme.example\",direction=\"{direction}\"}}");
            let by_service = all[&format!("catalyst_service_bytes_total{service}")];
            assert_eq!(by_service, all[&format!("catalyst_bytes_total{{direction=\"{direction}\"}}")]);
            by_service as usize
        };
        (of("to_service"), of("from_service"))
    };
    assert_eq!(pages.map(figures), [(0, 0); 2]);
    let mut client = tcp::connect(port);
    client.write_all(&tcp::pattern(TO, 2)).unwrap();
    let mut got = vec![0; FROM];
    client.read_exact(&mut got).unwrap();
    tcp::same(&got, &tcp::pattern(FROM, 1));
    for page in pages {
        wait::until("all bytes in the figures", wait::SOON, || (figures(page) == (TO, FROM)).then_some(()));
    }
    drop(client);
    for (node, page) in [(&cloud, pages[0]), (&edge, pages[1])] {
        wait::until("the end of the flow", wait::SOON, || (node.status()["flows"][0] == 0).then_some(()));
        assert_eq!(figures(page), (TO, FROM), "a flow that ends takes nothing away");
    }
}
