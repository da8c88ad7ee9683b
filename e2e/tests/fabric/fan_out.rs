//! One node and many neighbours: one that fails all the time, one that is taken out of the configuration.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::{Fabric, Node, wait};
use serde_json::{Value, json};

const LEAVES: usize = 6;
/// A change that waits for nobody is there in milliseconds; a machine that is busy with other tests may take longer, but
/// never as long as it takes to notice that a neighbour is gone (2 s).
const PROMPT: Duration = Duration::from_millis(1_500);

#[test]
fn a_neighbour_that_fails_all_the_time_holds_up_none_of_the_others() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut hub = fabric.cloud(&org, "hub");
    let mut leaves: Vec<Node> = (0..LEAVES).map(|n| fabric.edge(&org, &format!("leaf-{n}"))).collect();
    let mut failing = fabric.edge(&org, "failing");
    failing.offers("there", "tcp", "127.0.0.1:9".parse().unwrap());
    for leaf in leaves.iter_mut().chain([&mut failing]) {
        leaf.joins(&mut hub);
    }
    hub.start();
    leaves.iter_mut().for_each(Node::start);
    leaves.iter().for_each(|leaf| leaf.wait_up(&hub));
    let over = AtomicBool::new(false);
    let mut kills = 0;
    thread::scope(|scope| {
        let fails = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                failing.start();
                hub.wait_route("there.acme.example");
                failing.kill();
                kills += 1;
            }
        });
        let mut slowest = Duration::ZERO;
        let begin = Instant::now();
        let mut count = 0;
        // Some rounds of its failures, however long one takes.
        while begin.elapsed() < Duration::from_secs(4) {
            let name = format!("s-{}", count % 40);
            let asked = Instant::now();
            hub.add_service(json!({ "name": name, "target": "127.0.0.1:9", "cost": count }));
            for leaf in &leaves {
                leaf.wait_routes(&format!("{name}.acme.example"), &format!("cost {count}"), |rows| {
                    rows.len() == 1 && rows[0]["cost"] == count
                });
            }
            slowest = slowest.max(asked.elapsed());
            count += 1;
        }
        over.store(true, Ordering::Relaxed);
        fails.join().unwrap();
        println!("{count} changes at {LEAVES} neighbours, each within {slowest:?}");
        assert!(slowest < PROMPT, "the slowest of {count} changes took {slowest:?}");
    });
    println!("the failing neighbour was killed {kills} times");
    assert!(kills >= 2, "{kills}");
    for leaf in &leaves {
        let row = hub.peer(leaf);
        assert_eq!((&row["state"], &row["sessions"]), (&json!("up"), &json!(1)), "{row:#}");
    }
    // What it offered is gone everywhere; and when it comes to stay it gets all.
    for leaf in &leaves {
        leaf.wait_no_route("there.acme.example");
    }
    failing.start();
    failing.wait_up(&hub);
    let services = |rows: &[Value]| {
        let mut names: Vec<String> = rows
            .iter()
            .filter(|r| r["origin"] == "hub")
            .map(|r| format!("{} {}", r["service"], r["cost"]))
            .collect();
        names.sort();
        names
    };
    assert_eq!(services(&failing.routes()), services(&leaves[0].routes()));
}

#[test]
fn a_removed_neighbour_is_cut_off_and_all_it_told_is_withdrawn_everywhere() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut left, mut middle, mut right] = ["left", "middle", "right"].map(|name| fabric.cloud(&org, name));
    left.joins(&mut middle);
    right.joins(&mut middle);
    for node in [&mut left, &mut middle, &mut right] {
        node.start();
    }
    left.wait_up(&middle);
    right.wait_up(&middle);
    left.add("of-left", "127.0.0.1:9".parse().unwrap());
    right.add("of-right", "127.0.0.1:9".parse().unwrap());
    right.wait_route("of-left.acme.example");
    left.wait_route("of-right.acme.example");

    let begin = Instant::now();
    let out = middle.cli(&["peer", "rm", "left"]);
    assert!(out.status.success(), "{}", catalyst_e2e::process::both(&out));
    right.wait_no_route("of-left.acme.example");
    println!("a removed neighbour's route was withdrawn two hops on after {:?}", begin.elapsed());
    // At once, not after a restart time: it is not expected back.
    assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
    assert_eq!(right.kept_routes_to("of-left.acme.example"), [] as [Value; 0], "a zombie");
    assert_eq!(middle.kept_routes_to("of-left.acme.example"), [] as [Value; 0], "a zombie");
    left.wait_no_route("of-right.acme.example");
    left.wait_peer(&middle, "the reason", |row| {
        row["last_error"]
            .as_str()
            .is_some_and(|e| e.contains("peer-removed") || e.contains("unconfigured-peer"))
    });
    // It dials on, and gets nowhere: nothing that it says arrives.
    left.add("later", "127.0.0.1:9".parse().unwrap());
    left.wait_peer(&middle, "it is turned away", |row| {
        row["last_error"].as_str().is_some_and(|e| e.contains("unconfigured-peer"))
    });
    assert_eq!(middle.status()["peers"].as_array().unwrap().len(), 1);
    for node in [&middle, &right] {
        wait::stays("nothing of it is there", Duration::from_millis(200), || {
            node.routes_to("later.acme.example").is_empty()
        });
    }
    assert_eq!(middle.peer(&right)["sessions"], 1);
}
