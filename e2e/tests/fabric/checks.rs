//! Checks of services: what they say decides whether neighbours hear of a service.

use std::fs;
use std::time::Duration;

use catalyst_e2e::http;
use catalyst_e2e::tcp::Service;
use catalyst_e2e::wait;
use catalyst_e2e::{Build, Fabric, Node, Org};
use serde_json::{Value, json};

/// A node with one checked service at `target`, and a neighbour of it.
fn pair(
    fabric: &Fabric,
    build: Build,
    protocol: &str,
    target: std::net::SocketAddr,
    check: Value,
) -> (Node, Node, Org) {
    let org = fabric.org("acme.example");
    let (mut edge, mut cloud) = (fabric.edge(&org, "edge-1"), fabric.cloud(&org, "cloud-1"));
    edge.joins(&mut cloud);
    let (mut host, mut far) = if build == Build::Edge { (edge, cloud) } else { (cloud, edge) };
    host.offers("checked", protocol, target);
    host.config["services"][0]["check"] = check;
    let metrics = fabric.address();
    host.config["metrics"] = json!({ "listen": metrics.to_string() });
    host.start();
    far.start();
    (host, far, org)
}

fn health(node: &Node) -> Value {
    node.status()["services"][0]["health"].clone()
}

/// A program that succeeds while a file is there decides.
fn by_a_program(build: Build) {
    let fabric = Fabric::new();
    let service = Service::echo();
    let mark = fabric.dir().join("ready");
    let check = json!({
        "type": "exec", "command": ["test", "-e", mark.to_str().unwrap()], "interval_ms": 100, "rise": 2, "fall": 2
    });
    let (mut host, mut far, org) = pair(&fabric, build, "tcp", service.address(), check);
    let name = org.service("checked");
    host.wait("unhealthy", |s| s["services"][0]["health"]["state"] == "unhealthy");
    assert_eq!(far.routes_to(&name), [] as [Value; 0], "what was never healthy was never announced");
    for _ in 0..2 {
        fs::write(&mark, "").unwrap();
        far.wait_route(&name);
        assert_eq!(health(&host)["state"], "healthy");
        fs::remove_file(&mark).unwrap();
        far.wait_no_route(&name);
        let health = health(&host);
        assert_eq!(
            (&health["state"], &health["why"]),
            (&json!("unhealthy"), &json!("the check ended with exit code 1"))
        );
    }
    let metrics: std::net::SocketAddr = host.config["metrics"]["listen"].as_str().unwrap().parse().unwrap();
    let page = figures(metrics);
    assert!(page.contains("\ncatalyst_service_healthy{service=\"checked.acme.example\"} 0\n"), "{page}");
    let failed = page.lines().find_map(|l| {
        l.strip_prefix("catalyst_service_checks_failed_total{service=\"checked.acme.example\"} ")
    });
    assert!(failed.unwrap().parse::<u64>().unwrap() >= 4, "{page}");
    host.stop();
    far.stop();
}

fn figures(address: std::net::SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut socket = catalyst_e2e::tcp::connect(address);
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn a_program_decides_at_an_edge() {
    by_a_program(Build::Edge);
}

#[test]
fn a_program_decides_at_a_cloud_node() {
    by_a_program(Build::Cloud);
}

/// The status code decides: a page that is there or not.
fn by_http(build: Build) {
    let fabric = Fabric::new();
    let address = fabric.address();
    let page = fabric.dir().join("healthz");
    let check =
        json!({ "type": "http", "path": "/healthz?deep=1", "interval_ms": 100, "rise": 1, "fall": 1 });
    let org = fabric.org("acme.example");
    let (mut edge, mut cloud) = (fabric.edge(&org, "edge-1"), fabric.cloud(&org, "cloud-1"));
    edge.joins(&mut cloud);
    let (mut host, mut far) = if build == Build::Edge { (edge, cloud) } else { (cloud, edge) };
    host.offers("checked", "http", address);
    let folder = fabric.dir().to_str().unwrap().to_string();
    let (port, ip) = (address.port().to_string(), address.ip().to_string());
    host.config["services"][0]["run"] = json!({
        "command": ["python3", "-m", "http.server", port, "--bind", ip, "--directory", folder]
    });
    host.config["services"][0]["check"] = check;
    let name = org.service("checked");
    host.start();
    far.start();
    host.wait("the page is missed", |s| {
        s["services"][0]["health"]["why"].as_str().is_some_and(|w| w.contains("answers 404"))
    });
    assert_eq!(far.routes_to(&name), [] as [Value; 0]);
    fs::write(&page, "fine").unwrap();
    far.wait_route(&name);
    fs::remove_file(&page).unwrap();
    far.wait_no_route(&name);
    assert_eq!(health(&host)["why"], "GET /healthz?deep=1 answers 404");
    fs::write(&page, "fine").unwrap();
    far.wait_route(&name);
    host.stop();
    far.stop();
}

#[test]
fn the_status_of_a_page_decides_at_an_edge() {
    by_http(Build::Edge);
}

#[test]
fn the_status_of_a_page_decides_at_a_cloud_node() {
    by_http(Build::Cloud);
}

#[test]
fn a_connection_decides() {
    let fabric = Fabric::new();
    let address = fabric.address();
    let check = json!({ "type": "tcp", "interval_ms": 100, "rise": 2, "fall": 2 });
    let (mut host, mut far, org) = pair(&fabric, Build::Edge, "tcp", address, check);
    let name = org.service("checked");
    host.wait("unhealthy", |s| s["services"][0]["health"]["state"] == "unhealthy");
    assert!(health(&host)["why"].as_str().unwrap().contains("refused"), "{}", health(&host));
    let listener = std::net::TcpListener::bind(address).unwrap();
    far.wait_route(&name);
    drop(listener);
    far.wait_no_route(&name);
    host.stop();
    far.stop();
}

#[test]
fn a_service_that_hangs_is_unhealthy_and_hurts_nobody() {
    let fabric = Fabric::new();
    // It takes connections and never answers.
    let mute = Service::start(|stream| {
        let _ = catalyst_e2e::tcp::read_all(&stream);
    });
    let check = json!({ "type": "http", "interval_ms": 100, "timeout_ms": 200, "fall": 1 });
    let (mut host, mut far, org) = pair(&fabric, Build::Edge, "http", mute.address(), check);
    let why = format!("no answer from {} within 200 ms", mute.address());
    host.wait("unhealthy", |s| s["services"][0]["health"]["why"] == json!(why));
    assert_eq!(far.routes_to(&org.service("checked")), [] as [Value; 0]);
    assert!(http::get(mute.address()).is_err() || mute.taken() > 0);
    host.stop();
    far.stop();
}

#[test]
fn one_failure_among_successes_withdraws_nothing() {
    let fabric = Fabric::new();
    let service = Service::echo();
    // Every third check fails.
    let script = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; [ $((n % 3)) -ne 2 ]";
    let check = json!({ "type": "exec", "command": ["sh", "-c", script], "interval_ms": 100, "fall": 2 });
    let (mut host, mut far, org) = pair(&fabric, Build::Edge, "tcp", service.address(), check);
    far.wait_route(&org.service("checked"));
    host.wait("some have failed", |s| s["services"][0]["health"]["checks_failed"].as_u64() >= Some(3));
    wait::stays("the route stays", Duration::from_millis(500), || {
        !far.routes_to(&org.service("checked")).is_empty()
    });
    assert_eq!(health(&host)["state"], "healthy");
    assert!(health(&host)["since_s"].as_u64() >= Some(0));
    host.stop();
    far.stop();
}
