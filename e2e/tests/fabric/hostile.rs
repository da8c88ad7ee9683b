//! A configured neighbour with a good certificate that sends what it must not: its session ends with a reason,
//! a counter grows, and nobody else notices.

use std::net::SocketAddr;

use catalyst_e2e::{Fabric, Node, Org};
use catalyst_wire::{Attrs, FrameType, Notify, NotifyCode, Path, Reader, small};
use serde_json::{Value, json};

use crate::rogue::Rogue;

/// A hub with an honest neighbour that offers `good`, and the place of a rogue one.
struct Hub {
    org: Org,
    hub: Node,
    honest: Node,
    identity: Node,
}

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

fn hub() -> Hub {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut hub = fabric.cloud(&org, "hub");
    let mut honest = fabric.edge(&org, "honest");
    let identity = fabric.edge(&org, "rogue");
    honest.joins(&mut hub);
    hub.awaits(&identity);
    honest.offers("good", "tcp", nowhere());
    hub.start();
    honest.start();
    hub.wait_route("good.acme.example");
    hub.wait_up(&honest);
    honest.wait_up(&hub);
    Hub { org, hub, honest, identity }
}

/// What must stay as it is while the rogue does its worst.
fn untouched(hub: &Hub) -> (Value, Value, Vec<Value>) {
    let row = hub.hub.peer(&hub.honest);
    (row["sessions"].clone(), row["state"].clone(), hub.hub.routes_to("good.acme.example"))
}

fn counters(node: &Node) -> (u64, u64) {
    let status = node.status();
    (status["sessions_ended"].as_u64().unwrap(), status["malformed_frames"].as_u64().unwrap())
}

/// The rogue does `what`; the session must end with NOTIFY `code`, saying `words`.
fn ends_with(code: &str, words: &str, malformed: bool, what: impl FnOnce(&Rogue)) {
    let hub = hub();
    let before = untouched(&hub);
    let (ended, bad) = counters(&hub.hub);
    let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    what(&rogue);
    let (got, reason) = rogue.notify();
    assert_eq!(got, code, "{reason}");
    assert!(reason.contains(words), "{reason}");
    rogue.down();
    hub.hub.wait("the counters grew", |status| {
        let grew = status["sessions_ended"].as_u64() > Some(ended)
            || status["malformed_frames"].as_u64() > Some(bad);
        grew && (!malformed || status["malformed_frames"].as_u64() > Some(bad))
    });
    hub.hub.wait_down(&hub.identity);
    assert_eq!(untouched(&hub), before);
    assert_eq!(hub.hub.routes().len(), 1);
    // Its table still changes, and the next session of the same neighbour is a good one.
    hub.honest.add("more", nowhere());
    hub.hub.wait_route("more.acme.example");
    drop(rogue);
    let again = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    again.open();
    again.end_of_rib();
    again.frame(FrameType::EndOfRib);
    hub.hub.wait_up(&hub.identity);
}

#[test]
fn an_update_before_open() {
    ends_with("unexpected-frame", "UPDATE came before OPEN", false, |rogue| {
        rogue.update(Some(("evil.acme.example", "rogue", &Attrs::default())), None);
    });
}

#[test]
fn a_second_open() {
    ends_with("unexpected-frame", "second OPEN", false, |rogue| {
        rogue.open();
        rogue.frame(FrameType::Open);
        rogue.open();
    });
}

#[test]
fn an_open_in_the_name_of_another_node() {
    ends_with("wrong-identity", "honest.acme.example", false, |rogue| {
        rogue.open_as(&"honest.acme.example".parse().unwrap());
    });
}

#[test]
fn garbage_instead_of_open() {
    ends_with("malformed-frame", "", true, |rogue| rogue.send(&[0x5a; 64]));
}

#[test]
fn an_open_that_is_cut_short() {
    ends_with("malformed-frame", "", true, |rogue| rogue.send(&[FrameType::Open as u8, 0, 0, 3, 1, 1, 200]));
}

