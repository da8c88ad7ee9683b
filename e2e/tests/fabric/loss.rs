//! A neighbour is lost: how soon that is noticed, and that everything comes back without an operator.

use std::io::{Read, Write};
use std::time::Duration;

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node, wait};

/// A cloud node with a local port for `hello`, and the edge that offers it.
fn hello(web: &Http) -> (Node, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("hello", "http", web.address());
    cloud.exposes("hello.acme.example");
    cloud.start();
    edge.start();
    let port = cloud.wait_reachable("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), web.words());
    (cloud, edge)
}

/// Waits until a client gets an answer, as a client does: by trying again.
fn answered(port: std::net::SocketAddr, words: &str) {
    let what = format!("an answer '{words}' at {port}");
    wait::until(&what, wait::SOON, || http::get(port).ok().filter(|got| got == words));
}

#[test]
fn a_killed_edge_is_noticed_and_comes_back_by_itself() {
    let web = Http::start("hello");
    let (cloud, mut edge) = hello(&web);
    let port = cloud.port("hello.acme.example");
    let incarnation = edge.status()["incarnation"].as_u64().unwrap();

    let killed = edge.kill();
    cloud.wait_down(&edge);
    let noticed = killed.elapsed();
    println!("edge killed: the cloud noticed after {noticed:?}");
    assert!(noticed < Duration::from_secs(3), "noticed after {noticed:?}");
    cloud.wait_no_route("hello.acme.example");
    let kept = cloud.kept_routes_to("hello.acme.example");
    assert_eq!(kept[0]["standing"], "ineligible", "{kept:#?}");
    assert_eq!(kept[0]["stale"], "stale");
    assert!(http::get(port).is_err(), "its tunnel is gone");
    let fate = cloud.peer(&edge)["stale"].as_str().unwrap().to_string();
    assert!(fate.contains("kept for") && fate.contains("those that need its tunnel go then"), "{fate}");
    let why = cloud.peer(&edge)["last_error"].as_str().unwrap().to_string();
    assert!(!why.is_empty(), "the status must say why");

    edge.start();
    cloud.wait_up(&edge);
    edge.wait_up(&cloud);
    answered(port, web.words());
    assert!(edge.status()["incarnation"].as_u64().unwrap() > incarnation);
    assert_eq!(cloud.peer(&edge)["sessions"], 2);
    assert_eq!(cloud.peer(&edge).get("stale"), None);
}

#[test]
fn a_killed_cloud_is_noticed_and_dialled_until_it_is_back() {
    let web = Http::start("hello");
    let (mut cloud, edge) = hello(&web);

    let killed = cloud.kill();
    edge.wait_down(&cloud);
    let noticed = killed.elapsed();
    println!("cloud killed: the edge noticed after {noticed:?}");
    assert!(noticed < Duration::from_secs(3), "noticed after {noticed:?}");

    cloud.start();
    edge.wait_up(&cloud);
    let port = cloud.wait_reachable("hello.acme.example");
    answered(port, web.words());
}

#[test]
fn a_restart_faster_than_the_hold_time_is_noticed_too() {
    let web = Http::start("hello");
    let (cloud, mut edge) = hello(&web);
    edge.kill();
    edge.config["services"] = serde_json::json!([]);
    let restarted = std::time::Instant::now();
    edge.start();
    // The new incarnation offers nothing: what the old one offered must go.
    cloud.wait_no_route("hello.acme.example");
    println!("edge restarted: its old routes were gone after {:?}", restarted.elapsed());
    cloud.wait_up(&edge);
    assert_eq!(cloud.routes().len(), 0);
}

#[test]
fn an_orderly_stop_is_noticed_at_once_on_both_sides() {
    let web = Http::start("hello");
    let (mut cloud, mut edge) = hello(&web);

    let stopped = edge.stop();
    cloud.wait_down(&edge);
    let noticed = stopped.elapsed();
    println!("edge stopped: the cloud noticed after {noticed:?}");
    assert!(noticed < Duration::from_millis(500), "noticed after {noticed:?}");
    cloud.wait_no_route("hello.acme.example");
    let why = cloud.peer(&edge)["last_error"].as_str().unwrap().to_string();
    assert!(why.contains("shutdown"), "{why}");

    edge.start();
    cloud.wait_up(&edge);
    edge.wait_up(&cloud);
    let stopped = cloud.stop();
    edge.wait_down(&cloud);
    let noticed = stopped.elapsed();
    println!("cloud stopped: the edge noticed after {noticed:?}");
    assert!(noticed < Duration::from_millis(500), "noticed after {noticed:?}");
}

#[test]
fn on_a_lan_a_loss_is_noticed_within_a_second() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    cloud.config["profile"] = serde_json::json!("lan");
    edge.config["profile"] = serde_json::json!("lan");
    cloud.start();
    edge.start();
    cloud.wait_up(&edge);
    let killed = edge.kill();
    cloud.wait_down(&edge);
    let noticed = killed.elapsed();
    println!("edge killed on a lan: noticed after {noticed:?}");
    assert!(noticed < Duration::from_secs(1), "noticed after {noticed:?}");
}

#[test]
fn a_stop_with_live_flows_ends_them_and_takes_no_time() {
    let echo = Service::echo();
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("raw", "tcp", echo.address());
    cloud.exposes("raw.acme.example");
    cloud.start();
    edge.start();
    let port = cloud.wait_reachable("raw.acme.example");
    let mut client = tcp::connect(port);
    client.write_all(b"ping").unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
    let stopped = edge.stop();
    assert!(stopped.elapsed() < Duration::from_secs(2), "the stop took {:?}", stopped.elapsed());
    let end = tcp::read_all(&client);
    println!("the client of a stopped edge heard of it after {:?}: {end:?}", stopped.elapsed());
    assert!(end.is_err(), "a flow that was cut must not look finished");
    assert!(stopped.elapsed() < Duration::from_secs(2));
    // Ctrl-C does the same.
    cloud.interrupt();
}

#[test]
fn a_node_stops_in_time_whatever_its_neighbours_do() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    let mut frozen = fabric.edge(&org, "edge-2");
    let silent = fabric.cloud(&org, "silent");
    edge.joins(&mut cloud);
    frozen.joins(&mut cloud);
    // Bound, and nobody answers.
    let _hole = std::net::UdpSocket::bind(silent.address()).unwrap();
    cloud.dials(&silent);
    edge.dials(&silent);
    for node in [&mut cloud, &mut edge, &mut frozen] {
        node.start();
    }
    cloud.wait_up(&edge);
    cloud.wait_up(&frozen);
    frozen.freeze();
    for node in [&mut cloud, &mut edge] {
        let stopped = node.stop();
        println!("{} stopped within {:?}", node.name, stopped.elapsed());
        assert!(stopped.elapsed() < Duration::from_secs(3), "{}: {:?}", node.name, stopped.elapsed());
    }
}
