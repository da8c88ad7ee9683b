//! Programs that a node runs: started, reached, kept running, logged, and never left behind.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use catalyst_e2e::tcp;
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Build, Fabric, Node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A child in the group, one in a session of its own, and one whose parent is dead and whose session is its own.
const FORKS: &str = "sleep 1000 & setsid sleep 1001 & (setsid sh -c 'setsid sleep 1002 & exit' &) ; ";

/// A small web server in the foreground.
fn web(address: SocketAddr, folder: &Path) -> Value {
    fs::write(folder.join("index.html"), "served by a program\n").unwrap();
    let (port, ip) = (address.port().to_string(), address.ip().to_string());
    json!(["python3", "-u", "-m", "http.server", port, "--bind", ip, "--directory", folder.to_str().unwrap()])
}

/// The page that a port serves, by a client of HTTP/1.0.
fn page(port: SocketAddr) -> String {
    use std::io::Write;
    let mut socket = tcp::connect(port);
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let answer = String::from_utf8(tcp::read_all(&socket).unwrap()).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_string()
}

/// Living processes of the scenario: nodes, supervisors, services and what those started.
fn processes(fabric: &Fabric) -> Vec<(i32, String)> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(fabric.dir()))
    })
    .map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, String::from_utf8_lossy(&line).replace('\0', " "))
    })
    .filter(|(_, line)| !line.is_empty())
    .collect()
}

#[track_caller]
fn nothing_is_left(fabric: &Fabric) {
    let left = wait::poll(SOON, || processes(fabric).is_empty().then_some(()));
    assert!(left.is_some(), "left: {:?}\n{}", processes(fabric), fabric.logs());
}

fn supervisor(fabric: &Fabric) -> Pid {
    let all = supervisors(fabric);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

/// A cloud node has two: the second has nothing to do as long as the first lives.
fn supervisors(fabric: &Fabric) -> Vec<Pid> {
    let all = processes(fabric).into_iter().filter(|(_, line)| line.contains("--supervise-services"));
    all.map(|(pid, _)| Pid::from_raw(pid)).collect()
}

/// The parent of a process.
fn parent(pid: Pid) -> Pid {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    Pid::from_raw(line.trim().parse().unwrap())
}

/// A node with one service, which the program `command` is.
fn runs(fabric: &Fabric, build: Build, command: Value) -> Node {
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.offers("program", "tcp", fabric.address());
    node.config["services"][0]["run"] = json!({ "command": command, "stop_grace_ms": 2_000 });
    node
}

fn shell(script: &str) -> Value {
    json!(["sh", "-c", script])
}

fn health(status: &Value) -> &Value {
    &status["services"][0]["health"]
}

fn pid(status: &Value) -> Pid {
    Pid::from_raw(health(status)["pid"].as_i64().unwrap().try_into().unwrap())
}

/// Its program runs, after so many restarts.
fn wait_running(node: &Node, restarts: u64) -> Value {
    let running = |s: &Value| health(s)["pid"].is_u64() && health(s)["restarts"] == json!(restarts);
    node.wait("its program runs", running)
}

#[track_caller]
fn wait_log(node: &Node, text: &str) {
    let found =
        wait::poll(SOON, || fs::read_to_string(node.log()).is_ok_and(|l| l.contains(text)).then_some(()));
    assert!(found.is_some(), "not in the log: {text}\n{}", catalyst_e2e::process::tail(node.log(), 40));
}

fn reached_kept_running_and_stopped(build: Build) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut edge, mut cloud) = (fabric.edge(&org, "edge-1"), fabric.cloud(&org, "cloud-1"));
    edge.joins(&mut cloud);
    let (mut host, mut far) = if build == Build::Edge { (edge, cloud) } else { (cloud, edge) };
    let address = fabric.address();
    let site = org.service("site");
    host.offers("site", "tcp", address);
    host.config["services"][0]["run"] = json!({ "command": web(address, fabric.dir()) });
    host.config["services"][0]["check"] =
        json!({ "type": "http", "path": "/index.html", "interval_ms": 100 });
    far.exposes(&site);
    host.start();
    far.start();

    let port = far.wait_reachable(&site);
    assert_eq!(page(port), "served by a program\n");
    let status = wait_running(&host, 0);
    assert_eq!(health(&status)["state"], "healthy");
    wait_log(&host, "service=site");
    wait_log(&host, "| Serving HTTP on");
    wait_log(&host, "\"GET / HTTP/1.0\" 200");

    // Killed: the neighbour loses the route, and has it again once the program is back and answers.
    let before = pid(&status);
    kill(before, Signal::SIGKILL).unwrap();
    let status = wait_running(&host, 1);
    assert_ne!(pid(&status), before);
    wait_log(&host, "was ended by SIGKILL");
    host.wait("the program is healthy again", |s| health(s)["state"] == "healthy");
    let port = far.wait_reachable(&site);
    assert_eq!(page(port), "served by a program\n");

    let (table, status) = (host.cli(&["service", "ls"]), host.cli(&["status"]));
    for out in [table, status] {
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("healthy") && text.contains("1 restart(s)"), "{text}");
    }
    host.stop();
    far.stop();
    nothing_is_left(&fabric);
}

