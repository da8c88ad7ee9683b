//! Sessions between two nodes: both dial, both restart, one comes twice, routes churn underneath.

use std::thread;
use std::time::Duration;

use catalyst_e2e::{Build, Fabric, Node, Org, wait};
use serde_json::{Value, json};

fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// Two cloud nodes that dial each other.
fn mutual() -> (Fabric, Org, Node, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut a, mut b] = ["a", "b"].map(|name| fabric.cloud(&org, name));
    a.dials(&b);
    b.dials(&a);
    (fabric, org, a, b)
}

fn both_up(a: &Node, b: &Node) {
    a.wait_up(b);
    b.wait_up(a);
}

/// One session, and it stays the same one.
fn settled(a: &Node, b: &Node) {
    both_up(a, b);
    let sessions = || (a.peer(b)["sessions"].clone(), b.peer(a)["sessions"].clone());
    let mut last = sessions();
    let mut since = std::time::Instant::now();
    wait::until("one session stays", wait::SOON, || {
        let now = sessions();
        if now != last || a.peer(b)["state"] != "up" || b.peer(a)["state"] != "up" {
            last = now;
            since = std::time::Instant::now();
        }
        (since.elapsed() > Duration::from_millis(700)).then_some(())
    });
}

#[test]
fn two_nodes_that_dial_each_other_settle_on_one_session() {
    let (_fabric, _org, mut a, mut b) = mutual();
    // At the same moment.
    thread::scope(|scope| {
        scope.spawn(|| a.start());
        scope.spawn(|| b.start());
    });
    settled(&a, &b);
    a.add("of-a", nowhere());
    b.add("of-b", nowhere());
    a.wait_route("of-b.acme.example");
    b.wait_route("of-a.acme.example");
    // Either may go and come back.
    b.kill();
    b.start();
    settled(&a, &b);
    assert_eq!((a.routes().len(), b.routes().len()), (2, 2));
    a.stop();
    a.start();
    settled(&a, &b);
    assert_eq!((a.routes().len(), b.routes().len()), (2, 2));
}

#[test]
fn both_ends_killed_at_once_find_each_other_again() {
    let (_fabric, _org, mut a, mut b) = mutual();
    a.start();
    b.start();
    a.add("of-a", nowhere());
    b.wait_route("of-a.acme.example");
    a.kill();
    b.kill();
    b.start();
    a.start();
    both_up(&a, &b);
    b.wait_route("of-a.acme.example");
    settled(&a, &b);
}

#[test]
fn after_any_churn_both_ends_hold_the_same() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    cloud.start();
    edge.start();
    edge.wait_up(&cloud);
    for round in 0..3 {
        for n in 0..40 {
            let name = format!("s-{}", n % 13);
            match n % 3 {
                0 | 1 => {
                    cloud.add_service(json!({ "name": name, "target": "127.0.0.1:9", "cost": n + round }))
                }
                _ if cloud.status()["services"].to_string().contains(&format!("\"{name}.")) => {
                    cloud.remove(&name)
                }
                _ => {}
            }
            if n == 20 {
                edge.kill();
                edge.start();
            }
        }
    }
    cloud.add("last", nowhere());
    let view = |node: &Node| {
        let mut rows: Vec<_> =
            node.routes().iter().map(|r| (r["service"].to_string(), r["cost"].to_string())).collect();
        rows.sort();
        rows
    };
    wait::until("both hold the same", wait::SOON, || (view(&cloud) == view(&edge)).then_some(()));
    assert!(view(&edge).len() > 5);
    let rows = edge.peer(&cloud);
    assert_eq!(rows["malformed"], 0, "{rows:#}");
}

#[test]
fn a_second_node_of_the_same_name_does_not_harm_its_neighbours() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut hub = fabric.cloud(&org, "hub");
    let mut honest = fabric.edge(&org, "honest");
    let mut first = fabric.edge(&org, "twin");
    let mut second = fabric.node_in(&org, Build::Edge, "twin", "clone");
    honest.joins(&mut hub);
    first.joins(&mut hub);
    second.dials(&hub);
    honest.offers("good", "tcp", nowhere());
    for node in [&mut hub, &mut honest, &mut first] {
        node.start();
    }
    hub.wait_up(&honest);
    hub.wait_up(&first);
    second.start();
    wait::until("the clone had its session", wait::SOON, || {
        (hub.peer(&first)["sessions"].as_u64() >= Some(2)).then_some(())
    });
    // Whatever the twins do to each other, the others are at peace.
    wait::stays("the honest session", Duration::from_millis(700), || {
        let row = hub.peer(&honest);
        row["state"] == "up" && row["sessions"] == 1
    });
    assert_eq!(hub.routes_to("good.acme.example").len(), 1);
    println!("two nodes of one name: {} sessions", hub.peer(&first)["sessions"]);
    // When one goes, the other stays.
    second.stop();
    hub.wait_up(&first);
    first.wait_up(&hub);
}

#[test]
fn a_neighbour_that_was_removed_from_the_file_is_turned_away() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("mine", "tcp", nowhere());
    cloud.start();
    edge.start();
    cloud.wait_route("mine.acme.example");
    cloud.stop();
    cloud.config["peers"] = json!([]);
    cloud.start();
    edge.wait_peer(&cloud, "the reason", |row| {
        row["last_error"].as_str().is_some_and(|e| e.contains("unconfigured-peer"))
    });
    assert_eq!(cloud.routes().len(), 0);
    assert!(cloud.status()["sessions_ended"].as_u64() > Some(0));
}

#[test]
fn a_copied_board_is_suspected_named_on_both_sides_and_does_not_flap() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut board = fabric.edge(&acme, "edge-1");
    cloud.awaits(&board);
    board.dials(&cloud);
    let mut copy = fabric.node_in(&acme, Build::Edge, "edge-1", "copy-of-edge-1");
    for file in ["edge-1.key", "edge-1.crt"] {
        std::fs::copy(board.dir.join(file), copy.dir.join(file)).unwrap();
    }
    copy.dials(&cloud);
    cloud.start();
    board.start();
    copy.start();
    let clones = |row: &Value| row["clones"].as_str().is_some_and(|c| c.contains("clone suspected"));
    let row = cloud.wait_peer(&board, "two processes are suspected", clones);
    assert_eq!(row["clones"].as_str().unwrap().matches("127.").count(), 2, "both addresses: {row:#}");
    let held = |row: &Value| {
        row["last_error"].as_str().is_some_and(|e| e.contains("another process with this node's identity"))
    };
    wait::until("one of the two is told", wait::SOON, || {
        [&board, &copy].into_iter().find(|n| held(&n.peer(&cloud)))
    });
    let before = cloud.peer(&board)["sessions"].clone();
    wait::stays("the session of the one that is connected", Duration::from_secs(3), || {
        let row = cloud.peer(&board);
        row["sessions"] == before && row["state"] == json!("up")
    });
}

#[test]
fn a_stop_in_order_warns_nobody() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.joins(&mut cloud);
    cloud.start();
    edge.start();
    edge.wait_up(&cloud);
    cloud.wait_up(&edge);
    edge.stop();
    cloud.wait_down(&edge);
    cloud.stop();
    for node in [&cloud, &edge] {
        let log = std::fs::read_to_string(node.log()).unwrap();
        let warnings: Vec<&str> = log.lines().filter(|l| l.contains("WARN") || l.contains("ERROR")).collect();
        assert!(warnings.is_empty(), "{}: {warnings:#?}", node.full_name());
    }
}
