//! Neighbours that are lost while their Envoys live, or for good: how long what they offer is used.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node};
use serde_json::{Value, json};

#[track_caller]
fn answers(at: SocketAddr, service: &Http, host: &str) {
    wait::until(&format!("{host} answers"), SOON, || {
        http::get_at(at, host).ok().filter(|words| words == service.words())
    });
}

/// How often an Envoy took anything from its node.
fn updates(node: &Node) -> u64 {
    let socket = node.dir.join("state/envoy/admin.sock");
    let mut admin = UnixStream::connect(socket).unwrap();
    admin.write_all(b"GET /stats?filter=update_success HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    admin.read_to_string(&mut text).unwrap();
    let counts = text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
    counts.sum()
}

fn standing(node: &Node, service: &str) -> (Value, Value) {
    let rows = node.kept_routes_to(service);
    rows.first().map_or((Value::Null, Value::Null), |row| (row["standing"].clone(), row["stale"].clone()))
}

/// Two organisations: `a` uses what `b` exports to it.
fn two(web: &Http, labels: &[String]) -> (Fabric, Node, Node, SocketAddr) {
    let fabric = Fabric::new();
    let orgs = ["acme.example", "globex.example"].map(|name| fabric.org(name));
    let (mut a, mut b) = (fabric.cloud(&orgs[0], "a"), fabric.cloud(&orgs[1], "b"));
    let ingress = a.has_envoy();
    b.has_envoy();
    let agreement = fabric.agreement(
        "both.json",
        [
            json!({ "org": "acme.example", "role": "peer" }),
            json!({ "org": "globex.example", "role": "peer", "max_services": 2_000, "max_bytes": 1_000_000 }),
        ],
    );
    a.awaits_under(&b, &agreement);
    b.dials_under(&a, &agreement);
    a.imports("*", &orgs[1]);
    b.exports("*", &orgs[0]);
    labels.iter().for_each(|label| b.offers(label, "http", web.address()));
    (fabric, a, b, ingress)
}

#[test]
fn a_node_is_killed_and_its_neighbour_uses_its_envoy_as_if_nothing_had_happened() {
    let web = Http::start("there");
    let labels: Vec<String> = (0..250).map(|n| format!("s{n}")).collect();
    let (_fabric, mut a, mut b, ingress) = two(&web, &labels);
    a.start();
    b.start();
    a.wait_up(&b);
    a.wait("all routes", |status| status["routes"][0] == 250);
    for host in ["s0.globex.example", "s249.globex.example"] {
        answers(ingress, &web, host);
    }
    a.wait("Envoy has settled", |status| status["envoy"]["xds"]["settled"] == true);
    let before = updates(&a);
    for back_at_once in [false, true] {
        b.kill();
        if !back_at_once {
            a.wait_down(&b);
            assert_eq!(standing(&a, "s7.globex.example"), (json!("best"), json!("stale")));
        }
        for _ in 0..100 {
            assert_eq!(http::get_at(ingress, "s0.globex.example").unwrap(), web.words());
        }
        let sessions = a.peer(&b)["sessions"].as_u64().unwrap();
        b.start();
        a.wait_peer(&b, "another session", |row| row["sessions"].as_u64() > Some(sessions));
        let begun = Instant::now();
        while a.peer(&b)["state"] != "up" || begun.elapsed() < Duration::from_secs(1) {
            assert_eq!(http::get_at(ingress, "s249.globex.example").unwrap(), web.words());
            assert!(begun.elapsed() < SOON, "it does not come up");
        }
        assert_eq!(standing(&a, "s7.globex.example"), (json!("best"), Value::Null));
        assert_eq!(a.status()["routes"][0], 250);
    }
    assert_eq!(updates(&a), before, "the same table is no news for Envoy");
}

#[test]
fn what_is_to_fail_closed_ends_with_the_restart_time_and_all_else_with_stale_max() {
    let web = Http::start("there");
    let labels = ["closed", "open"].map(ToString::to_string);
    let (_fabric, mut a, mut b, ingress) = two(&web, &labels);
    b.config["services"][0]["on_stale"] = json!("fail_closed");
    b.config["peers"][0]["restart_s"] = json!(4);
    a.config["stale_max_s"] = json!(9);
    a.start();
    b.start();
    for host in ["closed.globex.example", "open.globex.example"] {
        answers(ingress, &web, host);
    }
    let killed = b.kill();
    a.wait_down(&b);
    let noticed = killed.elapsed();
    assert_eq!(standing(&a, "closed.globex.example"), (json!("best"), json!("stale")));
    assert_eq!(http::get_at(ingress, "closed.globex.example").unwrap(), web.words());
    a.wait_no_route("closed.globex.example");
    assert!(killed.elapsed() >= Duration::from_secs(4), "{:?}", killed.elapsed());
    assert_eq!(standing(&a, "open.globex.example"), (json!("best"), json!("long-lived stale")));
    let fate = a.peer(&b)["stale"].to_string();
    assert!(fate.contains("long-lived stale: gone in"), "{fate}");
    wait::until("no answer", SOON, || http::get_at(ingress, "closed.globex.example").is_err().then_some(()));
    assert_eq!(http::get_at(ingress, "open.globex.example").unwrap(), web.words());
    a.wait_no_route("open.globex.example");
    let gone = killed.elapsed();
    assert!(gone >= Duration::from_secs(9) && gone < noticed + Duration::from_secs(11), "{gone:?}");
    assert_eq!(a.peer(&b).get("stale"), None);
    // It comes back as ever.
    b.start();
    for host in ["closed.globex.example", "open.globex.example"] {
        answers(ingress, &web, host);
    }
}

#[test]
fn a_node_that_stops_in_order_leaves_nothing() {
    let web = Http::start("there");
    let (_fabric, mut a, mut b, ingress) = two(&web, &["open".to_string()]);
    a.start();
    b.start();
    answers(ingress, &web, "open.globex.example");
    b.stop();
    a.wait_no_route("open.globex.example");
    assert_eq!(standing(&a, "open.globex.example"), (Value::Null, Value::Null));
}

#[test]
fn what_commands_say_of_a_loss_holds_as_what_the_file_says() {
    let web = Http::start("there");
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut a, mut b) = (fabric.cloud(&org, "a"), fabric.cloud(&org, "b"));
    a.has_envoy();
    b.has_envoy();
    a.joins(&mut b);
    a.start();
    b.start();
    let target = web.address().to_string();
    let good = |args: &[&str]| {
        let out = b.cli(args);
        assert!(out.status.success(), "{args:?}: {}", catalyst_e2e::process::both(&out));
    };
    let add = |label, more: &[&str]| {
        good(&[&["service", "add", label, "--protocol", "http", "--target", &target], more].concat());
    };
    good(&["peer", "add", "a", "--restart", "3s"]);
    add("open", &[]);
    add("closed", &["--on-stale", "fail_closed"]);
    for (args, words) in [
        (&["peer", "add", "a", "--restart", "2h"][..], "at most"),
        (&["service", "add", "x", "--target", &target, "--on-stale", "never"], "fail_closed"),
    ] {
        let out = b.cli(args);
        let said = catalyst_e2e::process::both(&out);
        assert!(out.status.code() == Some(2) && said.contains(words), "{said}");
    }
    for service in ["open.acme.example", "closed.acme.example"] {
        a.wait_routes(service, "one", |rows| rows.len() == 1);
    }
    let killed = b.kill();
    a.wait_no_route("closed.acme.example");
    let gone = killed.elapsed();
    assert!(gone >= Duration::from_secs(3) && gone < Duration::from_secs(15), "{gone:?}");
    assert_eq!(standing(&a, "open.acme.example"), (json!("best"), json!("long-lived stale")));
}
