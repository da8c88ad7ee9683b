//! Recordings of nodes in the middle of things: they replay to the very state that the node was in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use catalyst_e2e::process::{both, output};
use catalyst_e2e::wait;
use catalyst_e2e::{Build, Fabric, Node, Org};
use catalyst_store::{RedbStore, Store, Table};
use serde_json::{Value, json};

use crate::join::{authority, invite};

/// `hub` with `left` and `right` of its organisation, an edge that dials it, and a partner.
struct Net {
    fabric: Fabric,
    org: Org,
    hub: Node,
    left: Node,
    right: Node,
    pi: Node,
    gate: Node,
}

impl Net {
    /// All but the edge run, sessions stand. The hub writes to `recording`.
    fn start(envoys: bool) -> (Net, PathBuf) {
        let fabric = Fabric::new();
        let (org, partner) = (fabric.org("acme.example"), fabric.org("globex.example"));
        let mut hub = authority(&fabric, &org);
        let (mut left, mut right) = (fabric.cloud(&org, "left"), fabric.cloud(&org, "right"));
        let mut gate = fabric.cloud(&partner, "gate");
        let mut pi = fabric.edge(&org, "pi");
        left.joins(&mut hub);
        right.joins(&mut hub);
        pi.joins(&mut hub);
        let party = |org: &Org| json!({ "org": org.name, "role": "peer" });
        let agreement = fabric.agreement("agreement.json", [party(&org), party(&partner)]);
        gate.dials_under(&hub, &agreement);
        hub.awaits_under(&gate, &agreement);
        left.offers("web", "http", "127.0.0.1:9".parse().unwrap());
        pi.offers("camera", "tcp", "127.0.0.1:9".parse().unwrap());
        for label in ["orders", "payroll"] {
            gate.offers(label, "http", "127.0.0.1:9".parse().unwrap());
        }
        gate.exports("*", &org);
        gate.imports("*", &org);
        hub.imports("orders", &partner);
        if envoys {
            hub.has_envoy();
            right.has_envoy();
        }
        let recording = fabric.dir().join("recording.jsonl");
        hub.start_with(&["--record", recording.to_str().unwrap()]);
        for node in [&mut left, &mut right, &mut gate] {
            node.start();
        }
        for other in [&left, &right, &gate] {
            hub.wait_up(other);
        }
        (Net { fabric, org, hub, left, right, pi, gate }, recording)
    }

    fn replay(&self, recording: &Path) -> Value {
        let file = recording.to_str().unwrap();
        let out = output(self.fabric.command(Build::Cloud).args(["replay", file, "--json"]));
        assert!(out.status.success(), "{}", both(&out));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// The lines of `catalyst replay`: routes as `route ls` has them, and what is said of the recording.
    fn replay_in_words(&self, recording: &Path) -> (Vec<String>, String) {
        let out = output(self.fabric.command(Build::Cloud).args(["replay", recording.to_str().unwrap()]));
        assert!(out.status.success(), "{}", both(&out));
        let mut lines = lines(&out.stdout);
        let last = lines.pop().unwrap();
        (lines, last)
    }
}

fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
}

#[track_caller]
fn run(node: &Node, args: &[&str]) -> String {
    let out = node.cli(args);
    assert!(out.status.success(), "{args:?}: {}", both(&out));
    both(&out)
}

/// Services that come, change and go at a neighbour, and are all noticed before it returns.
fn churn(hub: &Node, at: &Node, turns: u32) {
    let target = "127.0.0.1:9".parse().unwrap();
    for turn in 0..turns {
        at.add(&format!("passing-{}", turn % 5), target);
        at.add_service(json!({ "name": "swings", "target": "127.0.0.1:9", "cost": turn }));
        if turn % 3 == 2 {
            at.remove(&format!("passing-{}", turn % 5));
        }
    }
    at.add("last", target);
    hub.wait_route("last.acme.example");
    at.remove("last");
    hub.wait_no_route("last.acme.example");
}

/// What the node had and nobody may learn: its key, the secret of opaque origins, an invitation, the root's key.
fn secrets(net: &Net, token: &str) -> Vec<(&'static str, Vec<u8>)> {
    let key = |path: PathBuf| {
        let pem = fs::read_to_string(&path).unwrap();
        assert!(pem.contains("PRIVATE KEY"), "{}", path.display());
        pem.lines().filter(|l| !l.starts_with('-')).collect::<String>().into_bytes()
    };
    let (store, _) = RedbStore::open(net.hub.dir.join("state/state.redb")).unwrap();
    let border = store.get(Table::new("node"), b"border-secret").unwrap().unwrap();
    assert_eq!(border.len(), 32);
    vec![
        ("the node's key", key(net.hub.dir.join("cloud-1.key"))),
        ("the root's key", key(net.org.root.join("acme.example.root.key"))),
        ("the border secret", border),
        ("the invitation", token.as_bytes().to_vec()),
    ]
}

