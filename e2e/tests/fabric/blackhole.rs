//! A link that swallows everything, without a word: how soon each link profile notices, what becomes of flows and routes, and
//! that all comes back by itself. Packets are dropped by iptables on both ends of one wire; a second wire is left alone.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::lab::{self, Machine};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node, wait};
use serde_json::json;

/// A profile; it must not give up before the first time, and must have noticed by the second, on a machine that is busy
/// with other tests.
const PROFILES: [(&str, Duration, Duration); 4] = [
    ("lan", Duration::from_millis(450), Duration::from_secs(3)),
    ("wan", Duration::from_millis(1500), Duration::from_secs(5)),
    ("cellular", Duration::from_secs(15), Duration::from_secs(30)),
    ("satellite", Duration::from_secs(30), Duration::from_secs(60)),
];
/// The longest try of a dialler, and what a TCP connection waits in it.
const BACK: Duration = Duration::from_secs(120);

fn swallow(board: &Machine, yes: bool) {
    let line = format!("iptables {} INPUT -i wan -j DROP", if yes { "-A" } else { "-D" });
    lab::run(&line);
    board.run(&line);
}

fn echoed(mut client: &TcpStream) -> Option<()> {
    client.write_all(b"x").ok()?;
    client.read_exact(&mut [0]).ok()
}

fn answers(port: SocketAddr) -> Option<()> {
    let client = tcp::try_connect(port).ok()?;
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    echoed(&client)
}

fn state(node: &Node, peer: &Node, wanted: &str) -> Option<()> {
    (node.peer(peer)["state"] == wanted).then_some(())
}

#[test]
fn every_profile_notices_in_its_time_and_recovers() {
    if !lab::inside("blackhole::every_profile_notices_in_its_time_and_recovers") {
        return;
    }
    let board = Machine::new();
    board.wire("lan", "10.2.0.1", "10.2.0.2");
    board.wire("wan", "10.1.0.1", "10.1.0.2");
    board.wire("other", "10.3.0.1", "10.3.0.2");
    let echo = Service::echo_on([10, 2, 0, 1].into());
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    cloud.config["listen"] = json!("0.0.0.0:7443");
    let mut edges = Vec::new();
    for (profile, address) in
        PROFILES.map(|p| (p.0, "10.1.0.1:7443")).into_iter().chain([("control", "10.3.0.1:7443")])
    {
        let mut edge = fabric.edge(&org, profile);
        edge.joins(&mut cloud);
        edge.config["peers"][0]["address"] = json!(address);
        if profile != "control" {
            edge.config["peers"][0]["profile"] = json!(profile);
            let at = edges.len();
            cloud.config["peers"][at]["profile"] = json!(profile);
        }
        edge.offers(&format!("echo-{profile}"), "tcp", echo.address());
        cloud.exposes(&format!("echo-{profile}.acme.example"));
        edges.push(edge);
    }
    cloud.start();
    for edge in &mut edges {
        edge.start_under(&board.enter());
    }
    let service = |edge: &Node| format!("echo-{}.acme.example", edge.name);
    let ports: Vec<_> = edges.iter().map(|e| cloud.wait_reachable(&service(e))).collect();
    let clients: Vec<_> = ports.iter().map(|p| tcp::connect(*p)).collect();
    for client in &clients {
        echoed(client).unwrap();
    }

    let (control, profiled) = edges.split_last().unwrap();
    let kept = clients.last().unwrap();
    swallow(&board, true);
    let cut = Instant::now();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut watching = Vec::new();
        for ((edge, client), (profile, least, most)) in profiled.iter().zip(&clients).zip(PROFILES) {
            let (cloud, service) = (&cloud, service(edge));
            watching.push(scope.spawn(move || {
                // Waits for the end of its flow, which is a reset: nothing that was cut looks finished.
                let mut client = client;
                client.set_read_timeout(Some(BACK)).unwrap();
                let end = client.read(&mut [0]).map_err(|e| e.kind());
                let noticed = cut.elapsed();
                assert_eq!(end, Err(ErrorKind::ConnectionReset), "{profile}");
                assert!(least <= noticed && noticed <= most, "{profile}: noticed after {noticed:?}");
                println!("{profile}: the client's flow was reset after {noticed:?}");
                wait::until("down on both ends", most, || {
                    state(cloud, edge, "down").and(state(edge, cloud, "down"))
                });
                assert!(cut.elapsed() <= most + wait::SOON, "{profile}: down after {:?}", cut.elapsed());
                assert!(cloud.routes_to(&service).is_empty(), "{profile}: its routes are withdrawn");
                let why = cloud.peer(edge)["last_error"].to_string();
                println!("{profile}: down on both ends after {:?}: {why}", cut.elapsed());
                // A new flow is refused at once; nobody waits for what cannot come.
                let asked = Instant::now();
                assert!(answers(cloud.port(&service)).is_none());
                assert!(asked.elapsed() < Duration::from_secs(2), "{profile}: {:?}", asked.elapsed());
            }));
        }
        // The neighbour on the other wire hears nothing of it.
        let untouched = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                echoed(kept).expect("the other link is not touched");
                thread::sleep(Duration::from_millis(100));
            }
        });
        let failed = watching.into_iter().map(|w| w.join().is_err()).filter(|failed| *failed).count();
        over.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0, "profiles that failed");
        untouched.join().unwrap();
    });
    echoed(kept).expect("its flow lives");
    assert_eq!(cloud.peer(control)["sessions"], 1);

    swallow(&board, false);
    let healed = Instant::now();
    for (edge, port) in profiled.iter().zip(&ports) {
        wait::until("it answers again", BACK, || answers(*port));
        println!("{}: answers {:?} after the link was back", edge.name, healed.elapsed());
        wait::until("up", wait::SOON, || state(&cloud, edge, "up"));
    }
    echoed(kept).expect("its flow lives");
    assert_eq!(cloud.peer(control)["sessions"], 1);
}

