//! The authority is killed in the middle of many joins, with real processes.

use std::process::Stdio;

use catalyst_e2e::process::{both, output};
use catalyst_e2e::{Build, Fabric, Node, wait};
use serde_json::{Value, json};

const BOARDS: usize = 12;

fn states(cloud: &Node) -> Value {
    serde_json::from_slice(&cloud.cli(&["node", "ls", "--json"]).stdout).unwrap()
}

#[test]
fn after_a_kill_a_token_has_bought_one_certificate_at_most_and_the_books_know() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    cloud.config["authority"] = json!({ "root": acme.root, "address": cloud.address().to_string() });
    cloud.start();
    let tokens: Vec<String> = (0..BOARDS)
        .map(|n| {
            let out = cloud.cli(&["node", "invite", &format!("edge-{n}")]);
            assert!(out.status.success(), "{}", both(&out));
            String::from_utf8(out.stdout).unwrap().trim().to_string()
        })
        .collect();
    let command = |n: usize, dir: &str| {
        let dir = fabric.dir().join(format!("{dir}-{n}"));
        std::fs::create_dir_all(&dir).unwrap();
        let mut command = fabric.command(Build::Edge);
        command.arg("join").arg("-c").arg(dir.join("catalyst.json")).arg(&tokens[n]);
        (command, dir.join(format!("edge-{n}.crt")))
    };
    let mut first: Vec<_> = (0..BOARDS)
        .map(|n| {
            let (mut command, certificate) = command(n, "first");
            (command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), certificate)
        })
        .collect();
    wait::until("the first of them has joined", wait::SOON, || {
        first
            .iter_mut()
            .any(|(child, _)| child.try_wait().unwrap().is_some_and(|s| s.success()))
            .then_some(())
    });
    cloud.kill();
    let joined: Vec<bool> = first
        .iter_mut()
        .map(|(child, certificate)| {
            let success = child.wait().unwrap().success();
            assert_eq!(certificate.exists(), success, "a join leaves everything or nothing");
            success
        })
        .collect();
    cloud.start();
    let (mut later, mut spent) = (0, 0);
    for (n, joined) in joined.iter().enumerate() {
        let out = output(&mut command(n, "second").0);
        if out.status.success() {
            assert!(!joined, "edge-{n}: two certificates for one token");
            later += 1;
        } else {
            assert!(both(&out).contains("used already"), "edge-{n}: {}", both(&out));
            spent += usize::from(!joined);
        }
    }
    // What was sent out is in the books, whatever the boards got of it.
    let books = states(&cloud);
    let known = books.as_array().unwrap().iter().filter(|row| row["state"] == "joined").count();
    assert_eq!(known, BOARDS, "{books}");
    println!("{} joined before the kill, {later} after it, {spent} lost the answer", BOARDS - later - spent);
}
