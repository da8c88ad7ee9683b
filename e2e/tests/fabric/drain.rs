//! Nodes that are drained: what the command says, and flows of the tunnel, without Envoys.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::process::both;
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

/// A `node drain` that runs, and what it has said so far.
pub(crate) struct Drain {
    command: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    begun: Instant,
}

fn collect(from: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    let into = into.clone();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap().push_str(&format!("{line}\n"));
        }
    })
}

impl Drain {
    #[track_caller]
    pub(crate) fn begin(node: &Node, args: &[&str]) -> Drain {
        let mut command = node.cli_command(&[&["node", "drain"], args].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = command.spawn().unwrap();
        let said = Arc::default();
        let readers = vec![
            collect(command.stdout.take().unwrap(), &said),
            collect(command.stderr.take().unwrap(), &said),
        ];
        Drain { command, said, readers, begun: Instant::now() }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn wait_said(&self, words: &str) {
        let says = || self.said().contains(words).then_some(());
        assert!(wait::poll(SOON, says).is_some(), "not said: {words}: {}", self.said());
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.command.id().cast_signed()), Signal::SIGINT).unwrap();
    }

    /// Waits for its end. Returns the exit code, what it said and how long it took.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, String, Duration) {
        let limit = Duration::from_secs(40);
        let ended = wait::poll(limit, || self.command.try_wait().unwrap());
        let took = self.begun.elapsed();
        let Some(status) = ended else {
            let _ = self.command.kill();
            panic!("'node drain' does not end: {}", self.said());
        };
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status.code().unwrap_or(-1), self.said(), took)
    }
}

fn echoes(mut stream: &std::net::TcpStream) -> bool {
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

/// Waits until a way to a service through this neighbour is marked, or is not any more.
#[track_caller]
pub(crate) fn wait_marked(node: &Node, service: &str, neighbour: &Node, marked: bool) {
    let via = neighbour.full_name();
    node.wait_routes(service, &format!("the one via {via}: draining is {marked}"), |rows| {
        let of_it: Vec<_> = rows.iter().filter(|row| row["via"] == via.as_str()).collect();
        !of_it.is_empty() && of_it.iter().all(|row| (row["draining"] == true) == marked)
    });
}

/// `a` uses `raw`, which `b` and `c` offer; nobody has an Envoy.
fn triangle() -> (Fabric, [Node; 3], [Service; 2]) {
    let raw = [Service::echo(), Service::echo()];
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|name| fabric.cloud(&org, name));
    a.joins(&mut b);
    a.joins(&mut c);
    b.offers("raw", "tcp", raw[0].address());
    c.config["services"] =
        json!([{ "name": "raw", "protocol": "tcp", "target": raw[1].address().to_string(), "cost": 10 }]);
    a.exposes("raw.acme.example");
    (fabric, [a, b, c], raw)
}

#[test]
fn flows_of_the_tunnel_end_by_themselves_and_new_ones_go_elsewhere() {
    let (_fabric, [mut a, mut b, mut c], raw) = triangle();
    [&mut a, &mut b, &mut c].into_iter().for_each(Node::start);
    a.wait_up(&c);
    let port = a.wait_reachable("raw.acme.example");
    a.wait_routes("raw.acme.example", "both", |rows| rows.len() == 2);
    let old = tcp::connect(port);
    assert!(echoes(&old));
    assert_eq!(raw[0].taken(), 1, "the cheaper one");

    let drain = Drain::begin(&b, &["--deadline", "30s"]);
    drain.wait_said("1 flow left, ");
    wait_marked(&a, "raw.acme.example", &b, true);
    let text = both(&a.cli(&["route", "ls"]));
    assert!(text.contains("b.acme.example (draining)"), "{text}");
    let text = both(&b.cli(&["status"]));
    assert!(text.contains("draining for ") && text.contains("next: this node drains (1 flow left"), "{text}");
    assert_eq!(b.status()["drain"]["state"], "draining");
    for _ in 0..10 {
        assert!(echoes(&tcp::connect(port)));
    }
    assert_eq!((raw[0].taken(), raw[1].taken()), (1, 10), "new ones go to the other");
    assert!(echoes(&old), "the old one lives");
    let again = b.cli(&["node", "drain"]);
    assert_eq!(again.status.code(), Some(5), "{}", both(&again));
    assert!(both(&again).contains("drains already, for "), "{}", both(&again));
    drop(old);
    let (code, said, took) = drain.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("drained: nothing of neighbours is under way\n"), "{said}");
    assert!(said.ends_with("the node has stopped\n"), "{said}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    b.ends();
    let log = std::fs::read_to_string(a.log()).unwrap();
    assert!(log.contains("b.acme.example is stopping: drained"), "{log}");
    assert!(echoes(&tcp::connect(port)));
}

