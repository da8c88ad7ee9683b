//! Clocks that are set while a node runs, by years, both ways; and a board that has none.

use std::fs;
use std::process::Command;
use std::time::Duration;

use catalyst_e2e::clock::WallClock;
use catalyst_e2e::http::{self, Http};
use catalyst_e2e::process::{both, output};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Build, Fabric, Node};
use serde_json::{Value, json};

use crate::join::{authority, invite};

/// Starts a node with a wall clock of its own.
fn start(node: &mut Node, clock: &WallClock) {
    let wrapper = clock.wrapper();
    node.start_under(&wrapper.iter().map(String::as_str).collect::<Vec<_>>());
    let maps = fs::read_to_string(format!("/proc/{}/maps", node.pid())).unwrap();
    assert!(maps.contains("libfaketime"), "the program does not load libfaketime: is it linked statically?");
}

/// A clock for a node, in a place that its sandbox lets it read.
fn clock_of(node: &Node) -> WallClock {
    let state = node.config_file().parent().unwrap().join("state");
    fs::create_dir_all(&state).unwrap();
    WallClock::new(&state.join("wall-clock"))
}

fn sees(clock: &WallClock, offset: &str, year: std::ops::RangeInclusive<u32>) {
    clock.set(offset);
    assert!(year.contains(&clock.year()), "{offset}: {}", clock.year());
}

fn says(node: &Node, what: &str) -> bool {
    node.status()["next_step"].as_str().unwrap_or_default().contains(what)
}

/// One of the two has a clock that jumps; the other one's is right.
fn jumps(edge_jumps: bool) {
    let web = Http::start("hello");
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("hello", "http", web.address());
    cloud.exposes("hello.acme.example");
    let clock = clock_of(if edge_jumps { &edge } else { &cloud });
    if edge_jumps {
        cloud.start();
        start(&mut edge, &clock);
    } else {
        start(&mut cloud, &clock);
        edge.start();
    }
    let port = cloud.wait_reachable("hello.acme.example");
    let serves = || assert_eq!(http::get(port).unwrap(), "hello");
    let sessions = |n: u64| {
        assert_eq!((&edge.peer(&cloud)["sessions"], &cloud.peer(&edge)["sessions"]), (&json!(n), &json!(n)));
    };
    serves();

    // Ten years ahead: every certificate has expired by that clock. What is up stays up, and new flows pass.
    sees(&clock, "+10y", 2036..=2100);
    let jumper = if edge_jumps { &edge } else { &cloud };
    assert!(wait::poll(SOON, || says(jumper, "clock").then_some(())).is_some(), "{}", jumper.status());
    wait::stays("sessions and flows", Duration::from_secs(5), || {
        http::get(port).is_ok_and(|got| got == "hello")
    });
    sessions(1);
    // Twenty years back.
    sees(&clock, "-20y", 2000..=2020);
    assert!(wait::poll(SOON, || (!says(jumper, "clock")).then_some(())).is_some(), "{}", jumper.status());
    wait::stays("sessions and flows", Duration::from_secs(5), || {
        http::get(port).is_ok_and(|got| got == "hello")
    });
    sessions(1);

    // New sessions, while the clock is behind: the floor judges, and they come up.
    let restart = |cloud: &mut Node, edge: &mut Node| {
        if edge_jumps {
            cloud.stop();
            cloud.start();
        } else {
            edge.stop();
            edge.start();
        }
    };
    restart(&mut cloud, &mut edge);
    cloud.wait_up(&edge);
    assert_eq!(http::get(cloud.wait_reachable("hello.acme.example")).unwrap(), "hello");

    // While it is ahead there are none: nobody can tell whether the neighbour's certificate is still good. The side that
    // refuses says why.
    sees(&clock, "+10y", 2036..=2100);
    let jumper = if edge_jumps { &edge } else { &cloud };
    assert!(wait::poll(SOON, || says(jumper, "clock").then_some(())).is_some(), "{}", jumper.status());
    restart(&mut cloud, &mut edge);
    let dialler = edge.wait_for("a refusal", SOON, json!({ "do": "status" }), |status| {
        status["peers"][0]["last_error"].as_str().is_some_and(|why| why.contains("clock"))
    });
    println!("refused: {}", dialler["peers"][0]["last_error"]);

    // And nothing of it remains when the clock is right again.
    sees(&clock, "+0", 2026..=2034);
    edge.wait_up(&cloud);
    assert_eq!(http::get(cloud.wait_reachable("hello.acme.example")).unwrap(), "hello");
    let jumper = if edge_jumps { &mut edge } else { &mut cloud };
    jumper.stop();
    start(jumper, &clock);
    edge.wait_up(&cloud);
    assert_eq!(http::get(cloud.wait_reachable("hello.acme.example")).unwrap(), "hello");
}

#[test]
fn an_edge_whose_clock_jumps_by_years_keeps_its_session() {
    jumps(true);
}

#[test]
fn a_cloud_whose_clock_jumps_by_years_keeps_its_sessions() {
    jumps(false);
}

#[test]
fn a_board_that_boots_in_1970_joins_serves_and_renews_when_it_learns_the_time() {
    let web = Http::start("inventory");
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    cloud.exposes("inventory.acme.example");
    cloud.start();
    let token = invite(&cloud, "edge-1", &[]);
    let dir = fabric.dir().join("edge-1.acme.example");
    fs::create_dir_all(dir.join("state")).unwrap();
    let clock = WallClock::new(&dir.join("state/wall-clock"));
    // A clock without a battery begins at 0.
    sees(&clock, "@1970-01-01 00:00:07", 1970..=1970);

    let wrapper = clock.wrapper();
    let mut joining = Command::new(&wrapper[0]);
    joining.args(&wrapper[1..]).arg(fabric.command(Build::Edge).get_program());
    let out = output(joining.args(["join", "-c"]).arg(dir.join("catalyst.json")).arg(&token));
    assert!(out.status.success(), "{}", both(&out));

    let mut board = fabric.adopt(&acme, Build::Edge, "edge-1", dir);
    board.offers("inventory", "http", web.address());
    start(&mut board, &clock);
    let port = cloud.wait_reachable("inventory.acme.example");
    assert_eq!(http::get(port).unwrap(), "inventory");
    let until = |status: &Value| status["certificate_until"].as_u64().unwrap();
    let first = until(&board.status());

    // It was off for sixty days of the ninety of its certificate, which it learns only now: the renewal is overdue.
    sees(&clock, "+60d", 2026..=2100);
    board.wait_for("a renewed certificate", SOON, json!({ "do": "status" }), |status| until(status) > first);
    assert_eq!(http::get(port).unwrap(), "inventory");
    assert_eq!(board.peer(&cloud)["sessions"], 1);
}
