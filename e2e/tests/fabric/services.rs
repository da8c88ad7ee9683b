//! Services of run time: kept over restarts, shown as a difference from the file.

use std::fs;

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::{Build, Fabric, Node};
use serde_json::{Value, json};

fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// Name and source of each service.
fn sources(node: &Node) -> Vec<(String, String)> {
    let rows = node.ask(json!({ "do": "services" }));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_string();
    rows.as_array().unwrap().iter().map(|row| (text(row, "name"), text(row, "source"))).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(name, source)| (format!("{name}.acme.example"), (*source).to_string())).collect()
}

fn one(build: Build) -> Node {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    for label in ["file-a", "file-b", "file-c"] {
        node.offers(label, "tcp", nowhere());
    }
    node.start();
    node
}

fn run_time_changes_survive(build: Build) {
    let mut node = one(build);
    assert_eq!(sources(&node), pairs(&[("file-a", "file"), ("file-b", "file"), ("file-c", "file")]));
    node.add("added", nowhere());
    node.add("fleeting", nowhere());
    node.remove("fleeting");
    node.remove("file-a");
    node.add_service(json!({ "name": "file-b", "target": "127.0.0.1:10", "cost": 4 }));
    let wanted = pairs(&[("file-c", "file"), ("added", "runtime"), ("file-b", "runtime")]);
    let sorted = |mut all: Vec<(String, String)>| {
        all.sort();
        all
    };
    assert_eq!(sorted(sources(&node)), sorted(wanted.clone()));

    // Killed, not stopped: what was answered is on the disk.
    node.kill();
    node.start();
    assert_eq!(sorted(sources(&node)), sorted(wanted.clone()));
    let rows = node.routes_to("file-b.acme.example");
    assert_eq!((&rows[0]["cost"], &rows[0]["standing"]), (&json!(4), &json!("best")));
    assert_eq!(node.routes_to("file-a.acme.example"), [] as [Value; 0]);

    // What was removed may come back, and goes again.
    node.add("file-a", nowhere());
    node.remove("added");
    node.stop();
    node.start();
    let wanted = pairs(&[("file-a", "runtime"), ("file-b", "runtime"), ("file-c", "file")]);
    assert_eq!(sorted(sources(&node)), wanted);
}

#[test]
fn changes_at_run_time_survive_the_restart_of_an_edge() {
    run_time_changes_survive(Build::Edge);
}

#[test]
fn changes_at_run_time_survive_the_restart_of_a_cloud_node() {
    run_time_changes_survive(Build::Cloud);
}

#[test]
fn a_service_added_at_run_time_carries_traffic_after_a_restart() {
    let web = Http::start("added at run time");
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    cloud.exposes("web.acme.example");
    cloud.start();
    edge.start();
    edge.add("web", web.address());
    let port = cloud.wait_reachable("web.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
    edge.stop();
    cloud.wait_no_route("web.acme.example");
    edge.start();
    assert_eq!(cloud.wait_reachable("web.acme.example"), port, "the port stays");
    assert_eq!(http::get(port).unwrap(), web.words());
    edge.remove("web");
    cloud.wait_no_route("web.acme.example");
    assert!(http::get(port).is_err());
}

#[test]
fn what_cannot_be_added_is_refused_with_the_reason() {
    let node = one(Build::Edge);
    let refused =
        |service: Value| node.try_ask(json!({ "do": "service-add", "service": service })).unwrap_err();
    let long = "a".repeat(64);
    for (service, words) in [
        (json!({ "name": "../../etc", "target": "127.0.0.1:9" }), "'.'"),
        (json!({ "name": long, "target": "127.0.0.1:9" }), "63"),
        (json!({ "name": "ok", "target": "javascript:alert(1)" }), "target"),
        (json!({ "name": "ok", "target": "127.0.0.1" }), "target"),
        (json!({ "name": "ok", "target": "127.0.0.1:9", "protocol": "nonsense" }), "protocol"),
        (json!({ "name": "ok", "target": "127.0.0.1:9", "tags": ["gold"] }), "acme.example:gold"),
        (
            json!({ "name": "ok", "target": "127.0.0.1:9",
                "tags": (0..5000).map(|n| format!("a.b:t{n}")).collect::<Vec<_>>() }),
            "",
        ),
        (json!({ "target": "127.0.0.1:9" }), "name"),
    ] {
        let error = refused(service.clone());
        assert!(error.contains(words), "{service}: {error}");
    }
    let error = node.try_ask(json!({ "do": "service-remove", "name": "nobody" })).unwrap_err();
    assert!(error.contains("no service 'nobody'"), "{error}");
    assert!(node.try_ask(json!({ "do": "fly" })).is_err());
    assert_eq!(sources(&node).len(), 3);
}

#[test]
fn a_corrupt_state_is_moved_aside_and_reported_and_the_node_runs() {
    let mut node = one(Build::Edge);
    node.add("added", nowhere());
    node.stop();
    let state = node.dir.join("state/state.redb");
    fs::write(&state, b"this is no database").unwrap();
    node.start();
    let notice = node.status()["store_notice"].as_str().unwrap_or_default().to_string();
    assert!(notice.contains("moved to"), "{notice}");
    let aside: Vec<_> = fs::read_dir(node.dir.join("state"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("state.redb") && name != "state.redb")
        .collect();
    let kept = aside
        .iter()
        .any(|name| fs::read(node.dir.join("state").join(name)).unwrap() == b"this is no database");
    assert!(kept, "what was there must be kept: {aside:?}");
    // The file's services are there, and it works as before.
    assert_eq!(sources(&node), pairs(&[("file-a", "file"), ("file-b", "file"), ("file-c", "file")]));
    node.add("added", nowhere());
    node.stop();
    node.start();
    assert_eq!(node.status()["store_notice"], Value::Null);
    assert_eq!(sources(&node).len(), 4);
}
