//! Revocation reaches the other nodes of the organisation, with real processes.

use std::io::{Read, Write};

use catalyst_e2e::process::both;
use catalyst_e2e::{Fabric, Node, wait};
use serde_json::{Value, json};

use super::join::{authority, invite};

fn says_revoked(row: &Value) -> bool {
    row["last_error"].as_str().is_some_and(|e| e.contains("revoked"))
}

/// cloud-1 holds the root; cloud-2 and the board edge-1 are its neighbours and each other's.
fn triangle(fabric: &Fabric) -> [Node; 3] {
    let acme = fabric.org("acme.example");
    let mut first = fabric.cloud(&acme, "cloud-1");
    first.config["authority"] = json!({ "root": acme.root, "address": first.address().to_string() });
    let mut second = fabric.cloud(&acme, "cloud-2");
    let mut board = fabric.edge(&acme, "edge-1");
    second.joins(&mut first);
    board.joins(&mut first);
    board.joins(&mut second);
    [first, second, board]
}

#[test]
fn a_name_that_nobody_has_heard_of_is_revoked_by_force_alone() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    // One whose certificate was not issued here is known as a neighbour, one behind it by its routes.
    let (mut near, mut far) = (fabric.cloud(&acme, "near"), fabric.edge(&acme, "far"));
    far.offers("deep", "tcp", "127.0.0.1:9".parse().unwrap());
    near.joins(&mut cloud);
    far.joins(&mut near);
    cloud.start();
    near.start();
    far.start();
    cloud.wait_routes("deep.acme.example", "a route of far", |rows| !rows.is_empty());
    invite(&cloud, "edge-1", &[]);
    let revoke = |name: &str, more: &[&str]| {
        let out = cloud.cli(&[&["node", "revoke", name], more].concat());
        (out.status.code().unwrap(), both(&out))
    };
    let books = || {
        let rows = cloud.cli(&["node", "ls", "--json"]);
        let rows: Value = serde_json::from_slice(&rows.stdout).unwrap();
        let row = |r: &Value| format!("{} {}", r["node"].as_str().unwrap(), r["state"].as_str().unwrap());
        rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let (code, said) = revoke("egde-1", &[]);
    assert!(code == 5 && said.contains("unknown node 'egde-1.acme.example'"), "{code}: {said}");
    assert!(said.contains("did you mean 'edge-1'?") && said.contains("--force"), "{said}");
    let (code, said) = revoke("something-else", &[]);
    assert!(code == 5 && said.contains("catalyst node ls"), "{code}: {said}");
    assert_eq!(books(), ["edge-1 invited"], "nothing happened");

    assert_eq!(revoke("stolen", &["--force"]).0, 0);
    for known in ["edge-1", "far", "near", "stolen"] {
        assert_eq!(revoke(known, &[]).0, 0, "{known}");
    }
    assert_eq!(books(), ["edge-1 revoked", "far revoked", "near revoked", "stolen revoked"]);
    near.wait_peer(&cloud, "the reason", says_revoked);
}

#[test]
fn a_second_node_cuts_and_refuses_whom_the_authority_has_revoked_and_remembers_it() {
    let fabric = Fabric::new();
    let [mut first, mut second, mut board] = triangle(&fabric);
    let echo = catalyst_e2e::tcp::Service::start(|mut stream| {
        let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
    });
    board.offers("echo", "tcp", echo.address());
    second.exposes("echo.acme.example");
    [&mut first, &mut second, &mut board].into_iter().for_each(Node::start);
    second.wait_up(&board);
    second.wait_up(&first);
    let mut live = catalyst_e2e::tcp::try_connect(second.wait_reachable("echo.acme.example")).unwrap();
    live.write_all(b"x").unwrap();
    let mut byte = [0];
    live.read_exact(&mut byte).unwrap();

    let out = first.cli(&["node", "revoke", "edge-1"]);
    assert!(out.status.success(), "{}", both(&out));
    live.set_read_timeout(Some(wait::SOON)).unwrap();
    let ended = live.read(&mut byte);
    assert!(!matches!(&ended, Ok(n) if *n > 0), "a flow through the other node is cut: {ended:?}");
    second.wait_no_route("echo.acme.example");
    board.wait_peer(&second, "the reason", says_revoked);
    second.wait_up(&first);
    // The authority and the other node both end their session with the word that says why.
    let told = "code=peer-removed reason=\"the certificate of 'edge-1.acme.example' was revoked\"";
    wait::until("the word of both neighbours", wait::SOON, || {
        let log = std::fs::read_to_string(board.log()).unwrap();
        (log.matches(told).count() == 2).then_some(())
    });

    // It knows by itself after a restart, with the authority away.
    first.kill();
    second.kill();
    second.start();
    board.kill();
    board.start();
    board.wait_peer(&second, "the reason", says_revoked);
    assert_eq!(second.routes_to("echo.acme.example"), [] as [Value; 0]);
}

#[test]
fn a_node_that_was_away_learns_it_with_its_next_session_also_through_another() {
    let fabric = Fabric::new();
    let [mut first, mut second, mut board] = triangle(&fabric);
    [&mut first, &mut board].into_iter().for_each(Node::start);
    first.wait_up(&board);
    let out = first.cli(&["node", "revoke", "edge-1"]);
    assert!(out.status.success(), "{}", both(&out));
    board.wait_peer(&first, "the reason", says_revoked);
    // It comes late, and hears of it from the authority; before that it may have taken the board in.
    second.start();
    second.wait_up(&first);
    board.wait_peer(&second, "the reason", says_revoked);

    // The authority loses its books and takes the board in, before it learns from its neighbour whom it has cut off.
    second.kill();
    first.kill();
    board.kill();
    std::fs::remove_dir_all(first.dir.join("state")).unwrap();
    first.start();
    board.start();
    first.wait_up(&board);
    second.start();
    first.wait_up(&second);
    board.wait_peer(&first, "the reason, in the session that stood", says_revoked);
    let listed = |node: &Node| {
        let out = node.cli(&["node", "ls", "--json"]);
        let rows: Value = serde_json::from_slice(&out.stdout).ok()?;
        rows.as_array()?.iter().any(|r| r["node"] == "edge-1" && r["state"] == "revoked").then_some(())
    };
    wait::until("the books name it again", wait::SOON, || listed(&first));
    board.kill();
    board.start();
    board.wait_peer(&first, "the reason", says_revoked);
}
