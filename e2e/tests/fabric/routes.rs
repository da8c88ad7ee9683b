//! Routes between nodes of one organisation: they reach every node, change everywhere, and leave no trace.

use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::{Fabric, Node, Org, wait};
use serde_json::{Value, json};

/// Cloud nodes `n-0`, `n-1`, ... of one organisation, not started.
fn clouds(count: usize) -> (Fabric, Org, Vec<Node>) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let nodes = (0..count).map(|n| fabric.cloud(&org, &format!("n-{n}"))).collect();
    (fabric, org, nodes)
}

/// Joins two nodes: `from` dials `to`.
fn join(nodes: &mut [Node], from: usize, to: usize) {
    let [a, b] = nodes.get_disjoint_mut([from, to]).unwrap();
    a.joins(b);
}

fn start(nodes: &mut [Node], links: &[(usize, usize)]) {
    for (from, to) in links {
        join(nodes, *from, *to);
    }
    nodes.iter_mut().for_each(Node::start);
    wait_up(nodes, links);
}

fn wait_up(nodes: &[Node], links: &[(usize, usize)]) {
    for (from, to) in links {
        nodes[*from].wait_up(&nodes[*to]);
        nodes[*to].wait_up(&nodes[*from]);
    }
}

/// No session was lost or renewed.
fn assert_first_sessions(nodes: &[Node], links: &[(usize, usize)]) {
    for (from, to) in links.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]) {
        let row = nodes[from].peer(&nodes[to]);
        assert_eq!((&row["state"], &row["sessions"]), (&json!("up"), &json!(1)), "{row:#}");
    }
}

/// A target that nobody needs to reach.
fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// The UPDATE frames that a recording holds.
fn updates(recording: &PathBuf) -> usize {
    let text = std::fs::read_to_string(recording).unwrap();
    let frame = |line: &str| -> Option<String> {
        let record: Value = serde_json::from_str(line).ok()?;
        Some(record["event"]["PeerFrame"]["frame"].as_str()?.to_string())
    };
    // Type 2, in the first byte.
    text.lines().filter_map(frame).filter(|frame| frame.starts_with("02")).count()
}

#[test]
fn both_ends_register_at_the_same_moment() {
    let (_fabric, _org, mut nodes) = clouds(2);
    start(&mut nodes, &[(0, 1)]);
    const ROUNDS: usize = 25;
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for node in &nodes {
            let barrier = &barrier;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    node.add(&format!("{}-{round}", node.name), nowhere());
                }
            });
        }
    });
    for node in &nodes {
        let all = node.wait_for("all services of both", wait::SOON, json!({ "do": "routes" }), |rows| {
            rows.as_array().is_some_and(|rows| rows.len() == 2 * ROUNDS)
        });
        assert!(all.as_array().unwrap().iter().all(|r| r["standing"] == "best"), "{all:#}");
    }
    assert_first_sessions(&nodes, &[(0, 1)]);
}

