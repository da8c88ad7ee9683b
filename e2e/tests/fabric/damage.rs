//! A state file that the disk has damaged, in many ways: the node starts, with its state or without, and says so in words.

use std::fs;

use catalyst_e2e::{Build, Fabric};
use catalyst_testkit::Rng;
use serde_json::json;

const ADDED: usize = 40;
const BLOCK: usize = 4096;

/// Something that happens to files.
fn damaged(mut bytes: Vec<u8>, rng: &mut Rng) -> (String, Vec<u8>) {
    let end = bytes.len() as u64;
    match rng.below(5) {
        0 => {
            let at = rng.below(end) as usize;
            bytes[at] ^= 1 << rng.below(8);
            (format!("a bit of byte {at}"), bytes)
        }
        1 => {
            // Where the library looks first.
            let at = rng.below(512) as usize;
            bytes[at] = rng.below(256) as u8;
            (format!("byte {at} of the head"), bytes)
        }
        2 => {
            (0..64).for_each(|_| bytes[rng.below(end) as usize] = rng.below(256) as u8);
            ("64 bytes".to_string(), bytes)
        }
        3 => {
            let block = rng.below(end / BLOCK as u64) as usize * BLOCK;
            let fill = [0x00, 0xff][rng.below(2) as usize];
            bytes[block..block + BLOCK].fill(fill);
            (format!("the block at {block}, now {fill}"), bytes)
        }
        _ => {
            bytes.truncate(rng.below(end) as usize);
            (format!("all after {}", bytes.len()), bytes)
        }
    }
}

fn damaged_state(build: Build) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.start();
    (0..ADDED).for_each(|n| node.add(&format!("added-{n}"), "127.0.0.1:9".parse().unwrap()));
    node.stop();
    let state = node.dir.join("state/state.redb");
    let good = fs::read(&state).unwrap();
    let (mut kept, mut repaired, mut begun_anew) = (0, 0, 0);
    for seed in 0..40 {
        let (what, bytes) = damaged(good.clone(), &mut Rng::new(seed));
        fs::write(&state, bytes).unwrap();
        fs::write(node.log(), "").unwrap();
        node.start();
        let status = node.status();
        let services = status["services"].as_array().unwrap().len();
        let log = fs::read_to_string(node.log()).unwrap();
        match status["store_notice"].as_str() {
            None => {
                assert_eq!(services, ADDED, "seed {seed}, {what}: rows are gone without a word\n{log}");
                kept += 1;
            }
            Some(notice) if notice.starts_with("a part of the state was damaged") => {
                assert!(services < ADDED, "seed {seed}, {what}: {services}");
                repaired += 1;
            }
            Some(notice) => {
                assert_eq!(services, 0, "seed {seed}, {what}");
                assert!(notice.contains("state.redb.corrupt-"), "seed {seed}, {what}: {notice}");
                assert!(
                    log.contains("state.redb.corrupt-"),
                    "seed {seed}, {what}: it is not in the log\n{log}"
                );
                begun_anew += 1;
            }
        }
        for raw in ["panicked", "RUST_BACKTRACE", "redb-"] {
            assert!(!log.contains(raw), "seed {seed}, {what}: no words for a person\n{log}");
        }
        // It can be used, and ends well.
        node.add_service(json!({ "name": "again", "target": "127.0.0.1:9" }));
        node.stop();
        fs::remove_file(&state).unwrap();
    }
    println!("{kept} kept, {repaired} repaired, {begun_anew} begun anew");
    assert!(kept > 0 && begun_anew > 5, "{kept} and {begun_anew}: the damage was not of all kinds");
}

#[test]
fn no_damage_of_the_state_keeps_an_edge_from_starting() {
    damaged_state(Build::Edge);
}

#[test]
fn no_damage_of_the_state_keeps_a_cloud_node_from_starting() {
    damaged_state(Build::Cloud);
}
