//! The units of `packaging/systemd`: systemd itself reads them, and the nodes work within what they allow.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use catalyst_e2e::process::{Programs, both};
use catalyst_e2e::{Fabric, tcp};

/// Exposure by `systemd-analyze security`, in tenths: it may become less, not more.
const EXPOSURE: &str = "18";

fn units() -> [(&'static str, PathBuf); 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    ["catalyst-edge", "catalyst"].map(|name| (name, folder.join(format!("{name}.service"))))
}

fn analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze").arg("--no-pager").args(arguments).output().unwrap_or_else(|e| {
        panic!("these tests need systemd-analyze: apt-get install systemd ({e})");
    })
}

/// A unit as it is after an installation, but with the program where this test has it.
fn installed(fabric: &Fabric, name: &str, unit: &str) -> PathBuf {
    let programs = Programs::find();
    let program = if name == "catalyst" { programs.cloud } else { programs.edge };
    let path = fabric.dir().join(format!("{name}.service"));
    let text = unit.replace(&format!("/usr/local/bin/{name} "), &format!("{} ", program.display()));
    assert!(text.contains(&program.display().to_string()), "{text}");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let fabric = Fabric::new();
    for (name, unit) in units() {
        let unit = fs::read_to_string(unit).unwrap();
        let verify = |unit: &str| {
            let path = installed(&fabric, name, unit);
            analyze(&["verify", "--man=no", "--recursive-errors=no", &path.display().to_string()])
        };
        let good = verify(&unit);
        assert!(good.status.success() && both(&good).is_empty(), "{name}: {}", both(&good));
        // A line that it does not know is a warning, which nobody would read on a board.
        let bad = verify(&unit.replace("ProtectHome=yes", "ProtectHouse=yes"));
        assert!(both(&bad).contains("ProtectHouse"), "{name}: {}", both(&bad));
    }
}

#[test]
fn a_cloud_node_that_ends_badly_leaves_its_envoy_to_the_next_run() {
    let [(_, edge), (_, cloud)] = units();
    let of = |unit: &Path| {
        let text = fs::read_to_string(unit).unwrap();
        text.lines().find_map(|line| line.strip_prefix("KillMode=")).map(str::to_owned)
    };
    // All others than `process` kill the processes that keep Envoy (systemd.kill(5)).
    assert_eq!(of(&cloud).as_deref(), Some("process"));
    assert_eq!(of(&edge).as_deref(), Some("mixed"));
}

#[test]
fn the_units_leave_little_open() {
    for (name, unit) in units() {
        let unit = unit.display().to_string();
        let judge =
            |most: &str| analyze(&["security", "--offline=true", &format!("--threshold={most}"), &unit]);
        let judged = judge(EXPOSURE);
        assert!(judged.status.success(), "{name}: {}", both(&judged));
        assert!(!judge("10").status.success(), "{name}: the judge lets everything pass");
    }
}

/// The system calls that a unit allows.
fn allowed(unit: &str) -> BTreeSet<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter="));
    let mut todo: Vec<String> = lines.flat_map(str::split_whitespace).map(str::to_string).collect();
    let mut calls = BTreeSet::new();
    while let Some(next) = todo.pop() {
        assert!(!next.starts_with('~'), "what is left out is not read here: {next}");
        if !next.starts_with('@') {
            calls.insert(next);
            continue;
        }
        let set = String::from_utf8(analyze(&["syscall-filter", &next]).stdout).unwrap();
        let members = set.lines().skip(1).map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        todo.extend(members.map(str::to_string));
    }
    assert!(calls.len() > 100, "{calls:?}");
    calls
}

/// Executes what follows its arguments within the calls that a file lists; all others fail with EPERM, as the unit says.
const WITHIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fabric/units/within_calls.py");

/// A list of calls that is right for a program today may kill it after an update: the nodes do all that they do within it,
/// and enter their own sandbox.
#[test]
fn the_nodes_work_within_the_system_calls_of_their_units() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut edge = fabric.edge(&acme, "edge-1");
    edge.joins(&mut cloud);
    let echo = tcp::Service::echo();
    let packets = catalyst_e2e::udp::Service::echo();
    edge.offers("echo", "tcp", echo.address());
    edge.offers("packets", "udp", packets.address());
    cloud.exposes("echo.acme.example");
    cloud.exposes_udp("packets.acme.example");
    edge.config["services"].as_array_mut().unwrap().push(serde_json::json!({
        "name": "ran", "protocol": "tcp", "target": fabric.address().to_string(),
        "run": { "command": ["sleep", "1000"] },
        "check": { "type": "exec", "command": ["true"], "interval_ms": 100 }
    }));
    for (node, (name, unit)) in [&mut edge, &mut cloud].into_iter().zip(units()) {
        let calls: Vec<String> = allowed(&fs::read_to_string(unit).unwrap()).into_iter().collect();
        let list = fabric.dir().join(format!("{name}.calls"));
        fs::write(&list, calls.join("\n")).unwrap();
        node.start_under(&["python3", WITHIN, &list.display().to_string()]);
    }
    for layer in edge.status()["sandbox"].as_array().unwrap() {
        assert_eq!(layer["state"], "enforced", "{layer}");
    }
    let sent = tcp::pattern(1 << 20, 1);
    let client = tcp::connect(cloud.wait_reachable("echo.acme.example"));
    std::thread::scope(|scope| {
        scope.spawn(|| (&client).write_all(&sent).and_then(|()| client.shutdown(Shutdown::Write)).unwrap());
        tcp::same(&tcp::read_all(&client).unwrap(), &sent);
    });
    let client = catalyst_e2e::udp::Client::new(cloud.wait_reachable("packets.acme.example"));
    client.echo(&tcp::pattern(1_200, 2));
    cloud.wait_route("ran.acme.example");
    edge.stop();
    cloud.stop();
}
