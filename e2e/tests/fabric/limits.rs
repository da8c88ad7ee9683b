//! Full tables: what is there stays, what is new is refused, both sides show it.

use catalyst_e2e::{Fabric, Node};
use serde_json::{Value, json};

fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

fn pair(limits: Value) -> (Node, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.config["limits"] = limits;
    cloud.start();
    edge.start();
    edge.wait_up(&cloud);
    (cloud, edge)
}

fn names(rows: &[Value]) -> Vec<String> {
    rows.iter().filter_map(|r| r["service"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_full_edge_table_refuses_new_routes_keeps_the_old_and_shows_it() {
    let (cloud, edge) = pair(json!({ "routes": 10 }));
    for n in 0..10 {
        cloud.add(&format!("old-{n}"), nowhere());
    }
    edge.wait("a full table", |status| status["routes"] == json!([10, 10]));
    let old = names(&edge.routes());
    for n in 0..5 {
        cloud.add(&format!("new-{n}"), nowhere());
    }
    let row = edge.wait_peer(&cloud, "five refused", |row| row["refused"] == 5);
    assert_eq!((&row["state"], &row["routes"], &row["sessions"]), (&json!("up"), &json!(10), &json!(1)));
    assert!(row["refused_why"].as_str().is_some_and(|why| why.contains("full")), "{row:#}");
    assert_eq!(names(&edge.routes()), old);
    let status = edge.status();
    assert_eq!(status["routes_refused"], 5);
    assert!(status["next_step"].as_str().unwrap().contains("limit"), "{status:#}");
    let row = cloud.wait_peer(&edge, "five refused by the peer", |row| row["refused_by_peer"] == 5);
    assert_eq!(row["state"], "up");

    // A change of a route that is held is still taken, and a place that becomes free is used.
    cloud.add_service(json!({ "name": "old-3", "target": "127.0.0.1:9", "cost": 5 }));
    edge.wait_routes("old-3.acme.example", "its new cost", |rows| rows[0]["cost"] == 5);
    cloud.remove("old-4");
    edge.wait_peer(&cloud, "four refused", |row| row["refused"] == 4 && row["routes"] == 10);
    let taken = names(&edge.routes()).iter().filter(|name| name.starts_with("new-")).count();
    assert_eq!(taken, 1, "what was refused is asked for when there is room for it");
    cloud.wait_peer(&edge, "four refused by the peer", |row| row["refused_by_peer"] == 4);
    // What is withdrawn is refused no longer, and both ends say so.
    (0..5).for_each(|n| cloud.remove(&format!("new-{n}")));
    edge.wait_peer(&cloud, "nothing refused", |row| row["refused"] == 0 && row["refused_why"].is_null());
    cloud.wait_peer(&edge, "nothing refused by the peer", |row| row["refused_by_peer"] == 0);
    assert!(!edge.status()["next_step"].as_str().unwrap().contains("limit"));
    cloud.add("newest", nowhere());
    edge.wait_route("newest.acme.example");
}

#[test]
fn one_neighbour_cannot_take_more_than_its_share() {
    let (cloud, edge) = pair(json!({ "routes_per_peer": 4 }));
    for n in 0..6 {
        cloud.add(&format!("s-{n}"), nowhere());
    }
    let row = edge.wait_peer(&cloud, "two refused", |row| row["refused"] == 2);
    assert_eq!((&row["routes"], &row["max_routes"], &row["state"]), (&json!(4), &json!(4), &json!("up")));
    cloud.wait_peer(&edge, "two refused by the peer", |row| row["refused_by_peer"] == 2);
    // There is room for others: the edge's own.
    edge.add("own", nowhere());
    cloud.wait_route("own.acme.example");
}

#[test]
fn a_node_with_all_its_services_refuses_one_more_and_says_which_limit() {
    let (_cloud, edge) = pair(json!({ "services": 3 }));
    for n in 0..3 {
        edge.add(&format!("s-{n}"), nowhere());
    }
    let one_more = json!({ "do": "service-add", "service": { "name": "s-3", "target": "127.0.0.1:9" } });
    let error = edge.try_ask(one_more).unwrap_err();
    assert!(error.contains("limits.services is 3"), "{error}");
    // One that is there may still change.
    edge.add_service(json!({ "name": "s-1", "target": "127.0.0.1:9", "cost": 9 }));
    assert_eq!(edge.status()["services"].as_array().unwrap().len(), 3);
    edge.remove("s-0");
    edge.add("s-3", nowhere());
}

#[test]
fn more_connections_than_limits_flows_are_refused_and_the_others_live() {
    use catalyst_e2e::tcp;
    use std::io::{Read, Write};
    let echo = tcp::Service::echo();
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("raw", "tcp", echo.address());
    edge.config["limits"] = json!({ "flows": 3 });
    cloud.exposes("raw.acme.example");
    cloud.start();
    edge.start();
    let port = cloud.wait_reachable("raw.acme.example");
    let says = |mut client: &std::net::TcpStream| {
        let mut back = [0; 4];
        client.write_all(b"ping").and_then(|()| client.read_exact(&mut back)).map(|()| back == *b"ping")
    };
    let three: Vec<_> = (0..3).map(|_| tcp::connect(port)).collect();
    for client in &three {
        assert!(says(client).unwrap());
    }
    assert!(tcp::try_connect(port).and_then(|fourth| says(&fourth)).is_err());
    let status = edge.status();
    assert_eq!((&status["flows"], &status["flows_total"][1]), (&json!([3, 3]), &json!(1)), "{status:#}");
    for client in &three {
        assert!(says(client).unwrap());
    }
    drop(three);
    edge.wait("room again", |status| status["flows"][0] == 0);
    assert!(says(&tcp::connect(port)).unwrap());
}