/// Registers one service at the first node of a cycle, changes it, removes it; bounds the messages of each: a few
/// for each direction of a link, as the longer ways are learnt and given up.
fn one_registration_in_a_cycle(links: &[(usize, usize)]) {
    let count = links.len();
    let bound = 2 * count * 4;
    let (fabric, _org, mut nodes) = clouds(count);
    for (from, to) in links {
        join(&mut nodes, *from, *to);
    }
    let recordings: Vec<PathBuf> = (0..count).map(|n| fabric.dir().join(format!("{n}.jsonl"))).collect();
    for (node, recording) in nodes.iter_mut().zip(&recordings) {
        node.start_with(&["--record", recording.to_str().unwrap()]);
    }
    wait_up(&nodes, links);
    let messages = || recordings.iter().map(updates).sum::<usize>();
    // Converged: every node has it, from its own end, by the shortest way.
    let check = |cost: u32| {
        for (n, node) in nodes.iter().enumerate() {
            let distance = n.min(count - n);
            let what = format!("best at distance {distance} with cost {cost}");
            node.wait_routes("one.acme.example", &what, |rows| {
                rows[..].iter().any(|r| {
                    let path = r["node_path"].as_array().map_or(usize::MAX, Vec::len);
                    r["standing"] == "best" && path == distance && r["cost"] == cost
                }) && rows.iter().all(|r| r["cost"] == cost)
            });
        }
    };
    // Settled: no more messages come.
    let settled = |before: usize, what: &str| {
        let mut last = (messages(), Instant::now());
        wait::until("the cycle is quiet", wait::SOON, || {
            let now = messages();
            if now != last.0 {
                last = (now, Instant::now());
            }
            (last.1.elapsed() > Duration::from_millis(200)).then_some(())
        });
        let spent = last.0 - before;
        println!("cycle of {count}: {what} took {spent} UPDATE frames");
        assert!(spent <= bound, "{what} took {spent} UPDATE frames, more than {bound}");
        last.0
    };
    let begin = messages();
    nodes[0].add("one", nowhere());
    check(0);
    let added = settled(begin, "one registration");
    nodes[0].add_service(json!({ "name": "one", "target": "127.0.0.1:9", "cost": 7 }));
    check(7);
    let changed = settled(added, "one change");
    nodes[0].remove("one");
    for node in &nodes {
        node.wait_no_route("one.acme.example");
    }
    settled(changed, "one removal");
    for node in &nodes {
        assert_eq!(node.routes(), [] as [Value; 0], "a zombie at {}", node.name);
    }
    assert_first_sessions(&nodes, links);
}

#[test]
fn one_registration_in_a_triangle_converges_and_goes_again() {
    one_registration_in_a_cycle(&[(0, 1), (1, 2), (2, 0)]);
}

#[test]
fn one_registration_in_a_ring_of_four_converges_and_goes_again() {
    one_registration_in_a_cycle(&[(0, 1), (1, 2), (2, 3), (3, 0)]);
}

#[test]
fn a_ring_that_loses_its_origin_forgets_it_everywhere() {
    let links = [(0, 1), (1, 2), (2, 3), (3, 0)];
    let (_fabric, _org, mut nodes) = clouds(4);
    start(&mut nodes, &links);
    nodes[0].add("one", nowhere());
    for node in &nodes {
        node.wait_route("one.acme.example");
    }
    nodes[0].kill();
    for node in &nodes[1..] {
        node.wait_no_route("one.acme.example");
    }
    // Nobody brings it back to life.
    for node in &nodes[1..] {
        wait::stays("no zombie", Duration::from_millis(100), || node.routes().is_empty());
    }
}

#[test]
fn a_line_of_three_propagates_changes_and_withdraws() {
    let (_fabric, _org, mut nodes) = clouds(3);
    start(&mut nodes, &[(0, 1), (1, 2)]);
    nodes[0].add("one", nowhere());
    let rows = nodes[2].wait_route("one.acme.example");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["node_path"], json!(["n-1", "n-0"]));
    assert_eq!((&rows[0]["origin"], &rows[0]["via"]), (&json!("n-0"), &json!("n-1.acme.example")));

    nodes[0].remove("one");
    nodes[2].wait_no_route("one.acme.example");
    nodes[1].wait_no_route("one.acme.example");
    for node in &nodes {
        assert_eq!(node.status()["routes"][0], 0, "a zombie at {}", node.name);
    }
}