#[test]
fn a_program_of_an_edge_is_reached_kept_running_and_stopped() {
    reached_kept_running_and_stopped(Build::Edge);
}

#[test]
fn a_program_of_a_cloud_node_is_reached_kept_running_and_stopped() {
    reached_kept_running_and_stopped(Build::Cloud);
}

fn no_orphans(build: Build) {
    for end in ["SIGTERM", "SIGKILL"] {
        let fabric = Fabric::new();
        let mut node =
            runs(&fabric, build, shell(&format!("{FORKS} trap '' TERM; echo up; wait; wait; sleep 1003")));
        node.start();
        wait_running(&node, 0);
        wait_log(&node, "| up");
        wait::until("three children", SOON, || {
            (processes(&fabric).iter().filter(|(_, line)| line.starts_with("sleep")).count() == 3)
                .then_some(())
        });
        match end {
            "SIGTERM" => drop(node.stop()),
            _ => drop(node.kill()),
        }
        nothing_is_left(&fabric);
    }
}

#[test]
fn an_edge_leaves_no_process_behind() {
    no_orphans(Build::Edge);
}

#[test]
fn a_cloud_node_leaves_no_process_behind() {
    no_orphans(Build::Cloud);
}

#[test]
fn a_killed_supervisor_takes_its_services_along_and_another_one_of_a_cloud_node_takes_over() {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, Build::Cloud, shell(&format!("{FORKS} echo up; wait")));
    node.start();
    let first = pid(&wait_running(&node, 0));
    wait_log(&node, "| up");
    let (both, before) = (supervisors(&fabric), parent(first));
    assert!(both.len() == 2 && both.contains(&before), "{before} of {both:?}");
    kill(before, Signal::SIGKILL).unwrap();
    let again = |s: &Value| health(s)["state"] == "healthy" && health(s)["pid"] != json!(first.as_raw());
    node.wait("the program runs under a new supervisor", again);
    assert_eq!(vec![supervisor(&fabric)], both.into_iter().filter(|it| *it != before).collect::<Vec<_>>());
    wait::until("only the new children", SOON, || {
        let sleeping = processes(&fabric).iter().filter(|(_, line)| line.starts_with("sleep")).count();
        (sleeping == 3).then_some(())
    });
    // Inside its sandbox the node can start no third one.
    kill(supervisor(&fabric), Signal::SIGKILL).unwrap();
    wait_log(&node, "local services stay down until the node is started again");
    assert_eq!(health(&node.status())["why"], "the process that runs local services has ended");
    node.stop();
    nothing_is_left(&fabric);
}

#[test]
fn a_killed_supervisor_of_an_edge_is_told_and_withdraws_its_services() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut edge, mut cloud) = (fabric.edge(&org, "edge-1"), fabric.cloud(&org, "cloud-1"));
    edge.joins(&mut cloud);
    edge.offers("program", "tcp", fabric.address());
    edge.offers("other", "tcp", fabric.address());
    edge.config["services"][0]["run"] = json!({ "command": shell(&format!("{FORKS} echo up; wait")) });
    edge.start();
    cloud.start();
    cloud.wait_route(&org.service("program"));
    wait_log(&edge, "| up");
    kill(supervisor(&fabric), Signal::SIGKILL).unwrap();
    cloud.wait_no_route(&org.service("program"));
    // Its sandbox lets it start no program: it says so, and goes on with the rest.
    wait_log(&edge, "local services stay down until the node is started again");
    let status = edge.status();
    assert_eq!(health(&status)["why"], "the process that runs local services has ended");
    assert!(
        status["next_step"].as_str().unwrap().contains("start the node again"),
        "{}",
        status["next_step"]
    );
    cloud.wait_route(&org.service("other"));
    wait::until("the children are gone", SOON, || {
        (!processes(&fabric).iter().any(|(_, line)| line.starts_with("sleep"))).then_some(())
    });
    edge.stop();
    cloud.stop();
    nothing_is_left(&fabric);
}

fn crash_loop(build: Build) {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, build, shell("echo run >> runs; echo cannot go on >&2; exit 3"));
    node.start();
    // 250 + 500 + 1000 ms at least lie before the fourth run.
    let at = std::time::Instant::now();
    let status = node.wait("three restarts", |s| health(s)["restarts"].as_u64() >= Some(3));
    assert!(at.elapsed().as_millis() > 1_500, "{:?}", at.elapsed());
    assert_ne!(health(&status)["state"], "healthy", "it ended too soon, each time");
    let ended = |s: &Value| health(s)["why"] == "ended with exit code 3";
    assert_eq!(health(&node.wait("it ended", ended))["state"], "unhealthy");
    wait_log(&node, "| cannot go on");
    wait_log(&node, "started again in 1000 ms");
    let runs = fs::read_to_string(node.config_file().parent().unwrap().join("runs")).unwrap();
    assert!((3..=4).contains(&runs.lines().count()), "{runs}");
    assert_eq!(node.routes_to("program.acme.example")[0]["healthy"], json!(false));
    node.stop();
    nothing_is_left(&fabric);
}

