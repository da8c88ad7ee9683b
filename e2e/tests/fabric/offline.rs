//! Without a network, without a neighbour: what a node goes on doing, and what it knows again.

use std::collections::BTreeSet;

use catalyst_e2e::Fabric;
use catalyst_e2e::http::{self, Http};
use serde_json::{Value, json};

/// The rows of the last run in `route ls`.
fn remembered(routes: &[Value]) -> Vec<&str> {
    routes.iter().filter(|r| r["standing"] == "remembered").map(|r| r["service"].as_str().unwrap()).collect()
}

#[test]
fn a_node_that_starts_alone_serves_its_own_services_says_what_it_knew_and_comes_back_in_step() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.joins(&mut cloud);
    let (own, remote) = (Http::start("own"), Http::start("remote"));
    edge.offers("own", "http", own.address());
    edge.exposes("own.acme.example");
    edge.exposes("remote.acme.example");
    cloud.offers("remote", "http", remote.address());
    cloud.start();
    edge.start();
    edge.wait_reachable("remote.acme.example");
    edge.stop();
    cloud.stop();

    edge.start();
    let port = edge.wait_reachable("own.acme.example");
    assert_eq!(http::get(port).unwrap(), "own", "local services talk through the node");
    assert_eq!(remembered(&edge.routes()), ["remote.acme.example"]);
    assert_eq!(edge.status()["remembered"][0], 1);
    assert!(http::get(edge.port("remote.acme.example")).is_err(), "what is remembered is not used");

    cloud.start();
    let port = edge.wait_reachable("remote.acme.example");
    assert_eq!(http::get(port).unwrap(), "remote");
    edge.wait("nothing is only remembered", |status| status["remembered"][0] == 0);
    assert_eq!(remembered(&edge.routes()), [""; 0]);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_at_any_moment() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut node = fabric.edge(&acme, "edge-1");
    node.start();
    let mut promised = BTreeSet::new();
    let target = "127.0.0.1:9".parse().unwrap();
    for round in 0..15_usize {
        // More or fewer changes each time: the kill comes at another moment of the write that follows.
        for n in 0..=round % 4 {
            let label = format!("s{round}-{n}");
            node.add(&label, target);
            promised.insert(format!("{label}.acme.example"));
        }
        // One more is on its way when the node dies; nobody was told that it is kept.
        let socket = node.socket();
        let late = std::thread::spawn(move || {
            let service =
                json!({ "name": format!("late{round}"), "protocol": "tcp", "target": "127.0.0.1:9" });
            catalyst_e2e::admin::Admin::connect(&socket)?
                .ask(json!({ "do": "service-add", "service": service }))
        });
        std::thread::sleep(std::time::Duration::from_micros(311 * round as u64));
        node.kill();
        if late.join().unwrap().is_ok() {
            promised.insert(format!("late{round}.acme.example"));
        }
        node.start();
        let status = node.status();
        assert!(status["store_notice"].is_null(), "{status:#}");
        let there: BTreeSet<String> = status["services"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["name"].as_str().unwrap().to_string())
            .collect();
        assert!(promised.is_subset(&there), "lost: {:?}", promised.difference(&there).collect::<Vec<_>>());
    }
}