#[test]
fn a_change_of_any_attribute_reaches_every_node() {
    let (_fabric, _org, mut nodes) = clouds(3);
    start(&mut nodes, &[(0, 1), (1, 2)]);
    let service = |more: Value| {
        let mut service = json!({ "name": "one", "target": "127.0.0.1:9" });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        service
    };
    for more in [
        json!({}),
        json!({ "cost": 10 }),
        json!({ "cost": 10, "weight": 3 }),
        json!({ "cost": 10, "weight": 3, "tags": ["acme.example:gold"] }),
        json!({ "cost": 10, "tags": ["acme.example:gold", "acme.example:new"] }),
        json!({ "protocol": "http" }),
        json!({ "cost": 0, "weight": 100, "tags": [], "protocol": "tcp" }),
    ] {
        nodes[0].add_service(service(more.clone()));
        let wanted = |key: &str, default: Value| more.get(key).cloned().unwrap_or(default);
        for node in &nodes {
            node.wait_routes("one.acme.example", &more.to_string(), |rows| {
                rows.len() == 1
                    && rows[0]["cost"] == wanted("cost", json!(0))
                    && rows[0]["weight"] == wanted("weight", json!(100))
                    && rows[0]["tags"] == wanted("tags", json!([]))
                    && rows[0]["protocol"] == wanted("protocol", json!("tcp"))
            });
        }
    }
    assert_first_sessions(&nodes, &[(0, 1), (1, 2)]);
}

#[test]
fn a_restarted_middle_of_a_line_brings_everything_back() {
    let (_fabric, _org, mut nodes) = clouds(3);
    start(&mut nodes, &[(0, 1), (1, 2)]);
    nodes[0].add("left", nowhere());
    nodes[2].add("right", nowhere());
    nodes[2].wait_route("left.acme.example");
    nodes[0].wait_route("right.acme.example");
    nodes[1].kill();
    nodes[2].wait_no_route("left.acme.example");
    nodes[0].wait_no_route("right.acme.example");
    // While the middle is away, the ends change.
    nodes[0].remove("left");
    nodes[0].add("other", nowhere());
    nodes[1].start();
    nodes[2].wait_route("other.acme.example");
    nodes[0].wait_route("right.acme.example");
    assert_eq!(nodes[2].routes_to("left.acme.example"), [] as [Value; 0]);
}

#[test]
fn a_late_joiner_gets_the_full_table() {
    const ROUTES: usize = 500;
    let (fabric, org, mut nodes) = clouds(1);
    let mut late = fabric.edge(&org, "late");
    late.joins(&mut nodes[0]);
    nodes[0].start();
    // Adding waits for the disk; the disk takes several at once.
    let node = &nodes[0];
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                (part..ROUTES).step_by(4).for_each(|n| node.add(&format!("s-{n}"), nowhere()))
            });
        }
    });
    let begin = Instant::now();
    late.start();
    let rows = late.wait_for("the full table", wait::SOON, json!({ "do": "routes" }), |rows| {
        rows.as_array().is_some_and(|rows| rows.len() == ROUTES)
    });
    println!("{ROUTES} routes at the late joiner {:?} after its start", begin.elapsed());
    assert!(rows.as_array().unwrap().iter().all(|r| r["standing"] == "best" && r["origin"] == "n-0"));
    late.wait_up(&nodes[0]);
    assert_eq!(late.peer(&nodes[0])["routes"], ROUTES);
    assert_eq!(nodes[0].peer(&late)["announced"], ROUTES);
}

#[test]
fn a_remote_withdrawal_leaves_the_local_service_of_the_same_name() {
    let (ours, theirs) = (Http::start("ours"), Http::start("theirs"));
    let (_fabric, _org, mut nodes) = clouds(2);
    nodes[0].exposes("hello.acme.example");
    start(&mut nodes, &[(0, 1)]);
    nodes[0].add("hello", ours.address());
    nodes[1].add("hello", theirs.address());
    for node in &nodes {
        node.wait_routes("hello.acme.example", "both origins", |rows| rows.len() == 2);
    }
    let port = nodes[0].port("hello.acme.example");
    assert_eq!(http::get(port).unwrap(), "ours");

    nodes[1].remove("hello");
    let rows = nodes[0].wait_routes("hello.acme.example", "one origin", |rows| rows.len() == 1);
    assert_eq!((&rows[0]["origin"], &rows[0]["standing"]), (&json!("n-0"), &json!("best")));
    assert_eq!(http::get(port).unwrap(), "ours");
    assert_eq!(nodes[0].status()["services"].as_array().unwrap().len(), 1);
    nodes[1].wait_routes("hello.acme.example", "the other's alone", |rows| {
        rows.len() == 1 && rows[0]["origin"] == "n-0"
    });
    assert_eq!(theirs.requests(), 0);
}

