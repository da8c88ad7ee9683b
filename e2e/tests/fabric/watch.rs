//! `route watch`: what changes, as it changes; programs that read too slowly, and the end of the node.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use catalyst_e2e::{Fabric, Node, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const X: &str = "x.acme.example";

/// The command, running.
struct Watch {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watch {
    fn start(node: &Node, args: &[&str]) -> Watch {
        let mut command = node.cli_command(&[&["route", "watch"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Watch { child, out }
    }

    /// The next line of JSON; nothing at the end.
    fn row(&mut self) -> Option<Value> {
        let mut line = String::new();
        (self.out.read_line(&mut line).unwrap() > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// Rows up to the first of this kind, that one included.
    fn until(&mut self, what: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        while let Some(row) = self.row() {
            rows.push(row);
            if rows.last().unwrap()["what"] == what {
                return rows;
            }
        }
        panic!("no '{what}' among {rows:#?}");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Exit code, what was left of stdout, stderr.
    fn end(mut self) -> (i32, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), out, err)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

fn words(row: &Value) -> (String, String) {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_string();
    (text("what"), text("why"))
}

fn pair(fabric: &Fabric) -> (Node, Node) {
    let org = fabric.org("acme.example");
    let [mut a, mut b] = ["a", "b"].map(|name| fabric.cloud(&org, name));
    b.joins(&mut a);
    a.start();
    b.start();
    b.wait_up(&a);
    (a, b)
}

#[test]
fn a_watch_begins_with_what_is_there_and_goes_on_with_what_changes() {
    let fabric = Fabric::new();
    let (a, b) = pair(&fabric);
    a.add("x", nowhere());
    a.add("other", nowhere());
    b.wait_route(X);
    b.wait_route("other.acme.example");
    let mut watch = Watch::start(&b, &["x", "--json"]);
    let first = watch.until("synced");
    assert_eq!(first.len(), 2, "one route, and the end of the list: {first:#?}");
    assert_eq!(
        (&first[0]["what"], &first[0]["service"], &first[1]["count"]),
        (&json!("route"), &json!(X), &json!(1))
    );
    assert_eq!(first[0]["route"]["standing"], "best");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let at = u128::from(first[0]["at"].as_u64().unwrap());
    assert!(at <= now && now - at < 60_000, "{at} against {now}");

    a.add_service(json!({ "name": "x", "protocol": "tcp", "target": "127.0.0.1:9", "cost": 5 }));
    let changed = watch.until("changed");
    assert_eq!(words(&changed[0]), ("changed".into(), "cost 0 -> 5".into()));
    assert_eq!((&changed[0]["via"], &changed[0]["route"]["cost"]), (&json!("a.acme.example"), &json!(5)));
    a.remove("other");
    a.remove("x");
    let gone = watch.until("unreachable");
    let words: Vec<_> = gone.iter().map(words).collect();
    let expected = [("gone", "withdrawn"), ("unreachable", "no usable way is left")];
    assert_eq!(
        words,
        expected.map(|(a, b)| (a.to_string(), b.to_string())),
        "and nothing of the other service"
    );
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.end(), (0, String::new(), String::new()), "Ctrl-C is an end like any other");

    // For people; ended by a count, by a time, by a reader that has seen enough.
    a.add("x", nowhere());
    b.wait_route(X);
    let said = b.cli(&["route", "watch", "x*", "--count", "2"]);
    let said = String::from_utf8(said.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].contains("route        x.acme.example  origin a  via a.acme.example  (best)"),
        "{said}"
    );
    assert!(lines[1].ends_with("synced       1 route(s); what changes follows"), "{said}");
    let begun = Instant::now();
    let done = b.cli(&["route", "watch", "--changes-only", "--for", "1s"]);
    assert!(done.status.success() && !done.stdout.is_empty());
    assert!((Duration::from_secs(1)..Duration::from_secs(9)).contains(&begun.elapsed()));
    let mut watch = Watch::start(&b, &["--json"]);
    watch.until("synced");
    let Watch { child, out } = &mut watch;
    drop(std::mem::replace(out, BufReader::new(take_nothing(child))));
    a.remove("x");
    wait::until("it ends without a reader", wait::SOON, || watch.child.try_wait().unwrap());

    // The last words of the node.
    let mut watch = Watch::start(&b, &["--json"]);
    watch.until("synced");
    let mut text = Watch::start(&b, &[]);
    let mut line = String::new();
    while !line.contains("synced") {
        line.clear();
        text.out.read_line(&mut line).unwrap();
    }
    let mut b = b;
    b.stop();
    let rows = watch.until("end");
    assert_eq!(rows.last().unwrap()["why"], "the node stops");
    assert_eq!(watch.end().0, 4);
    let (code, _, said) = text.end();
    assert!(code == 4 && said.contains("is gone: the node stops"), "{code}: {said}");
}

/// Another pipe in the place of the one that is closed.
fn take_nothing(_: &mut Child) -> ChildStdout {
    let mut done = std::process::Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    let out = done.stdout.take().unwrap();
    done.wait().unwrap();
    out
}

#[test]
fn a_watcher_that_stands_still_costs_little_hears_what_it_missed_and_holds_nobody_up() {
    let fabric = Fabric::new();
    let (a, b) = pair(&fabric);
    // Several times what sockets and queues hold; kept for a watcher, they would be some 3 MB.
    let changes: u64 = 4_000;
    let mut still = Watch::start(&b, &["--json"]);
    let mut awake = Watch::start(&b, &["--json", "--changes-only"]);
    still.until("synced");
    awake.until("synced");
    // What memory it takes without the one that stands still is known after some changes.
    let mut admin = catalyst_e2e::admin::Admin::connect(&a.socket()).unwrap();
    let mut change = |n: u64| {
        let service = json!({ "name": format!("s-{}", n % 20), "target": "127.0.0.1:9", "cost": n });
        admin.ask(json!({ "do": "service-add", "service": service })).unwrap();
    };
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        let mut rows = 0u64;
        while let Some(row) = awake.row() {
            rows += 1;
            last = row["route"]["cost"].as_u64().unwrap_or(last);
            if last == changes - 1 {
                break;
            }
        }
        (rows, last)
    });
    (0..200).for_each(&mut change);
    still.signal(Signal::SIGSTOP);
    let before = rss_kb(&b);
    (200..changes).for_each(&mut change);
    let last = format!("s-{}.acme.example", (changes - 1) % 20);
    b.wait_routes(&last, "the last change", |rows| rows.len() == 1 && rows[0]["cost"] == changes - 1);
    let after = rss_kb(&b);
    println!("{changes} changes: from {before} to {after} kB");
    assert!(after < before + 1_024, "from {before} to {after} kB");
    let (rows, seen) = reader.join().unwrap();
    println!("the one that reads saw {rows} rows");
    assert_eq!(seen, changes - 1, "who reads sees the last");

    still.signal(Signal::SIGCONT);
    let told = still.until("missed");
    let missed = told.last().unwrap()["count"].as_u64().unwrap();
    println!("the one that stood still had {} rows, then missed {missed}", told.len());
    assert!(missed > 0 && told.len() < 2_000);
    // Every route again, as it is now.
    let again = still.until("synced");
    let mut costs: Vec<u64> = again.iter().filter_map(|row| row["route"]["cost"].as_u64()).collect();
    costs.sort_unstable();
    assert_eq!(costs, (changes - 20..changes).collect::<Vec<_>>());
    // And what changes from then on.
    change(77);
    let row = still.until("changed").pop().unwrap();
    assert_eq!(row["route"]["cost"], 77);
    assert_eq!(b.peer(&a)["sessions"], 1);
}

#[test]
fn there_is_room_for_some_watchers_and_always_for_questions() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut a = fabric.cloud(&org, "a");
    a.start();
    let mut all: Vec<Watch> = (0..8).map(|_| Watch::start(&a, &["--json"])).collect();
    all.iter_mut().for_each(|watch| drop(watch.until("synced")));
    let refused = a.cli(&["route", "watch"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(5) && said.contains("8 programs watch"), "{said}");
    assert!(a.cli(&["status"]).status.success());
    drop(all.pop());
    wait::until("a place is free again", wait::SOON, || {
        a.cli(&["route", "watch", "--count", "1"]).status.success().then_some(())
    });
}

fn rss_kb(node: &Node) -> u64 {
    let pid = node.status()["pid"].as_u64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