#[test]
fn an_update_whose_regions_lie_about_their_length() {
    ends_with("malformed-frame", "", true, |rogue| {
        rogue.open();
        rogue.frame(FrameType::Open);
        rogue.send(&[FrameType::Update as u8, 0, 0, 4, 200, 1, 2, 3]);
    });
}

#[test]
fn a_frame_longer_than_any_may_be() {
    ends_with("malformed-frame", "16385", true, |rogue| {
        rogue.open();
        rogue.frame(FrameType::Open);
        let [high, low] = 16_385u16.to_be_bytes();
        let mut frame = vec![FrameType::Update as u8, 0, high, low];
        frame.resize(4 + 16_385, 0);
        rogue.send(&frame);
    });
}

#[test]
fn an_unknown_frame_that_may_not_be_skipped() {
    ends_with("malformed-frame", "200", true, |rogue| {
        rogue.open();
        rogue.frame(FrameType::Open);
        rogue.send(&[200, 0, 0, 2, 1, 2]);
    });
}

#[test]
fn a_frame_that_only_the_other_side_may_send() {
    ends_with("malformed-frame", "DIAL_DATA", true, |rogue| {
        rogue.open();
        rogue.frame(FrameType::Open);
        rogue.send(&[FrameType::DialData as u8, 0, 0, 0]);
    });
}

#[test]
fn an_unknown_frame_that_may_be_skipped_is_skipped() {
    let hub = hub();
    let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    rogue.open();
    rogue.send(&[200, 1, 0, 2, 1, 2]);
    rogue.end_of_rib();
    rogue.frame(FrameType::EndOfRib);
    hub.hub.wait_up(&hub.identity);
    assert_eq!(counters(&hub.hub), (0, 0));
}

#[test]
fn a_malformed_route_is_treated_as_withdrawn_and_the_session_goes_on() {
    let hub = hub();
    let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    rogue.open();
    rogue.frame(FrameType::Open);
    // Inside an organisation a route names the nodes that it passed; this one passed none.
    rogue.update(Some(("evil.acme.example", "rogue", &Attrs::default())), None);
    rogue.end_of_rib();
    let row = hub.hub.wait_peer(&hub.identity, "one malformed route", |row| row["malformed"] == 1);
    assert_eq!((&row["routes"], &row["sessions"]), (&json!(0), &json!(1)));
    let text = String::from_utf8(hub.hub.cli(&["peer", "ls"]).stdout).unwrap();
    assert!(text.contains("rogue.acme.example: 1 route(s) malformed, 0 kept out by policy"), "{text}");
    hub.hub.wait_up(&hub.identity);
    assert_eq!(hub.hub.routes_to("evil.acme.example"), [] as [Value; 0]);
}

#[test]
fn words_of_a_neighbour_steer_no_terminal_and_forge_no_line() {
    const WORDS: &str = "bye\u{202e}dne\u{9b}2J\u{1b}[2J\u{200b}\n2026-01-01 ERROR forged\u{feff}\u{2066}";
    let plain = |text: &str| text.chars().all(|c| catalyst_config::is_plain(c) || c == '\n');
    for frame in [FrameType::Notify, FrameType::Refused] {
        let hub = hub();
        let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
        rogue.open();
        rogue.end_of_rib();
        hub.hub.wait_up(&hub.identity);
        let mut room = [0; 1024];
        let field = if frame == FrameType::Notify {
            let notify = Notify { code: NotifyCode::LIMIT, reason: WORDS, document: "" };
            rogue.send(notify.write(&mut room).unwrap());
            "last_error"
        } else {
            rogue.send(small::Refused { count: 3, reason: WORDS, services: "" }.write(&mut room).unwrap());
            "refused_by_peer"
        };
        hub.hub.wait_peer(&hub.identity, "its words", |row| {
            row[field].as_str().is_some_and(|e| e.contains("bye")) || row[field] == 3
        });
        for args in [&["status"][..], &["status", "--json"], &["peer", "ls"], &["peer", "ls", "--json"]] {
            let out = hub.hub.cli(args);
            let said = String::from_utf8(out.stdout).unwrap();
            assert!(out.status.success() && plain(&said), "{args:?}: {said:?}");
            assert!(!said.contains("\n2026-01-01 ERROR"), "{said}");
            if args.contains(&"--json") && field == "last_error" {
                let rows: Value = serde_json::from_str(&said).unwrap();
                let rows = rows.get("peers").unwrap_or(&rows);
                assert!(
                    rows.to_string().contains("bye\u{202e}dne"),
                    "programs get the words as they were: {said}"
                );
            }
        }
        let log = std::fs::read_to_string(hub.hub.log()).unwrap();
        assert!(log.contains("bye") && plain(&log) && !log.contains("\n2026-01-01 ERROR"), "{log:?}");
    }
}