/// Whether these bytes are in a text: as they are, or written as numbers or hexadecimal digits. Any 16 of them in a row count.
fn holds(text: &str, bytes: &[u8]) -> bool {
    let lower = text.to_lowercase();
    bytes.windows(16.min(bytes.len())).any(|part| {
        let hex: String = part.iter().map(|b| format!("{b:02x}")).collect();
        let numbers = part.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let plain = std::str::from_utf8(part).is_ok_and(|part| text.contains(part));
        plain || lower.contains(&hex) || text.contains(&numbers)
    })
}

#[test]
fn a_node_in_the_middle_of_all_that_happens_replays_to_the_state_that_it_was_in() {
    let (mut net, recording) = Net::start(true);
    let token = invite(&net.hub, "someone", &[]);
    let hub = &net.hub;
    // Routes come and go, from the own organisation and from the other.
    hub.wait_route("web.acme.example");
    hub.wait_routes("orders.globex.example", "imported", |rows| rows.iter().any(|r| r["standing"] == "best"));
    churn(hub, &net.left, 15);
    net.gate.remove("payroll");
    net.gate.add("orders-2", "127.0.0.1:9".parse().unwrap());
    // Its own, by the command line.
    run(hub, &["service", "add", "own", "--target", "127.0.0.1:9", "--cost", "3"]);
    run(hub, &["service", "add", "brief", "--target", "127.0.0.1:9"]);
    net.left.wait_route("brief.acme.example");
    run(hub, &["service", "rm", "brief"]);
    net.left.wait_no_route("brief.acme.example");
    // Rules at run time: the partner gets two, and all of its own is taken.
    let rules = net.fabric.dir().join("rules.json");
    let text = json!({
        "exports": [{ "service": "web", "to": "globex.example", "set": { "cost": 7 } },
            { "service": "own", "to": "globex.example" }],
        "imports": [{ "service": "*", "from": "globex.example", "set": { "local_pref": 250 } }],
    });
    fs::write(&rules, text.to_string()).unwrap();
    run(hub, &["policy", "apply", rules.to_str().unwrap(), "--yes"]);
    net.gate.wait_route("web.acme.example");
    hub.wait_routes("orders-2.globex.example", "preferred", |rows| rows[0]["local_pref"] == 250);
    // Drained, and taken back.
    run(hub, &["node", "drain", "--stay", "--deadline", "20s"]);
    net.left.wait_routes("own.acme.example", "draining", |rows| rows[0]["draining"] == true);
    run(hub, &["node", "undrain"]);
    net.left.wait_routes("own.acme.example", "not draining", |rows| rows[0]["draining"] != true);
    // An edge comes, and a neighbour is killed and comes back; its routes are kept meanwhile.
    net.pi.start();
    hub.wait_route("camera.acme.example");
    net.right.add("db", "127.0.0.1:9".parse().unwrap());
    hub.wait_route("db.acme.example");
    net.right.kill();
    hub.wait_down(&net.right);
    hub.wait("routes are kept", |_| !hub.kept_routes_to("db.acme.example").is_empty());
    churn(hub, &net.left, 15);
    net.right.start();
    hub.wait_up(&net.right);
    churn(hub, &net.left, 20);

    // At rest it is a picture of the node; at the very end, too, when all sessions are over.
    let live = lines(&hub.cli(&["route", "ls"]).stdout);
    assert!(live.iter().any(|line| line.contains("orders-2.globex.example")), "{live:?}");
    let (now, _) = net.replay_in_words(&recording);
    assert_eq!(now, live);
    net.hub.stop();
    let told = net.replay(&recording);
    let events = told["events"].as_u64().unwrap();
    assert!(events > 100, "{told}");
    // Two belong to the stop.
    assert!(told["checkpoints"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!((&told["checked"], &told["whole"]), (&told["events"], &json!(true)), "{told}");
    let text = fs::read_to_string(&recording).unwrap();
    assert_eq!(text.lines().last().unwrap(), format!("{{\"digest\":{}}}", told["digest"]));
    let (_, said) = net.replay_in_words(&recording);
    assert!(said.ends_with(", as recorded"), "{said}");

    for (what, secret) in secrets(&net, &token) {
        assert!(secret.len() >= 16, "{what} is short: {secret:?}");
        assert!(!holds(&text, &secret), "the recording holds {what}");
    }
    // The search would find what a frame holds: the recording says who the node is.
    assert!(holds(&text, b"orders-2.globex.example") && holds(&text, b"cloud-1.acme.example"));
}

#[test]
fn a_recording_that_a_kill_has_cut_replays_to_what_is_whole() {
    let (mut net, recording) = Net::start(false);
    // At rest: what is recorded is the whole state. It is noted now and then, the sooner the more happens.
    let noted = || fs::read_to_string(&recording).unwrap().contains("{\"digest\"");
    for _ in 0..20 {
        churn(&net.hub, &net.left, 10);
        if noted() {
            break;
        }
    }
    assert!(noted(), "the state was never noted");
    let live = lines(&net.hub.cli(&["route", "ls"]).stdout);
    assert!(live.iter().any(|line| line.contains("web.acme.example")), "{live:?}");
    net.hub.kill();
    let (replayed, said) = net.replay_in_words(&recording);
    assert_eq!(replayed, live);
    assert!(said.contains("it was as recorded") || said.contains(", as recorded"), "{said}");

    // Under load, wherever the kill happens to strike.
    let again = net.fabric.dir().join("again.jsonl");
    net.hub.start_with(&["--record", again.to_str().unwrap()]);
    for other in [&net.left, &net.right, &net.gate] {
        net.hub.wait_up(other);
    }
    let killed = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (left, hub) = (&net.left, &mut net.hub);
        let target = "127.0.0.1:9".parse().unwrap();
        scope.spawn(move || {
            let mut turn = 0;
            while !killed.load(Ordering::Relaxed) {
                turn += 1;
                left.add(&format!("passing-{}", turn % 50), target);
                left.add_service(json!({ "name": "swings", "target": "127.0.0.1:9", "cost": turn }));
            }
        });
        let recorded = || {
            let text = fs::read_to_string(&again).unwrap();
            text.contains("{\"digest\"") && text.lines().count() > 150
        };
        let enough = wait::poll(Duration::from_secs(30), || recorded().then_some(()));
        hub.kill();
        killed.store(true, Ordering::Relaxed);
        assert!(enough.is_some(), "it has not recorded so much");
    });
    let told = net.replay(&again);
    assert!(told["events"].as_u64().unwrap() > 100, "{told}");
    assert!(told["checkpoints"].as_u64().unwrap() >= 1, "{told}");

    // In the middle of a line: what is before it.
    let bytes = fs::read(&again).unwrap();
    let end = bytes.iter().rposition(|b| *b == b'\n').unwrap();
    let start = bytes[..end].iter().rposition(|b| *b == b'\n').unwrap();
    fs::write(&again, &bytes[..usize::midpoint(start, end)]).unwrap();
    let cut = net.replay(&again);
    assert_eq!(cut["whole"], false, "{cut}");
    assert!(cut["events"].as_u64().unwrap() >= told["events"].as_u64().unwrap() - 1, "{cut} {told}");
    let out = output(net.fabric.command(Build::Cloud).args(["replay", again.to_str().unwrap()]));
    assert!(both(&out).contains("the last line of the recording is not whole"), "{}", both(&out));
}

