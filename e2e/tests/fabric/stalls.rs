//! A neighbour that stands still (SIGSTOP) holds up nobody: not this node, not its other neighbours.

use std::time::{Duration, Instant};

use catalyst_e2e::{Fabric, wait};
use serde_json::json;

#[test]
fn a_frozen_neighbour_stalls_neither_local_operations_nor_other_neighbours() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut hub, mut other, mut frozen] = ["hub", "other", "frozen"].map(|name| fabric.cloud(&org, name));
    for leaf in [&mut other, &mut frozen] {
        leaf.joins(&mut hub);
    }
    for node in [&mut hub, &mut other, &mut frozen] {
        node.start();
    }
    for leaf in [&other, &frozen] {
        hub.wait_up(leaf);
        leaf.wait_up(&hub);
    }
    frozen.freeze();
    let begin = Instant::now();

    // 3 KiB of tags a service: what the frozen one does not read soon fills its windows.
    let tags: Vec<String> = (0..25).map(|n| format!("acme.example:t{n}-{}", "x".repeat(55))).collect();
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    let mut noticed = None;
    while noticed.is_none() || count < 100 {
        let name = format!("s-{count}");
        let asked = Instant::now();
        hub.add_service(json!({ "name": name, "target": "127.0.0.1:9", "tags": tags }));
        other.wait_route(&format!("{name}.acme.example"));
        slowest = slowest.max(asked.elapsed());
        count += 1;
        if noticed.is_none() && hub.peer(&frozen)["state"] == "down" {
            noticed = Some(begin.elapsed());
        }
        assert!(begin.elapsed() < wait::SOON, "the frozen neighbour was never noticed");
    }
    println!("{count} services while a neighbour stood still: at the other one after {slowest:?} at most");
    let noticed = noticed.unwrap();
    println!("the frozen neighbour was noticed after {noticed:?}");
    assert!(noticed < Duration::from_secs(4), "noticed after {noticed:?}");
    assert!(slowest < Duration::from_secs(1), "the slowest service took {slowest:?}");
    assert_eq!(hub.peer(&other)["sessions"], 1);

    // It wakes up and catches up, without an operator.
    frozen.thaw();
    frozen
        .wait_for("all routes", wait::SOON, json!({ "do": "status" }), |status| status["routes"][0] == count);
    hub.wait_up(&frozen);
}

#[test]
fn a_short_stop_is_ridden_out() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    cloud.start();
    edge.start();
    cloud.wait_up(&edge);
    edge.wait_up(&cloud);
    edge.freeze();
    cloud.add("meanwhile", "127.0.0.1:9".parse().unwrap());
    wait::stays("the session is up", Duration::from_millis(700), || cloud.peer(&edge)["state"] == "up");
    edge.thaw();
    edge.wait_route("meanwhile.acme.example");
    assert_eq!(edge.peer(&cloud)["sessions"], 1);
}