#[test]
fn a_neighbour_cannot_withdraw_what_others_announced() {
    let hub = hub();
    let before = untouched(&hub);
    let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    rogue.open();
    rogue.frame(FrameType::Open);
    for origin in ["honest", "hub", "rogue"] {
        rogue.update(None, Some(("good.acme.example", origin)));
    }
    rogue.end_of_rib();
    hub.hub.wait_up(&hub.identity);
    assert_eq!(untouched(&hub), before);
}

#[test]
fn a_neighbour_cannot_speak_for_another() {
    let hub = hub();
    let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    rogue.open();
    rogue.frame(FrameType::Open);
    // A path that begins with somebody else, and one that has been here already.
    for path in [b"\x01\x06honest".as_slice(), b"\x02\x05rogue\x03hub"] {
        let node_path = Path::read(&mut Reader::new(path), 9, 63, |_| true).unwrap();
        let attrs = Attrs { node_path, ..Attrs::default() };
        rogue.update(Some(("good.acme.example", "honest", &attrs)), None);
    }
    rogue.end_of_rib();
    hub.hub.wait_up(&hub.identity);
    let mut rows = hub.hub.routes_to("good.acme.example");
    // What came in a circle is kept, for whoever asks why, and never used.
    let looped = rows.iter().position(|row| row["via"] == "rogue.acme.example").map(|at| rows.remove(at));
    assert_eq!(looped.unwrap()["standing"], "ineligible");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["via"], "honest.acme.example");
}

/// Anonymous memory of a process, in KiB: what it allocated and touched.
fn anonymous(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn a_neighbour_that_announces_without_end_fills_its_share_and_nothing_else() {
    let mut hub = hub();
    let before = untouched(&hub);
    let count = if std::env::var_os("CATALYST_TEST_FULL").is_some() { 10_000_000 } else { 300_000 };
    hub.hub.stop();
    hub.hub.config["limits"] = json!({ "routes_per_peer": 1_000 });
    hub.hub.start();
    hub.hub.wait_up(&hub.honest);
    let idle = anonymous(hub.hub.pid());
    let rogue = Rogue::new(&hub.identity, &hub.hub, &hub.org).connect();
    rogue.open();
    rogue.frame(FrameType::Open);
    // It is told when what is refused changes, and 1,024 are told apart.
    let told = rogue.flood(count).unwrap_or_else(|| rogue.frame(FrameType::Refused));
    let told = catalyst_wire::Refused::read(catalyst_wire::Frame::whole(&told).unwrap().body).unwrap();
    assert!(told.reason.contains("1000 routes") && told.services.contains("flood-"), "{told:?}");
    let row = hub.hub.wait_peer(&hub.identity, "all of it was heard", |row| {
        row["refused_total"].as_u64() == Some(count as u64 - 1_000)
    });
    assert_eq!((&row["refused"], &row["refused_more"]), (&json!(1_024), &json!(true)), "{row:#}");
    assert_eq!((&row["routes"], &row["state"]), (&json!(1_000), &json!("syncing")), "{row:#}");
    let after = anonymous(hub.hub.pid());
    println!("{count} announcements: RssAnon {idle} -> {after} KiB");
    assert!(after < idle + 16 * 1024, "RssAnon {idle} -> {after} KiB");
    assert_eq!(untouched(&hub).2, before.2, "the honest neighbour's route stands");
    assert_eq!(hub.hub.peer(&hub.honest)["sessions"], 1);
}
