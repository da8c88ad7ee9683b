//! Ten thousand services.

use std::time::{Duration, Instant};

use crate::resources::*;
use crate::world::*;

fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// The bars are those of an optimised build on a quiet machine; both stand aside for a debug build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_services_are_loaded_and_one_changes_quickly() {
    const SERVICES: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let http = dir.path().join("http.sock");
    let (one, two) = (service("one").await, service("two").await);
    let node = Node::start(dir.path());
    let empty = resident("self");
    let names: Vec<String> = (0..SERVICES).map(|n| format!("service-{n:05}.acme.example")).collect();
    node.set(names.iter().flat_map(|name| [eds(name), endpoints(name, one), scope(name, name)]));
    node.set([http_listener("http", &http, None)]);
    node.publisher.open();
    let filled = resident("self");
    let envoy = Envoy::start(dir.path(), NODE);
    let start = Instant::now();
    node.settled_in(6 * PATIENCE).await;
    let loaded = start.elapsed();
    let last = names.last().unwrap();
    until_answer(&http, last, Ok((200, "one"))).await;
    let after = resident("self");
    let id = envoy.id().to_string();
    println!(
        "{SERVICES} services in {loaded:?}; this process {empty} -> {filled} -> {after} MB, Envoy {} MB",
        resident(&id)
    );

    let mut endpoint = Vec::new();
    for at in [two, one, two, one, two] {
        node.set([endpoints(last, at)]);
        endpoint.push(node.settled().await);
    }
    until_answer(&http, last, Ok((200, "two"))).await;
    let start = Instant::now();
    node.set([eds("new"), endpoints("new", two), scope("new", "new")]);
    node.settled().await;
    let new = start.elapsed();
    until_answer(&http, "new", Ok((200, "two"))).await;
    endpoint.sort();
    println!("endpoint change {:?} (median of 5), new service {new:?}", endpoint[2]);
    let status = node.publisher.status();
    assert_eq!((status.overdue, status.rejected_count), (0, 0), "{status:#?}");
    assert!(loaded < Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 10 }), "{loaded:?}");
}
