//! Nodes with Envoys that are drained under load: no request fails, and what lasts is waited for.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use catalyst_e2e::http::{self, Client, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::drain::{Drain, wait_marked};

const WEB: &str = "web.acme.example";

/// Clients that never rest: some keep their connections, some make one for each request.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(ingress: SocketAddr, words: &[&str]) -> Load {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let client = |keeps: bool| {
            let (stop, good, words) = (stop.clone(), good.clone(), words.clone());
            thread::spawn(move || {
                let (mut failed, mut kept) = (Vec::new(), None);
                while !stop.load(Ordering::SeqCst) {
                    let answer = if keeps {
                        let client = match kept.take() {
                            Some(client) => Ok(client),
                            None => Client::connect_for(ingress, WEB).map_err(|e| e.to_string()),
                        };
                        client.and_then(|mut client: Client| {
                            let said = client.get().map_err(|e| e.to_string());
                            kept = said.is_ok().then_some(client);
                            said
                        })
                    } else {
                        http::get_at(ingress, WEB).map_err(|e| e.to_string())
                    };
                    match answer {
                        Ok(said) if words.contains(&said) => drop(good.fetch_add(1, Ordering::SeqCst)),
                        other => failed.push(format!("{other:?}")),
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                failed
            })
        };
        let clients = [true, true, false, false].map(client).into();
        Load { stop, good, clients }
    }

    /// Waits until so many more have been answered.
    #[track_caller]
    fn goes_on(&self, more: usize) {
        let until = self.good.load(Ordering::SeqCst) + more;
        wait::until("more answers", SOON, || (self.good.load(Ordering::SeqCst) >= until).then_some(()));
    }

    /// Ends it. Every request must have been answered well.
    #[track_caller]
    fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let failed: Vec<String> = self.clients.into_iter().flat_map(|c| c.join().unwrap()).collect();
        let good = self.good.load(Ordering::SeqCst);
        assert!(
            failed.is_empty(),
            "{} of {} failed: {:?}",
            failed.len(),
            good + failed.len(),
            failed.first()
        );
        good
    }
}

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

/// Waits until a node's Envoy takes requests to both, and to each of them by its mesh port.
#[track_caller]
fn wait_both(node: &Node, services: [&Http; 2]) {
    let before = services.map(Http::requests);
    wait::until("both are used", SOON, || {
        let _ = http::get_at(node.ingress(), WEB);
        let now = services.map(Http::requests);
        (now[0] > before[0] && now[1] > before[1]).then_some(())
    });
}

#[track_caller]
fn wait_mesh(node: &Node, neighbours: usize) {
    node.wait("mesh ports answer", |status| {
        let rows = status["envoy"]["neighbours"].as_array();
        let good = |row: &&serde_json::Value| row["way"] == "mesh" && row["healthy"] == true;
        rows.is_some_and(|rows| rows.iter().filter(good).count() == neighbours)
    });
}

#[test]
fn an_origin_is_drained_under_load_without_a_failed_request_and_comes_back() {
    let (one, two) = (Http::start("one"), Http::start("two"));
    let (_fabric, [mut a, mut b, mut c]) = clouds(["a", "b", "c"]);
    a.joins(&mut b);
    a.joins(&mut c);
    b.offers("web", "http", one.address());
    c.offers("web", "http", two.address());
    [&mut a, &mut b, &mut c].into_iter().for_each(Node::start);
    wait_mesh(&a, 2);
    wait_both(&a, [&one, &two]);
    let load = Load::on(a.ingress(), &["one", "two"]);
    load.goes_on(100);

    let (code, said, took) = Drain::begin(&b, &["--stay"]).end();
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    wait_marked(&a, WEB, &b, true);
    let (drained, other) = (one.requests(), two.requests());
    load.goes_on(200);
    assert_eq!(one.requests(), drained, "nothing goes to the drained one");
    // A service counts a request before its client counts the answer, and each client has one under way.
    assert!(two.requests() + load.clients.len() >= other + 200);
    let out = b.cli(&["node", "undrain"]);
    assert!(out.status.success());
    wait::until("it has traffic again", SOON, || (one.requests() > drained + 20).then_some(()));

    let (code, said, took) = Drain::begin(&b, &[]).end();
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    b.ends();
    load.goes_on(200);
    assert!(load.end() > 500);
}

#[test]
fn a_drained_origin_that_stays_is_the_last_resort_and_no_more_than_that() {
    let (one, two) = (Http::start("one"), Http::start("two"));
    let (_fabric, [mut a, mut b, mut c]) = clouds(["a", "b", "c"]);
    a.joins(&mut b);
    a.joins(&mut c);
    b.offers("web", "http", one.address());
    c.offers("web", "http", two.address());
    [&mut a, &mut b, &mut c].into_iter().for_each(Node::start);
    wait_mesh(&a, 2);
    wait_both(&a, [&one, &two]);
    let load = Load::on(a.ingress(), &["one", "two"]);
    let (code, said, _) = Drain::begin(&b, &["--stay"]).end();
    assert_eq!(code, 0, "{said}");
    wait_marked(&a, WEB, &b, true);
    let drained = one.requests();
    // The other one stands still, for less than it takes to be given up: its requests wait for it.
    let envoy = Pid::from_raw(c.envoy_pid().unwrap());
    kill(envoy, Signal::SIGSTOP).unwrap();
    thread::sleep(Duration::from_millis(500));
    kill(envoy, Signal::SIGCONT).unwrap();
    load.goes_on(100);
    assert_eq!(one.requests(), drained, "a short stop moves nothing");
    // And for longer.
    kill(envoy, Signal::SIGSTOP).unwrap();
    wait::until("the drained one takes over", SOON, || (one.requests() > drained + 50).then_some(()));
    kill(envoy, Signal::SIGCONT).unwrap();
    wait::until("nothing goes to the drained one again", SOON, || {
        let before = one.requests();
        load.goes_on(50);
        (one.requests() == before).then_some(())
    });
    load.end();
}

