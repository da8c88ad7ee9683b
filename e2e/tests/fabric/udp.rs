//! UDP through the fabric: what a client sends is what the service gets, and the other way round; and what becomes of
//! packets and clients when there is no way, no service, or no room.

use std::net::SocketAddr;
use std::time::Duration;

use catalyst_e2e::udp::{Client, Service};
use catalyst_e2e::{Fabric, Node, Org, tcp, wait};
use serde_json::Value;

use crate::data::{Pair, pair};

/// From nothing to the longest that UDP over IPv4 carries.
const SIZES: [usize; 7] = [0, 1, 1_200, 1_450, 1_500, 9_000, 65_507];

/// A service at the edge or the cloud, and the other's port for it.
fn served(at_edge: bool, target: SocketAddr, more: impl FnOnce(&mut Node, &mut Node)) -> (Pair, SocketAddr) {
    let pair = pair(|_, cloud, edge| {
        more(cloud, edge);
        let (here, there) = if at_edge { (edge, cloud) } else { (cloud, edge) };
        here.offers("echo", "udp", target);
        there.exposes_udp("echo.acme.example");
    });
    let client = if at_edge { &pair.cloud } else { &pair.edge };
    let port = client.wait_reachable("echo.acme.example");
    (pair, port)
}

fn udp(node: &Node) -> Value {
    node.status()["udp"].clone()
}

fn flows(node: &Node) -> u64 {
    udp(node)["flows"][0].as_u64().unwrap()
}

fn wait_flows(node: &Node, wanted: u64) {
    wait::until(&format!("{wanted} flow(s) at {}", node.full_name()), wait::SOON, || {
        (flows(node) == wanted).then_some(())
    });
}

fn all_sizes(port: SocketAddr) {
    let client = Client::new(port);
    for (n, size) in SIZES.into_iter().enumerate() {
        client.echo(&tcp::pattern(size, n as u64));
    }
}

#[test]
fn packets_of_all_sizes_pass_to_the_edge_and_to_the_cloud() {
    for at_edge in [true, false] {
        let echo = Service::echo();
        let (pair, port) = served(at_edge, echo.address(), |_, _| {});
        all_sizes(port);
        assert_eq!(echo.callers(), 1, "one socket for one client");
        for node in [&pair.cloud, &pair.edge] {
            // A packet is counted once it is sent: its receiver may be ahead of the counter.
            let counted = |udp: &Value| {
                udp["to_services"][0].as_u64() >= Some(7) && udp["from_services"][1].as_u64() >= Some(78_000)
            };
            let status = node.wait("the packets to be counted", |status| counted(&status["udp"]));
            let udp = &status["udp"];
            assert_eq!(
                (&udp["flows"][0], &udp["flows_total"]),
                (&1.into(), &serde_json::json!([1, 0])),
                "{udp}"
            );
        }
        let row = &(if at_edge { &pair.cloud } else { &pair.edge }).status()["expose"][0];
        assert_eq!((&row["port"], &row["protocol"]), (&"udp".into(), &"udp".into()));
    }
}

#[test]
fn tcp_alone_carries_packets_too() {
    let echo = Service::echo();
    let (pair, port) =
        served(true, echo.address(), |_, edge| edge.config["peers"][0]["transport"] = "tcp".into());
    all_sizes(port);
    assert_eq!(pair.cloud.peer(&pair.edge)["via"], "tcp");
}

#[test]
fn an_edge_sends_packets_to_another_edge_through_the_cloud() {
    let echo = Service::echo();
    let Pair { fabric, org, mut cloud, mut edge } =
        pair(|_, _, edge| edge.offers("echo", "udp", echo.address()));
    cloud.stop();
    let mut far = fabric.edge(&org, "edge-2");
    far.joins(&mut cloud);
    far.exposes_udp("echo.acme.example");
    cloud.start();
    far.start();
    let port = far.wait_reachable("echo.acme.example");
    all_sizes(port);
    // Many at a time, each with answers of its own.
    let clients: Vec<Client> = (0..20).map(|_| Client::new(port)).collect();
    for round in 0..3u8 {
        for (n, client) in clients.iter().enumerate() {
            client.echo(&[round, u8::try_from(n).unwrap(), 9]);
        }
    }
    assert_eq!(echo.callers(), 21);
    for node in [&far, &cloud, &edge] {
        assert_eq!(flows(node), 21, "at {}", node.full_name());
    }
    // The node between goes and comes back: clients go on where they were.
    cloud.stop();
    cloud.start();
    far.wait_reachable("echo.acme.example");
    clients[0].echo(b"after the restart");
    edge.stop();
}

