//! Several cloud nodes of one organisation: from Envoy to Envoy to Envoy, and around what has died.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Client, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, lab};
use serde_json::{Value, json};

/// On profile `wan` a loss is noticed within 3 s; the rest is for a machine that is busy.
const MOVED: Duration = Duration::from_secs(6);
/// A neighbour is asked every 5 s while it is not used, every second then; twice without an answer for 2 s is enough.
const UNUSED: Duration = Duration::from_secs(14);

fn clouds<const N: usize>(names: [&str; N]) -> (Fabric, [Node; N]) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let nodes = names.map(|name| {
        let mut node = fabric.cloud(&org, name);
        node.has_envoy();
        node
    });
    (fabric, nodes)
}

fn start<const N: usize>(nodes: &mut [Node; N]) {
    nodes.iter_mut().for_each(Node::start);
}

/// One byte there and back, over a connection of its own.
fn echoes(port: SocketAddr) -> Option<()> {
    let mut client = tcp::try_connect(port).ok()?;
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    client.write_all(b"x").ok()?;
    client.read_exact(&mut [0]).ok()
}

fn said(node: &Node, service: &str, words: &str) -> Option<()> {
    http::get_at(node.ingress(), service).ok().filter(|said| said == words).map(|_| ())
}

fn answers(node: &Node, words: &str) -> Option<()> {
    said(node, "web.acme.example", words)
}

#[test]
fn three_nodes_in_a_line_carry_requests_and_connections_and_each_knows_its_neighbour() {
    let (web, raw) = (Http::start("at the end of the line"), Service::echo());
    let (_fabric, mut line) = clouds(["a", "b", "c"]);
    let [a, b, c] = &mut line;
    a.joins(b);
    b.joins(c);
    c.offers("web", "http", web.address());
    c.offers("raw", "tcp", raw.address());
    a.exposes("raw.acme.example");
    start(&mut line);
    let [a, b, c] = &line;
    let port = a.wait_reachable("raw.acme.example");
    wait::until("an answer", SOON, || answers(a, web.words()));
    wait::until("an echo", SOON, || echoes(port));
    let (_, head) = http::ask(a.ingress(), "web.acme.example", "/head", &[]).unwrap();
    assert!(head.contains(&format!("x-catalyst-caller: {}\n", b.spiffe())), "the last hop's: {head}");
    let [first, second, third] = [a, b, c].map(Node::spiffe);
    for authority in ["web.acme.example", "raw.acme.example:1"] {
        let (here, ok) = (("authority", authority), ("status", "200"));
        a.wait_logged(&[here, ok, ("caller", &first), ("cluster", "peer|b.acme.example"), ("peer", &second)]);
        b.wait_logged(&[here, ok, ("caller", &first), ("cluster", "peer|c.acme.example"), ("peer", &third)]);
        let local = format!("local|{}", authority.trim_end_matches(":1"));
        c.wait_logged(&[here, ok, ("caller", &second), ("cluster", &local)]);
    }

    // The one between loses its Envoy: the node starts another, at the same ports.
    let (gone, own) = (b.kill_envoy(), b.ingress());
    wait::until("another Envoy", SOON, || b.envoy_pid().filter(|pid| *pid != gone));
    wait::until("an answer after it", SOON, || answers(a, web.words()));
    wait::until("an echo after it", SOON, || echoes(port));
    assert_eq!(http::get_at(own, "web.acme.example").unwrap(), web.words());
}

/// Waits until a node knows the way to a service that begins and ends at this neighbour.
#[track_caller]
pub(crate) fn wait_direct(node: &Node, service: &str, neighbour: &Node) {
    let way = json!([neighbour.name]);
    node.wait_routes(service, &format!("that of {}", neighbour.name), |rows| {
        rows.iter().any(|row| row["node_path"] == way)
    });
}

/// Requests and connections over `a` go to the nearer of two origins; it dies with all that belongs to it.
#[test]
fn when_the_best_origin_dies_the_other_takes_over_and_gives_back() {
    let (near, far) = (Http::start("near"), Http::start("far"));
    let (_fabric, mut triangle) = clouds(["a", "b", "c"]);
    let [a, b, c] = &mut triangle;
    a.joins(b);
    a.joins(c);
    b.joins(c);
    b.offers("web", "http", near.address());
    let web = json!({ "name": "web", "protocol": "http", "target": far.address().to_string(), "cost": 10 });
    c.config["services"] = json!([web]);
    c.offers("aside", "http", far.address());
    start(&mut triangle);
    let [a, b, c] = &mut triangle;
    a.wait_up(c);
    b.wait_up(c);
    for node in [&mut *b, &mut *c] {
        wait_direct(a, "web.acme.example", node);
    }
    wait::until("an answer of the nearer one", SOON, || answers(a, near.words()));
    wait::until("the mesh port of the other is used", SOON, || {
        said(a, "aside.acme.example", far.words())?;
        let over =
            |row: &Value| row["authority"] == "aside.acme.example" && row["peer"] == c.spiffe().as_str();
        a.log_rows().iter().any(over).then_some(())
    });
    // One that is kept open all the while.
    let mut client = Client::connect_for(a.ingress(), "web.acme.example").unwrap();
    for _ in 0..20 {
        assert_eq!(client.get().unwrap(), near.words());
    }
    b.kill_all();
    let mut failed = 0;
    wait::until("an answer of the farther one", MOVED, || {
        let answer = client.get();
        if answer.is_err() {
            failed += 1;
            client = Client::connect_for(a.ingress(), "web.acme.example").ok()?;
        }
        answer.ok().filter(|said| said == far.words())
    });
    for _ in 0..20 {
        assert_eq!(client.get().unwrap(), far.words());
    }
    // One request may have been on its way into the connection that died; it is not repeated, for the service may have it.
    assert!(failed <= 1, "{failed} requests failed, and there was a live alternative");
    a.wait_logged(&[("authority", "web.acme.example"), ("status", "200"), ("peer", &c.spiffe())]);
    b.start();
    wait::until("an answer of the nearer one again", SOON, || answers(a, near.words()));
}