#[test]
fn a_drain_is_taken_back_interrupted_and_not_kept_over_a_restart() {
    let (_fabric, [mut a, mut b, mut c], raw) = triangle();
    [&mut a, &mut b, &mut c].into_iter().for_each(Node::start);
    let port = a.wait_reachable("raw.acme.example");
    a.wait_routes("raw.acme.example", "both", |rows| rows.len() == 2);
    assert!(b.cli(&["node", "undrain"]).status.code() == Some(5), "there is nothing to take back");

    // It stays, and goes on as the last choice.
    let (code, said, _) = Drain::begin(&b, &["--stay"]).end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the node stays"), "{said}");
    wait_marked(&a, "raw.acme.example", &b, true);
    assert!(b.status()["next_step"].as_str().unwrap().contains("node undrain"));
    assert!(echoes(&tcp::connect(port)));
    assert_eq!((raw[0].taken(), raw[1].taken()), (0, 1));
    // Also for who comes back while it lasts.
    a.stop();
    a.start();
    a.wait_routes("raw.acme.example", "both", |rows| rows.len() == 2);
    let port = a.wait_reachable("raw.acme.example");
    wait_marked(&a, "raw.acme.example", &b, true);
    c.stop();
    a.wait_routes("raw.acme.example", "one", |rows| rows.len() == 1);
    assert!(echoes(&tcp::connect(port)), "it is used when there is nothing else");
    assert_eq!(raw[0].taken(), 1);
    c.start();
    a.wait_routes("raw.acme.example", "both", |rows| rows.len() == 2);
    let out = b.cli(&["node", "undrain", "--json"]);
    assert!(out.status.success(), "{}", both(&out));
    wait_marked(&a, "raw.acme.example", &b, false);
    assert!(echoes(&tcp::connect(port)));
    assert_eq!(raw[0].taken(), 2, "the cheaper one again");

    // Who interrupts the command only looks away.
    let held = tcp::connect(port);
    assert!(echoes(&held));
    let drain = Drain::begin(&b, &[]);
    drain.wait_said("1 flow left, ");
    drain.interrupt();
    let (code, said, _) = drain.end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the drain goes on") && said.contains("undrain"), "{said}");
    assert_eq!(b.status()["drain"]["state"], "draining");
    b.stop();
    b.start();
    a.wait_up(&b);
    wait_marked(&a, "raw.acme.example", &b, false);
    assert!(b.status().get("drain").is_none());
}

#[test]
fn a_deadline_cuts_what_is_left_and_says_so_and_nobody_is_waited_for_without_neighbours() {
    let (_fabric, [mut a, mut b, mut c], _raw) = triangle();
    [&mut a, &mut b].into_iter().for_each(Node::start);
    let port = a.wait_reachable("raw.acme.example");
    let held = tcp::connect(port);
    assert!(echoes(&held));
    for (deadline, words) in [("0", "waits for nothing"), ("soon", "is no deadline"), ("25h", "24 hours")] {
        let out = b.cli(&["node", "drain", "--deadline", deadline]);
        assert_eq!(out.status.code(), Some(2), "{}", both(&out));
        assert!(both(&out).contains(words), "{}", both(&out));
    }
    let (code, said, took) = Drain::begin(&b, &["--deadline", "3s", "--json"]).end();
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("the deadline is over: 1 flow cut; the node has stopped"), "{said}");
    let states: Vec<String> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|row| row["state"].as_str().map(ToString::to_string))
        .collect();
    assert_eq!((states.first().unwrap().as_str(), states.last().unwrap().as_str()), ("draining", "late"));
    assert!(took >= Duration::from_secs(3), "{took:?}");
    b.ends();
    assert!(!echoes(&held));

    c.config["peers"] = json!([]);
    c.start();
    let (code, said, took) = Drain::begin(&c, &[]).end();
    assert_eq!(code, 0, "{said}");
    assert!(took < Duration::from_secs(5), "{took:?}: {said}");
    c.ends();
}