#[test]
fn a_client_and_a_service_of_one_node_meet_there() {
    let echo = Service::echo();
    let pair = pair(|_, _, edge| {
        edge.offers("echo", "udp", echo.address());
        edge.exposes_udp("echo.acme.example");
    });
    all_sizes(pair.edge.wait_reachable("echo.acme.example"));
    assert_eq!(flows(&pair.cloud), 0);
}

/// A question with a number, as of DNS, and an answer that repeats it.
#[test]
fn many_clients_get_each_its_own_answers() {
    let names = Service::start(|question| Some([&question[..2], b" is 192.0.2.7"].concat()));
    let (_pair, port) = served(true, names.address(), |_, _| {});
    let threads: Vec<_> = (0..8u8)
        .map(|thread| {
            std::thread::spawn(move || {
                // Kept until the end, so that no two have the same port.
                let ask = |n| {
                    let (id, client) = ([thread, n], Client::new(port));
                    client.ask(&[&id[..], b" where is www?"].concat(), &[&id[..], b" is 192.0.2.7"].concat());
                    client
                };
                (0..40).map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let clients: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    assert_eq!(clients.len(), 320);
    assert_eq!(names.callers(), 320);
}

#[test]
fn an_idle_client_is_forgotten_everywhere_and_comes_back() {
    let echo = Service::echo();
    let (pair, port) =
        served(true, echo.address(), |cloud, _| cloud.config["limits"]["udp_idle_s"] = 1.into());
    let client = Client::new(port);
    client.echo(b"first");
    wait_flows(&pair.cloud, 0);
    wait_flows(&pair.edge, 0);
    client.echo(b"second");
    assert_eq!(echo.callers(), 2, "a new flow has a new socket");
    assert_eq!(udp(&pair.edge)["flows_total"][0], 2);
}

#[test]
fn a_service_that_is_away_gets_the_packets_when_it_is_back() {
    let echo = Service::echo();
    let (address, (pair, port)) = (echo.address(), served(true, echo.address(), |_, _| {}));
    let client = Client::new(port);
    client.echo(b"first");
    drop(echo);
    // Nobody there: the system says so to the edge, no answer comes, and the flow stays.
    assert_eq!(client.try_ask(b"anybody?", b"anybody?", Duration::from_secs(1)), None);
    wait::until("packets are counted as unreachable", wait::SOON, || {
        (udp(&pair.edge)["dropped_unreachable"].as_u64() > Some(0)).then_some(())
    });
    assert_eq!(flows(&pair.edge), 1);
    let echo = Service::start_at(address, |packet| Some(packet.to_vec()));
    client.echo(b"second");
    assert_eq!((echo.callers(), udp(&pair.edge)["flows_total"][0].as_u64()), (1, Some(1)));
}

#[test]
fn a_withdrawn_route_ends_flows_and_a_new_one_serves_the_same_client() {
    let (old, new) = (Service::echo(), Service::start(|packet| Some([b"new ", packet].concat())));
    let (pair, port) = served(true, old.address(), |_, _| {});
    let client = Client::new(port);
    client.echo(b"first");
    pair.edge.remove("echo");
    wait_flows(&pair.edge, 0);
    wait_flows(&pair.cloud, 0);
    assert_eq!(client.try_ask(b"gone?", b"gone?", Duration::from_millis(600)), None);
    wait::until("packets without a flow are counted", wait::SOON, || {
        (udp(&pair.cloud)["dropped_no_flow"].as_u64() > Some(0)).then_some(())
    });
    pair.edge.add_service(
        serde_json::json!({ "name": "echo", "protocol": "udp", "target": new.address().to_string() }),
    );
    client.ask(b"second", b"new second");
    assert_eq!(old.callers(), 1);
}

#[test]
fn a_full_table_refuses_new_clients_and_serves_old_ones() {
    let echo = Service::echo();
    let (pair, port) = served(true, echo.address(), |_, edge| {
        edge.config["limits"]["udp_flows"] = 2.into();
        edge.config["limits"]["udp_idle_s"] = 3.into();
    });
    let [one, two, three] = [(); 3].map(|()| Client::new(port));
    one.echo(b"one");
    two.echo(b"two");
    assert_eq!(three.try_ask(b"three", b"three", Duration::from_millis(700)), None);
    one.echo(b"one again");
    let seen = udp(&pair.edge);
    assert_eq!(seen["flows"], serde_json::json!([2, 2]));
    assert!(seen["flows_total"][1].as_u64() > Some(0), "{seen}");
    // When the two have been quiet for long enough there is room.
    three.echo(b"three at last");
}

#[test]
fn ports_and_services_of_different_protocols_do_not_meet() {
    let (echo, stream) = (Service::echo(), tcp::Service::echo());
    let pair = pair(|_, cloud, edge| {
        edge.offers("packets", "udp", echo.address());
        edge.offers("bytes", "tcp", stream.address());
        cloud.exposes("packets.acme.example");
        cloud.exposes_udp("bytes.acme.example");
        cloud.exposes_udp("packets.acme.example");
    });
    let rows = wait::until("the right port is reachable", wait::SOON, || {
        let rows = pair.cloud.status()["expose"].as_array().unwrap().clone();
        (rows[2]["state"] == "reachable").then_some(rows)
    });
    let state = |n: usize| rows[n]["state"].as_str().unwrap().to_string();
    assert!(state(0).contains("a udp service: the port is for tcp"), "{}", state(0));
    assert!(state(1).contains("set 'protocol'"), "{}", state(1));
    let listen = |n: usize| rows[n]["listen"].as_str().unwrap().parse::<SocketAddr>().unwrap();
    Client::new(listen(2)).echo(b"here");
    let wrong = Client::new(listen(1));
    assert_eq!(wrong.try_ask(b"there", b"there", Duration::from_millis(600)), None);
    // The reset may come before the client has its connection.
    let stream = tcp::try_connect(listen(0)).and_then(|stream| tcp::read_all(&stream));
    let why = stream.expect_err("a stream has no way to packets").kind();
    assert_eq!(why, std::io::ErrorKind::ConnectionReset);
    assert_eq!(echo.packets(), 1);
}

/// A service of one organisation for another: as long as it is exported, and not a packet longer.
#[test]
fn another_organisation_needs_the_permission() {
    let echo = Service::echo();
    let fabric = Fabric::new();
    let [acme, globex]: [Org; 2] = ["acme.example", "globex.example"].map(|name| fabric.org(name));
    let mut ours = fabric.cloud(&acme, "cloud-1");
    let mut theirs = fabric.edge(&globex, "edge-1");
    let agreement = fabric.agreement(
        "agreement.json",
        [
            serde_json::json!({ "org": "acme.example", "role": "peer" }),
            serde_json::json!({ "org": "globex.example", "role": "peer" }),
        ],
    );
    theirs.dials_under(&ours, &agreement);
    ours.awaits_under(&theirs, &agreement);
    ours.offers("echo", "udp", echo.address());
    ours.exports("echo", &globex);
    theirs.imports("echo", &acme);
    theirs.exposes_udp("echo.acme.example");
    ours.start();
    theirs.start();
    let client = Client::new(theirs.wait_reachable("echo.acme.example"));
    client.echo(b"with permission");
    let rule = serde_json::json!({ "direction": "export", "org": "globex.example", "service": "echo" });
    ours.ask(serde_json::json!({ "do": "rule-remove", "rule": rule }));
    wait_flows(&ours, 0);
    wait_flows(&theirs, 0);
    let before = echo.packets();
    assert_eq!(client.try_ask(b"without", b"without", Duration::from_secs(1)), None);
    assert_eq!(echo.packets(), before);
}

/// One client floods, the service takes nothing of it; others do not notice.
#[test]
fn a_flood_of_one_client_leaves_others_their_answers() {
    let echo = Service::start(|packet| (packet.len() < 100).then(|| packet.to_vec()));
    let (pair, port) = served(true, echo.address(), |_, _| {});
    let flood = std::thread::spawn(move || {
        let client = Client::new(port);
        for _ in 0..20_000 {
            client.send(&[7; 1_000]);
        }
    });
    let client = Client::new(port);
    let mut tries = 0;
    let mut asked = 0;
    while !flood.is_finished() || asked < 20 {
        tries += client.echo(&[asked; 16]);
        asked = asked.wrapping_add(1);
    }
    flood.join().unwrap();
    println!("{tries} packets for {asked} answers; {}", udp(&pair.cloud));
    client.echo(b"and after it");
}
