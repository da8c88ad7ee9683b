//! The disk is full: what is changed is in force, is owed, and comes to the disk when there is room; what is never written is
//! told at the end. A node starts from a state that it can read and not write.

use std::collections::BTreeSet;
use std::process::Output;

use catalyst_e2e::process::{both, tail};
use catalyst_e2e::{Fabric, Node, SmallDisk, wait};
use serde_json::{Value, json};

use crate::join::{invite, join_in};

/// An authority whose state is on a small disk.
fn authority(fabric: &Fabric) -> (Node, SmallDisk) {
    let acme = fabric.org("acme.example");
    let mut node = fabric.cloud(&acme, "cloud-1");
    node.config["authority"] = json!({ "root": acme.root, "address": node.address().to_string() });
    let disk = on_small_disk(&mut node);
    (node, disk)
}

fn on_small_disk(node: &mut Node) -> SmallDisk {
    let state = node.dir.join("small");
    node.config["state_dir"] = json!(state);
    node.config["admin"] = json!({ "socket": node.socket() });
    SmallDisk::over(&state, "4m")
}

fn start(node: &mut Node, disk: &SmallDisk) {
    let enter = disk.enter();
    node.start_under(&enter.iter().map(String::as_str).collect::<Vec<_>>());
}

fn service(name: &str) -> Value {
    json!({ "do": "service-add", "service": { "name": name, "protocol": "tcp", "target": "127.0.0.1:9" } })
}

/// Fills the disk, and makes changes until one finds no room. Returns the services that were added, and what was said.
fn fill(node: &Node, disk: &SmallDisk) -> (BTreeSet<String>, String) {
    disk.fill();
    let mut added = BTreeSet::new();
    for n in 0..300 {
        let name = format!("s{n}");
        added.insert(format!("{name}.acme.example"));
        if let Err(why) = node.try_ask(service(&name)) {
            return (added, why);
        }
    }
    panic!("the disk takes everything");
}

fn names(rows: &Value, key: &str) -> BTreeSet<String> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_string()).collect()
}

/// What a command said whose change is in force and not on the disk.
#[track_caller]
fn not_yet(out: &Output) -> String {
    let said = both(out);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("in force, but not yet on the disk") && said.contains("No space left"), "{said}");
    said
}

#[test]
fn what_a_full_disk_did_not_take_is_shown_and_written_when_there_is_room() {
    let fabric = Fabric::new();
    let (mut node, disk) = authority(&fabric);
    start(&mut node, &disk);
    assert!(node.cli(&["node", "invite", "edge-1"]).status.success());
    let (mut services, why) = fill(&node, &disk);
    assert!(why.contains("in force, but not yet on the disk") && why.contains("No space left"), "{why}");

    not_yet(&node.cli(&["node", "revoke", "edge-1"]));
    let out = node.cli(&["node", "invite", "edge-2"]);
    not_yet(&out);
    assert!(String::from_utf8_lossy(&out.stdout).trim().len() > 50, "the token is there: {}", both(&out));
    not_yet(&node.cli(&["service", "add", "late", "--protocol", "tcp", "--target", "127.0.0.1:9"]));
    services.insert("late.acme.example".into());
    not_yet(&node.cli(&["service", "rm", "s0"]));
    services.remove("s0.acme.example");
    not_yet(&node.cli(&["peer", "add", "edge-7.acme.example"]));

    let status = node.status();
    assert_eq!(status["owed"]["changes"], 6, "{status:#}");
    assert!(status["owed"]["why"].as_str().unwrap().contains("No space left"), "{status:#}");
    assert_eq!(status["owed"]["free_bytes"], 0);
    assert!(status["next_step"].as_str().unwrap().starts_with("make space in "), "{status:#}");
    let text = both(&node.cli(&["status"]));
    assert!(text.contains("not on the disk: 6 change(s) that are in force"), "{text}");
    assert_eq!(names(&status["services"], "name"), services);

    disk.free();
    node.wait("all is on the disk", |status| status["owed"].is_null());
    assert!(tail(node.log(), 20).contains("all changes are on the disk again"), "{}", tail(node.log(), 20));
    node.kill();
    start(&mut node, &disk);
    let status = node.status();
    assert_eq!(names(&status["services"], "name"), services);
    assert_eq!(names(&status["peers"], "name"), BTreeSet::from(["edge-7.acme.example".into()]));
    let nodes = node.ask(json!({ "do": "nodes" }));
    let state = |name: &str| {
        let row = nodes.as_array().unwrap().iter().find(|row| row["node"] == name).cloned();
        row.unwrap_or_default()["state"].clone()
    };
    assert_eq!((state("edge-1"), state("edge-2")), (json!("revoked"), json!("invited")), "{nodes:#}");
}