#[test]
fn what_is_no_recording_of_this_version_is_refused_in_words() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.cloud(&org, "one");
    let file = fabric.dir().join("recording.jsonl");
    let path = file.to_str().unwrap();
    node.start_with(&["--record", path]);
    node.stop();
    let good = fs::read_to_string(&file).unwrap();
    let replay = |text: &str| {
        fs::write(&file, text).unwrap();
        let out = output(fabric.command(Build::Cloud).args(["replay", path]));
        (out.status.code().unwrap_or(-1), both(&out))
    };
    assert_eq!(replay(&good).0, 0);
    let schema = good.split([':', ',']).nth(1).unwrap();
    let other = good.replacen(&format!("\"schema\":{schema}"), "\"schema\":99", 1);
    assert_ne!(other, good);
    let (code, said) = replay(&other);
    assert!(code == 3 && said.contains(&format!("has schema 99, and this version reads {schema}")), "{said}");
    let mut damaged: Vec<&str> = good.lines().collect();
    damaged[1] = "{\"now\":{}}";
    let (code, said) = replay(&damaged.join("\n"));
    assert!(code == 3 && said.contains("recording.jsonl:2: not a line of a recording"), "{code}: {said}");
    for text in ["", "{}", "\u{0}\u{0}\u{0}"] {
        assert_eq!(replay(text).0, 3, "{text:?}");
    }
    fs::remove_file(&file).unwrap();
    let out = output(fabric.command(Build::Cloud).args(["replay", path]));
    assert!(out.status.code() == Some(1) && both(&out).contains("cannot read"), "{}", both(&out));
}
