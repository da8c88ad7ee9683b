//! A neighbour that stands still (SIGSTOP) holds up nobody: not this node, not its other neighbours.

use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::admin::Admin;
use catalyst_e2e::{Fabric, Node, wait};
use serde_json::{Value, json};

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

/// Anonymous memory of a process, in bytes.
fn anonymous(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// What a node says of all routes: who sees the same holds the same.
fn table(node: &Node) -> Vec<(String, u64)> {
    let row = |r: &Value| Some((r["service"].as_str()?.to_string(), r["cost"].as_u64()?));
    let mut rows: Vec<_> = node.routes().iter().filter_map(row).collect();
    rows.sort();
    rows
}

/// One neighbour has a link on which a loss is noticed in 2 s; the other one's session lives for most of the minute, and with
/// it all that is kept for a neighbour that does not read.
#[test]
fn two_neighbours_stand_still_for_a_minute_of_changes_nobody_else_notices_and_they_catch_up() {
    const MINUTE: Duration = Duration::from_secs(60);
    /// One change every ten milliseconds, of so many services in turn.
    const EVERY: Duration = Duration::from_millis(10);
    const SERVICES: usize = 200;
    /// What the memory of a node may differ by between two moments with the same tables: pages of its allocator. All that
    /// was changed in the minute would be more, were it kept: 6,000 changes of 1.7 KiB.
    const FLAT: u64 = 4 * 1024 * 1024;
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut hub, mut other, mut frozen, mut patient] =
        ["hub", "other", "frozen", "patient"].map(|name| fabric.cloud(&org, name));
    for leaf in [&mut other, &mut frozen, &mut patient] {
        leaf.joins(&mut hub);
    }
    patient.config["peers"][0]["profile"] = json!("satellite");
    hub.config["peers"][2]["profile"] = json!("satellite");
    for node in [&mut hub, &mut other, &mut frozen, &mut patient] {
        node.start();
    }
    for leaf in [&other, &frozen, &patient] {
        hub.wait_up(leaf);
    }
    let tags: Vec<String> = (0..25).map(|n| format!("acme.example:t{n}-{}", "x".repeat(55))).collect();
    let service = |n: usize| {
        json!({ "do": "service-add", "service":
            { "name": format!("s-{}", n % SERVICES), "target": "127.0.0.1:9", "cost": n, "tags": tags } })
    };
    let mut admin = Admin::connect(&hub.socket()).unwrap();
    for n in 0..SERVICES {
        admin.ask(service(n)).unwrap();
    }
    for leaf in [&other, &frozen, &patient] {
        wait::until("the whole table", wait::SOON, || (table(leaf) == table(&hub)).then_some(()));
    }

    frozen.freeze();
    patient.freeze();
    let begin = Instant::now();
    let (mut n, mut slowest, mut asked_slowest) = (SERVICES, Duration::ZERO, Duration::ZERO);
    let mut early = None;
    let mut gone = None;
    while begin.elapsed() < MINUTE {
        let due = begin + EVERY * u32::try_from(n - SERVICES).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        admin.ask(service(n)).unwrap();
        asked_slowest = asked_slowest.max(asked.elapsed());
        if n.is_multiple_of(50) {
            let name = format!("s-{}.acme.example", n % SERVICES);
            other.wait_routes(&name, &format!("cost {n}"), |rows| rows.len() == 1 && rows[0]["cost"] == n);
            slowest = slowest.max(asked.elapsed());
            if gone.is_none() && hub.peer(&patient)["state"] == "down" {
                gone = Some(begin.elapsed());
            }
        }
        n += 1;
        // Every service was changed once, and the windows of those who do not read are full.
        if early.is_none() && begin.elapsed() > MINUTE / 6 {
            early = Some([anonymous(hub.pid()), anonymous(other.pid())]);
        }
    }
    let count = n - SERVICES;
    let (early, late) = (early.unwrap(), [anonymous(hub.pid()), anonymous(other.pid())]);
    println!(
        "{count} changes in a minute, answered within {asked_slowest:?}, at the other neighbour within {slowest:?}; \
         RssAnon of hub and other {early:?} -> {late:?}; the patient session ended after {gone:?}"
    );
    assert!(count > 3_000, "{count} changes in a minute: was somebody held up?");
    assert!(slowest < Duration::from_secs(2), "the slowest change took {slowest:?}");
    for (early, late) in early.into_iter().zip(late) {
        assert!(late < early + FLAT, "RssAnon {early} -> {late}");
    }
    assert!(gone.is_none_or(|after| after > MINUTE / 3), "what its session cost was not seen: {gone:?}");
    assert_eq!(hub.peer(&other)["sessions"], 1);

    let thawed = Instant::now();
    frozen.thaw();
    patient.thaw();
    let wanted = table(&hub);
    assert_eq!(wanted.len(), SERVICES);
    for leaf in [&frozen, &patient] {
        wait::until("the same table", 2 * wait::SOON, || (table(leaf) == wanted).then_some(()));
        println!("{} had caught up after {:?}", leaf.name, thawed.elapsed());
    }
    assert_eq!(table(&other), wanted);
}