#[test]
fn what_is_still_owed_at_the_end_is_told_with_an_exit_code() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut node = fabric.edge(&acme, "edge-1");
    let disk = on_small_disk(&mut node);
    start(&mut node, &disk);
    let (services, _) = fill(&node, &disk);
    let last = services.len() - 1;
    assert_eq!(node.stop_badly(), 1);
    let said = tail(node.log(), 3);
    assert!(said.contains(&format!("services/s{last}")) && said.contains("is lost"), "{said}");

    disk.free();
    start(&mut node, &disk);
    assert_eq!(node.status()["services"].as_array().unwrap().len(), last, "what was acknowledged is there");
    // It is well again.
    wait::until("a change is taken", wait::SOON, || node.try_ask(service("again")).ok());
    node.stop();
}

/// A node with things of run time in its state ends as `end` does while nothing fits on its disk; it starts all the same.
fn starts_on_a_full_disk(end: impl Fn(&mut Node)) {
    let fabric = Fabric::new();
    let (mut node, disk) = authority(&fabric);
    start(&mut node, &disk);
    assert!(node.cli(&["node", "invite", "edge-1"]).status.success());
    assert!(node.cli(&["node", "invite", "edge-2"]).status.success());
    assert!(node.cli(&["node", "revoke", "edge-2"]).status.success());
    // With as many rows as here, what is free inside the file is too little for the next start's number.
    let kept = ["kept0", "kept1", "kept2"];
    kept.iter().for_each(|name| drop(node.ask(service(name))));
    let (mut services, _) = fill(&node, &disk);
    // The last one was not written.
    services.remove(&format!("s{}.acme.example", services.len() - 1));
    services.extend(kept.map(|name| format!("{name}.acme.example")));
    let first = node.status()["incarnation"].as_u64().unwrap();
    end(&mut node);

    start(&mut node, &disk);
    let status = node.status();
    assert_eq!(names(&status["services"], "name"), services);
    let nodes = node.ask(json!({ "do": "nodes" }));
    assert_eq!(names(&nodes, "node"), BTreeSet::from(["edge-1".into(), "edge-2".into()]));
    let second = status["incarnation"].as_u64().unwrap();
    assert!(second > first, "{first} {second}");
    // That is shown, and is no loss at a stop.
    let owed = &status["owed"];
    assert!(owed.is_null() || (owed["changes"] == 1 && owed["free_bytes"] == 0), "{status:#}");
    node.stop();

    start(&mut node, &disk);
    let (more, why) = fill(&node, &disk);
    assert!(why.contains("No space left"), "{why}");
    services.extend(more);
    disk.free();
    let status = node.wait("all is on the disk", |status| status["owed"].is_null());
    // The number of the second run was lost, so the third knows only that its own is another one.
    assert_ne!(status["incarnation"].as_u64().unwrap(), second, "{status:#}");
    node.kill();
    start(&mut node, &disk);
    assert_eq!(names(&node.status()["services"], "name"), services);
}

#[test]
fn a_node_that_was_stopped_starts_on_a_full_disk() {
    starts_on_a_full_disk(|node| assert_eq!(node.stop_badly(), 1));
}

#[test]
fn a_node_that_was_killed_starts_on_a_full_disk() {
    starts_on_a_full_disk(|node| {
        node.kill();
    });
}

#[test]
fn a_node_without_a_state_says_what_a_full_disk_needs() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut node = fabric.edge(&acme, "edge-1");
    let disk = on_small_disk(&mut node);
    disk.fill();
    let enter = disk.enter();
    let (said, code) = node.start_in_vain_under(&enter.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 1, "{said}");
    for words in ["state.redb", "No space left", "free some space", "0 bytes are free in ", "'state_dir'"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    disk.free();
    start(&mut node, &disk);
}

#[test]
fn a_join_that_an_authority_cannot_write_down_leaves_its_token_good() {
    let fabric = Fabric::new();
    let (mut node, disk) = authority(&fabric);
    start(&mut node, &disk);
    let token = invite(&node, "edge-1", &[]);
    fill(&node, &disk);
    let board = fabric.dir().join("board");
    let (said, code) = join_in(&fabric, &board, &token);
    assert!(code != 0 && said.contains("the same token"), "{code}: {said}");
    assert!(!board.join("edge-1.crt").exists());
    disk.free();
    node.wait("all is on the disk", |status| status["owed"].is_null());
    let (said, code) = join_in(&fabric, &board, &token);
    assert_eq!(code, 0, "{said}");
    // It is good for this key alone.
    let (said, code) = join_in(&fabric, &fabric.dir().join("thief"), &token);
    assert!(code == 5 && said.contains("used already"), "{code}: {said}");
}
