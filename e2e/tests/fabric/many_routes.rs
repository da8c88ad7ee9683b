//! Ten thousand routes over three real nodes in a row: the memory that a route takes, how soon a node that joins late has all
//! of them, and that a change costs as much among ten thousand as among one thousand.

use std::fs;
use std::time::{Duration, Instant};

use catalyst_e2e::admin::Admin;
use catalyst_e2e::{Fabric, Node, wait};
use serde_json::{Value, json};

const FEW: usize = 1_000;
const MANY: usize = 10_000;
/// Changes that are measured together: a scheduler's noise is small beside the work of all of them.
const CHANGES: usize = 400;
/// Anonymous memory of one route in a node that passes it on, in bytes: in its two tables, with names and index.
const ROUTE_BYTES: u64 = 1_024;
/// For what takes seconds at most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// CPU time that all threads of a process have had.
fn cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Anonymous memory of a process, in bytes.
fn anonymous(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Offers services from its file on.
fn offers(node: &mut Node, from: usize, to: usize) {
    (from..to).for_each(|n| node.offers(&format!("s-{n}"), "tcp", "127.0.0.1:9".parse().unwrap()));
    node.config["limits"] = json!({ "services": MANY });
}

/// Registers a service, or changes it: the node answers when it is on the disk.
fn service(n: usize, cost: usize) -> Value {
    json!({ "do": "service-add", "service": { "name": format!("s-{n}"), "target": "127.0.0.1:9", "cost": cost } })
}

fn has_all(node: &Node, count: usize) {
    node.wait_for("all routes", PATIENCE, json!({ "do": "status" }), |status| status["routes"][0] == count);
}

fn has_cost(node: &Node, n: usize, cost: usize) {
    node.wait_routes(&format!("s-{n}.acme.example"), &format!("cost {cost}"), |rows| {
        rows.len() == 1 && rows[0]["cost"] == cost
    });
}

/// What changes of the first node's services cost, numbered `from` and on: CPU time of all nodes for one, and the median time
/// from the question to the first node until the answer of the last one shows it.
fn cost(nodes: [&mut Node; 3], from: usize) -> (Duration, Duration) {
    let [first, middle, last] = nodes;
    let pids = [first.pid(), middle.pid(), last.pid()];
    let spent = || pids.iter().copied().map(cpu).sum::<Duration>();
    let mut admin = Admin::connect(&first.socket()).unwrap();
    let before = spent();
    for n in from..from + CHANGES {
        admin.ask(service(n, 1)).unwrap();
    }
    has_cost(last, from + CHANGES - 1, 1);
    let each = (spent() - before) / u32::try_from(CHANGES).unwrap();
    let mut times: Vec<Duration> = (from..from + 51)
        .map(|n| {
            let begin = Instant::now();
            admin.ask(service(n, 2)).unwrap();
            has_cost(last, n, 2);
            begin.elapsed()
        })
        .collect();
    times.sort();
    (each, times[times.len() / 2])
}

/// `few` - `middle` - `last` with a thousand services at `few`; then nine thousand more come with others.
#[test]
fn a_change_among_ten_thousand_routes_costs_what_it_costs_among_one_thousand() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut few, mut middle, mut last, mut late] =
        ["few", "middle", "last", "late"].map(|name| fabric.cloud(&org, name));
    // No file is longer than 512 KiB.
    let mut others = ["more-1", "more-2", "more-3"].map(|name| fabric.cloud(&org, name));
    for node in [&mut few, &mut last, &mut late].into_iter().chain(&mut others) {
        node.joins(&mut middle);
    }
    offers(&mut few, 0, FEW);
    let share = (MANY - FEW) / others.len();
    for (n, other) in others.iter_mut().enumerate() {
        offers(other, FEW + n * share, FEW + (n + 1) * share);
    }
    for node in [&mut few, &mut middle, &mut last] {
        node.start();
    }
    has_all(&last, FEW);
    let among_few = cost([&mut few, &mut middle, &mut last], FEW / 2);
    let memory = [middle.pid(), last.pid()].map(anonymous);

    let begin = Instant::now();
    others.iter_mut().for_each(Node::start);
    has_all(&last, MANY);
    println!(
        "{} more routes, from the start of their nodes until they were two hops on: {:?}",
        MANY - FEW,
        begin.elapsed()
    );
    let among_many = cost([&mut others[0], &mut middle, &mut last], FEW + share / 2);
    println!(
        "a change among {FEW}: {among_few:?}, among {MANY}: {among_many:?} (CPU of all nodes, median of times)"
    );
    // Ten times as many routes: what grows with them would be ten times as much.
    assert!(among_many.0 < 2 * among_few.0 + Duration::from_micros(200), "{among_few:?} {among_many:?}");
    // The disk has a part in this one.
    assert!(among_many.1 < 3 * among_few.1 + Duration::from_millis(50), "{among_few:?} {among_many:?}");
    for (node, before) in [&mut middle, &mut last].into_iter().zip(memory) {
        let after = anonymous(node.pid());
        let each = after.saturating_sub(before) / (MANY - FEW) as u64;
        println!("{}: RssAnon {before} -> {after} bytes, {each} a route", node.name);
        assert!(each < ROUTE_BYTES, "{}: {each} bytes a route", node.name);
    }

    late.start();
    let begin = Instant::now();
    has_all(&late, MANY);
    let synced = begin.elapsed();
    println!("a node that joined late had all {MANY} routes {synced:?} after its start");
    assert!(synced < wait::SOON, "{synced:?}");
    let rows = late.ask(json!({ "do": "routes" }));
    let far = |r: &Value| r["standing"] == "best" && r["node_path"].as_array().map(Vec::len) == Some(2);
    assert!(rows.as_array().unwrap().iter().all(far), "all by the way over the middle");
    // They go with the nodes that have them, and no zombie stays.
    for node in &mut others {
        node.stop();
    }
    for node in [&middle, &last, &late] {
        has_all(node, FEW);
    }
    few.stop();
    for node in [&middle, &last, &late] {
        has_all(node, 0);
    }
}