#[test]
fn a_node_in_between_is_drained_and_the_other_way_takes_over() {
    let web = Http::start("behind both");
    let (_fabric, [mut a, mut b, mut c, mut d]) = clouds(["a", "b", "c", "d"]);
    a.joins(&mut b);
    a.joins(&mut c);
    b.joins(&mut d);
    c.joins(&mut d);
    d.offers("web", "http", web.address());
    [&mut a, &mut b, &mut c, &mut d].into_iter().for_each(Node::start);
    wait_mesh(&a, 2);
    a.wait_routes(WEB, "both ways", |rows| rows.len() == 2);
    wait::until("an answer", SOON, || http::get_at(a.ingress(), WEB).ok());
    let load = Load::on(a.ingress(), &["behind both"]);
    load.goes_on(50);
    // The lower name goes first among equals.
    a.wait_logged(&[("authority", WEB), ("status", "200"), ("peer", &b.spiffe())]);
    let (code, said, took) = Drain::begin(&b, &[]).end();
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    b.ends();
    load.goes_on(100);
    load.end();
    let through = c.spiffe();
    a.wait_logged(&[("authority", WEB), ("status", "200"), ("peer", &through)]);
}

#[test]
fn a_long_connection_holds_a_drained_node_until_the_deadline_and_a_request_until_its_end() {
    let raw = Service::echo();
    let (_fabric, [mut a, mut b]) = clouds(["a", "b"]);
    a.joins(&mut b);
    b.offers("raw", "tcp", raw.address());
    a.exposes("raw.acme.example");
    [&mut a, &mut b].into_iter().for_each(Node::start);
    wait_mesh(&a, 1);
    let port = a.wait_reachable("raw.acme.example");
    let echo = |client: &mut std::net::TcpStream| {
        client.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok()
    };
    let mut client = wait::until("an echo", SOON, || {
        let mut client = tcp::try_connect(port).ok()?;
        echo(&mut client).then_some(client)
    });
    // Nothing else can take it: it goes on at the drained one.
    let drain = Drain::begin(&b, &["--deadline", "6s"]);
    drain.wait_said("1 flow left, ");
    assert!(echo(&mut client));
    let (code, said, took) = drain.end();
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("the deadline is over: 1 flow cut"), "{said}");
    assert!(took >= Duration::from_secs(6), "{took:?}");
    b.ends();
    assert!(!echo(&mut client));
    // One that ends in time lets it go.
    b.start();
    let mut client = wait::until("an echo again", SOON, || {
        let mut client = tcp::try_connect(port).ok()?;
        echo(&mut client).then_some(client)
    });
    let drain = Drain::begin(&b, &[]);
    drain.wait_said("1 flow left, ");
    assert!(echo(&mut client));
    drop(client);
    let (code, said, took) = drain.end();
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    b.ends();
}

/// An edge dials two gateways, behind which there is a service; what it opened through the tunnel is waited for at the
/// gateway's Envoy, and what is new goes by the other one.
#[test]
fn a_gateway_of_an_edge_is_drained_and_the_edge_uses_the_other_one() {
    let raw = Service::echo();
    let (fabric, [mut b, mut c, mut d]) = clouds(["b", "c", "d"]);
    let mut edge = fabric.edge(&d.org, "edge-1");
    b.joins(&mut d);
    c.joins(&mut d);
    edge.joins(&mut b);
    edge.joins(&mut c);
    d.offers("raw", "tcp", raw.address());
    edge.exposes("raw.acme.example");
    [&mut d, &mut b, &mut c, &mut edge].into_iter().for_each(Node::start);
    wait_mesh(&b, 1);
    wait_mesh(&c, 1);
    let port = edge.wait_reachable("raw.acme.example");
    edge.wait_routes("raw.acme.example", "both ways", |rows| rows.len() == 2);
    let echo = |client: &mut std::net::TcpStream| {
        client.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok()
    };
    let connect = || {
        wait::until("an echo", SOON, || {
            let mut client = tcp::try_connect(port).ok()?;
            echo(&mut client).then_some(client)
        })
    };
    let mut old = connect();
    // The lower name goes first among equals.
    let flows = |node: &Node| node.status()["flows"][0].as_u64().unwrap();
    assert_eq!((flows(&b), flows(&c)), (1, 0));
    let drain = Drain::begin(&b, &[]);
    drain.wait_said("1 flow left, ");
    wait_marked(&edge, "raw.acme.example", &b, true);
    let mut new = connect();
    assert_eq!((flows(&b), flows(&c)), (1, 1));
    assert!(echo(&mut old), "what was there goes on");
    drop(old);
    let (code, said, took) = drain.end();
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    b.ends();
    assert!(echo(&mut new) && echo(&mut connect()));
}