#[test]
fn an_edge_bounds_a_crash_loop() {
    crash_loop(Build::Edge);
}

#[test]
fn a_cloud_node_bounds_a_crash_loop() {
    crash_loop(Build::Cloud);
}

#[test]
fn what_cannot_be_run_says_why() {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, Build::Edge, json!(["/no/such/program"]));
    node.start();
    let status = node.wait("it was tried", |s| health(s)["restarts"].as_u64() >= Some(1));
    let why = health(&status)["why"].as_str().unwrap();
    assert!(why.starts_with("the program cannot be started: No such file"), "{why}");
    node.stop();
    nothing_is_left(&fabric);
}

#[test]
fn a_program_that_is_not_to_run_again_does_not() {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, Build::Edge, shell("echo done"));
    node.config["services"][0]["run"]["restart"] = json!("on-failure");
    node.start();
    let status = node.wait("it has ended", |s| health(s)["why"] == "ended with exit code 0");
    assert_eq!(health(&status)["restarts"], 0);
    wait::stays("it does not run again", std::time::Duration::from_millis(700), || {
        health(&node.status())["restarts"] == json!(0)
    });
    node.stop();
}

#[test]
fn a_program_gets_its_variables_and_not_those_of_the_node() {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, Build::Edge, shell("env | sort; pwd; sleep 1000"));
    node.config["services"][0]["run"]["env"] = json!(["COLOUR=deep blue", "SECRET=hunter2"]);
    node.config["services"][0]["run"]["directory"] = json!("/usr/bin");
    node.start();
    wait_log(&node, "| COLOUR=deep blue");
    wait_log(&node, "| CATALYST_SERVICE=program");
    wait_log(&node, "| /usr/bin");
    let log = fs::read_to_string(node.log()).unwrap();
    assert_eq!(log.matches("CATALYST_").count(), 1, "{log}");
    // It said its secret itself; nobody else does.
    assert_eq!(log.matches("hunter2").count(), 1);
    let out = node.cli(&["status", "--json"]);
    assert!(!String::from_utf8_lossy(&out.stdout).contains("hunter2"));
    node.stop();
}

fn changes_at_run_time(build: Build) {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, build, shell("echo up; exec sleep 1000"));
    node.offers("second", "tcp", fabric.address());
    node.config["services"][1]["run"] = json!({ "command": shell("exec sleep 1001") });
    node.start();
    let runs = |arguments: &str| processes(&fabric).iter().any(|(_, line)| line.trim_end() == arguments);
    wait::until("both run", SOON, || (runs("sleep 1000") && runs("sleep 1001")).then_some(()));
    node.remove("program");
    wait::until("the first is stopped", SOON, || (!runs("sleep 1000")).then_some(()));
    // Replaced by one that somebody else runs: it counts as healthy, as nobody says otherwise.
    node.add("second", fabric.address());
    wait::until("the second is stopped", SOON, || (!runs("sleep 1001")).then_some(()));
    let routes = node.wait_routes("second.acme.example", "healthy", |r| r[0]["healthy"] == json!(true));
    assert_eq!(routes.len(), 1);
    wait::stays("nothing runs", std::time::Duration::from_millis(700), || {
        !runs("sleep 1000") && !runs("sleep 1001") && health(&node.status()).is_null()
    });
    // So it is after a restart.
    node.stop();
    node.start();
    wait::stays("nothing runs", std::time::Duration::from_millis(300), || {
        !runs("sleep 1000") && !runs("sleep 1001")
    });
    node.stop();
    nothing_is_left(&fabric);
}

#[test]
fn what_is_removed_from_an_edge_at_run_time_is_stopped() {
    changes_at_run_time(Build::Edge);
}

#[test]
fn what_is_removed_from_a_cloud_node_at_run_time_is_stopped() {
    changes_at_run_time(Build::Cloud);
}

#[test]
fn a_wrong_program_in_the_file_is_refused_with_its_place() {
    for build in [Build::Edge, Build::Cloud] {
        let fabric = Fabric::new();
        let node = runs(&fabric, build, json!([]));
        let (said, code) = node.start_in_vain();
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("/services/0/run/command: expected a program and its arguments"), "{said}");
        nothing_is_left(&fabric);
    }
}

#[test]
fn without_programs_there_is_no_supervisor() {
    let fabric = Fabric::new();
    let mut node = runs(&fabric, Build::Edge, json!(["true"]));
    node.config["services"][0].as_object_mut().unwrap().remove("run");
    node.start();
    assert_eq!(processes(&fabric).len(), 1, "{:?}", processes(&fabric));
    node.stop();
}