/// An edge `near` with a port for `hello`, which `far` offers: `near - a - far` is the short way,
/// `near - b - x - far` the long one.
struct Diamond {
    a: Node,
    x: Node,
    near: Node,
    port: std::net::SocketAddr,
    _others: [Node; 2],
}

fn diamond(web: &Http) -> Diamond {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut a, mut b, mut x] = ["a", "b", "x"].map(|name| fabric.cloud(&org, name));
    let [mut near, mut far] = ["near", "far"].map(|name| fabric.edge(&org, name));
    near.joins(&mut a);
    near.joins(&mut b);
    far.joins(&mut a);
    far.joins(&mut x);
    x.joins(&mut b);
    far.offers("hello", "http", web.address());
    near.exposes("hello.acme.example");
    for node in [&mut a, &mut b, &mut x, &mut near, &mut far] {
        node.start();
    }
    near.wait_routes("hello.acme.example", "two ways", |rows| {
        rows.len() == 2 && rows[0]["via"] == "a.acme.example" && rows[0]["standing"] == "best"
    });
    let port = near.wait_reachable("hello.acme.example");
    Diamond { a, x, near, port, _others: [b, far] }
}

#[test]
fn the_client_keeps_getting_answers_when_the_best_way_is_lost() {
    let web = Http::start("hello");
    let Diamond { mut a, x, near, port, _others } = diamond(&web);
    assert_eq!(http::get(port).unwrap(), "hello");
    assert_eq!(x.status()["flows_total"][0], 0);

    let killed = a.kill();
    wait::until("an answer by the other way", wait::SOON, || {
        http::get(port).ok().filter(|got| got == "hello")
    });
    let outage = killed.elapsed();
    println!("best way killed: the client had its next answer after {outage:?}");
    assert!(outage < Duration::from_secs(4), "no answer for {outage:?}");
    let rows = near.wait_routes("hello.acme.example", "the other way alone", |rows| rows.len() == 1);
    assert_eq!((&rows[0]["via"], &rows[0]["standing"]), (&json!("b.acme.example"), &json!("best")));
    for _ in 0..20 {
        assert_eq!(http::get(port).unwrap(), "hello");
    }
    // At last the best way is back, and used.
    a.start();
    near.wait_routes("hello.acme.example", "the short way is best again", |rows| {
        rows.len() == 2 && rows[0]["via"] == "a.acme.example" && rows[0]["standing"] == "best"
    });
    let before = x.status()["flows_total"][0].clone();
    assert_eq!(http::get(port).unwrap(), "hello");
    assert_eq!(x.status()["flows_total"][0], before);
}

#[test]
fn a_withdrawal_by_a_peer_that_was_not_best_changes_nothing_else() {
    let web = Http::start("hello");
    let Diamond { mut x, near, port, a: _a, _others } = diamond(&web);
    x.stop();
    let begin = Instant::now();
    loop {
        // Not one request fails while the other way goes.
        let got = http::get(port);
        assert!(got.as_ref().is_ok_and(|got| got == "hello"), "{got:?}\n{}", near.fabric.logs());
        let rows = near.routes_to("hello.acme.example");
        assert_eq!(rows[0]["via"], "a.acme.example", "{rows:#?}");
        assert_eq!(rows[0]["standing"], "best", "{rows:#?}");
        if rows.len() == 1 {
            break;
        }
        assert!(begin.elapsed() < wait::SOON, "the other way is still there: {rows:#?}");
    }
    assert_eq!(http::get(port).unwrap(), "hello");
}