/// One origin, two ways: the node on the better one dies.
#[test]
fn when_the_node_between_dies_the_other_way_is_taken() {
    let (web, raw) = (Http::start("behind two"), Service::echo());
    let (_fabric, mut square) = clouds(["a", "m1", "m2", "z"]);
    let [a, first, second, z] = &mut square;
    for middle in [&mut *first, &mut *second] {
        a.joins(middle);
        middle.joins(z);
        // Of its own, under its name.
        let name = middle.name.clone();
        middle.offers(&name, "http", web.address());
    }
    z.offers("web", "http", web.address());
    z.offers("raw", "tcp", raw.address());
    a.exposes("raw.acme.example");
    start(&mut square);
    let [a, first, second, _z] = &mut square;
    let port = a.wait_reachable("raw.acme.example");
    for middle in [&mut *first, &mut *second] {
        a.wait_up(middle);
    }
    a.wait_routes("web.acme.example", "both ways", |rows| rows.len() == 2);
    a.wait_routes("raw.acme.example", "both ways", |rows| rows.len() == 2);
    wait::until("an echo", SOON, || echoes(port));
    for service in [first.full_name(), second.full_name()] {
        wait::until("both mesh ports are there", SOON, || said(a, &service, web.words()));
    }
    assert_eq!(answers(a, web.words()), Some(()));
    a.wait_logged(&[("authority", "web.acme.example"), ("status", "200"), ("peer", &first.spiffe())]);
    first.kill_all();
    wait::until("an answer over the other", MOVED, || answers(a, web.words()));
    wait::until("an echo over the other", MOVED, || echoes(port));
    for authority in ["web.acme.example", "raw.acme.example:1"] {
        a.wait_logged(&[("authority", authority), ("status", "200"), ("peer", &second.spiffe())]);
    }
}

/// The neighbour lives and so does its Envoy, and not a packet passes, either way: no connection is refused, so only silence
/// tells. Its routes are kept for the restart time; they must not keep requests.
#[test]
fn when_the_link_to_the_node_between_swallows_all_the_other_way_is_taken_until_it_is_back() {
    if !lab::inside(
        "mesh_lines::when_the_link_to_the_node_between_swallows_all_the_other_way_is_taken_until_it_is_back",
    ) {
        return;
    }
    let (web, raw) = (Http::start("behind two"), Service::echo());
    let (_fabric, mut square) = clouds(["a", "m1", "m2", "z"]);
    let [a, first, second, z] = &mut square;
    for middle in [&mut *first, &mut *second] {
        a.joins(middle);
        middle.joins(z);
        let name = middle.name.clone();
        middle.offers(&name, "http", web.address());
    }
    z.offers("web", "http", web.address());
    z.offers("raw", "tcp", raw.address());
    a.exposes("raw.acme.example");
    start(&mut square);
    let [a, first, second, _z] = &square;
    let port = a.wait_reachable("raw.acme.example");
    for service in ["web.acme.example", "raw.acme.example"] {
        a.wait_routes(service, "both ways", |rows| rows.len() == 2);
    }
    for service in [first.full_name(), second.full_name(), "web.acme.example".to_string()] {
        wait::until("an answer", SOON, || said(a, &service, web.words()));
    }
    wait::until("an echo", SOON, || echoes(port));

    // All that goes to the peering port and to the mesh port of the first node, and all answers of theirs.
    let mesh: SocketAddr = first.config["envoy"]["listen"].as_str().unwrap().parse().unwrap();
    let ports = [first.address().port(), mesh.port()];
    let swallow = |yes: bool| {
        let what = if yes { "-A" } else { "-D" };
        for port in ports {
            for protocol in ["tcp", "udp"] {
                for end in ["--dport", "--sport"] {
                    lab::run(&format!("iptables {what} INPUT -p {protocol} {end} {port} -j DROP"));
                }
            }
        }
    };
    swallow(true);
    let cut = Instant::now();
    // At first each waits for a connection that cannot stand, and goes the other way then.
    wait::until("an answer over the other", MOVED, || answers(a, web.words()));
    println!("a request went over the other node {:?} after the link was lost", cut.elapsed());
    let prompt = || {
        let asked = Instant::now();
        let both = answers(a, web.words()).is_some() && echoes(port).is_some();
        (both && asked.elapsed() < Duration::from_secs(1)).then_some(())
    };
    wait::until("nobody waits any more", UNUSED, prompt);
    println!("nobody waited any more after {:?}", cut.elapsed());
    a.wait_down(first);
    for _ in 0..20 {
        assert_eq!(prompt(), Some(()), "{}", a.fabric.logs());
    }
    for authority in ["web.acme.example", "raw.acme.example:1"] {
        a.wait_logged(&[("authority", authority), ("status", "200"), ("peer", &second.spiffe())]);
    }
    assert_eq!(a.peer(second)["sessions"], 1);

    swallow(false);
    let healed = Instant::now();
    a.wait_for("the session is back", 3 * SOON, json!({ "do": "peers" }), |rows| {
        rows.as_array().is_some_and(|rows| rows.iter().all(|row| row["state"] == "up"))
    });
    wait::until("what the first node alone has", SOON, || said(a, &first.full_name(), web.words()));
    println!("the link was in use again after {:?}", healed.elapsed());
    assert!(answers(a, web.words()).is_some() && echoes(port).is_some());
}