/// Two upstream nodes, and the link to one of them swallows everything.
#[test]
fn flows_go_over_the_other_node_when_a_link_swallows_all() {
    if !lab::inside("blackhole::flows_go_over_the_other_node_when_a_link_swallows_all") {
        return;
    }
    let board = Machine::new();
    board.wire("lan", "10.2.0.1", "10.2.0.2");
    board.wire("wan", "10.1.0.1", "10.1.0.2");
    board.wire("other", "10.3.0.1", "10.3.0.2");
    let echo = Service::echo_on([10, 2, 0, 1].into());
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut first, mut second, mut far] = ["cloud-1", "cloud-2", "far"].map(|n| fabric.cloud(&org, n));
    let mut edge = fabric.edge(&org, "edge-1");
    for (at, (middle, address)) in
        [(&mut first, "10.1.0.1:7443"), (&mut second, "10.3.0.1:7443")].into_iter().enumerate()
    {
        edge.joins(middle);
        far.joins(middle);
        middle.config["listen"] = json!(address);
        edge.config["peers"][at]["address"] = json!(address);
        far.config["peers"][at]["address"] = json!(address);
    }
    far.offers("above", "tcp", echo.address());
    edge.offers("below", "tcp", echo.address());
    edge.exposes("above.acme.example");
    edge.config["expose"][0]["listen"] = json!("10.2.0.2:0");
    far.exposes("below.acme.example");
    for node in [&mut first, &mut second, &mut far] {
        node.start();
    }
    edge.start_under(&board.enter());
    let (above, below) =
        (edge.wait_reachable("above.acme.example"), far.wait_reachable("below.acme.example"));
    edge.wait_routes("above.acme.example", "two ways", |rows| rows.len() == 2);
    far.wait_routes("below.acme.example", "two ways", |rows| rows.len() == 2);
    for port in [above, below] {
        wait::until("an answer", wait::SOON, || answers(port));
    }
    swallow(&board, true);
    let cut = Instant::now();
    for (port, way) in [(above, "from the edge"), (below, "to the edge")] {
        wait::until("an answer over the other node", Duration::from_secs(8), || answers(port));
        println!("{way}: an answer over the other node {:?} after the link was lost", cut.elapsed());
    }
    edge.wait_down(&first);
    first.wait_down(&edge);
    assert_eq!((&edge.peer(&second)["sessions"], &edge.peer(&second)["state"]), (&json!(1), &json!("up")));
    for _ in 0..20 {
        assert!(answers(above).is_some() && answers(below).is_some());
    }
    swallow(&board, false);
    let healed = Instant::now();
    wait::until("the link is used again", BACK, || {
        state(&edge, &first, "up").and((edge.routes_to("above.acme.example").len() == 2).then_some(()))
    });
    println!("the link is back in use after {:?}", healed.elapsed());
    for _ in 0..20 {
        assert!(answers(above).is_some() && answers(below).is_some());
    }
}
