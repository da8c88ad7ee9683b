//! Where a file is named and something else is there: a pipe that nobody writes to, a device without end, a huge file. No
//! command and no start waits for it or fills the memory with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use catalyst_e2e::fabric::text;
use catalyst_e2e::process::{both, output};
use catalyst_e2e::{Build, Fabric};
use serde_json::json;

/// Paths that are no files, and what is said of them.
fn odd(dir: &Path) -> Vec<(String, &'static str)> {
    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = dir.join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    let huge = dir.join("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    [(&pipe, "a pipe"), (&link, "a device"), (&huge, "more than"), (&dir.to_path_buf(), "a folder")]
        .map(|(path, words)| (text(path).to_string(), words))
        .to_vec()
}

#[test]
fn the_files_of_a_node_are_regular_ones_of_a_size() {
    for build in [Build::Cloud, Build::Edge] {
        let fabric = Fabric::new();
        let org = fabric.org("acme.example");
        let mut node = fabric.node(&org, build, "one");
        for (path, words) in odd(fabric.dir()) {
            let out = output(fabric.command(build).args(["config", "check", "-c", &path]));
            let said = both(&out);
            assert!(out.status.code() == Some(3) && said.contains(words), "{path}: {said}");
            for key in ["key", "certificate", "bundle"] {
                node.config["identity"][key] = json!(path);
                node.write_config();
                let (said, code) = node.start_in_vain();
                assert!(code == 3 && said.contains(words) && said.contains(&path), "{key}: {code}: {said}");
                let out = node.cli(&["check"]);
                let said = both(&out);
                assert!(out.status.code() == Some(3) && said.contains(words), "{key}: {said}");
                node.config.as_object_mut().unwrap().remove("identity");
            }
            node.config["peers"] = json!([{ "node": "gw", "org": "globex.example", "address": "127.0.0.1:1",
                "bundle": path, "agreement": path }]);
            node.write_config();
            let (said, code) = node.start_in_vain();
            assert!(code == 3 && said.contains(words), "{code}: {said}");
            node.config["peers"] = json!([]);
        }
    }
}

#[test]
fn the_files_of_commands_are_regular_ones_of_a_size() {
    for build in [Build::Cloud, Build::Edge] {
        let fabric = Fabric::new();
        let org = fabric.org("acme.example");
        let node = fabric.node(&org, build, "one");
        node.write_config();
        let root = text(&org.root).to_string();
        for (path, words) in odd(fabric.dir()) {
            let token = format!("@{path}");
            let mut commands = vec![
                vec!["join", &token],
                vec!["peer", "add", "gw.globex.example", "--bundle", &path, "--agreement", &path],
            ];
            if build == Build::Cloud {
                let new = ["agreement", "new", "--with", "globex.example", "--bundle", &path];
                commands.extend([
                    vec!["agreement", "check", &path],
                    new.to_vec(),
                    vec!["org", "sign", &path, "--dir", &root],
                    vec!["replay", &path],
                ]);
            }
            for command in commands {
                let out = node.cli(&command);
                let said = both(&out);
                assert_eq!(out.status.code(), Some(1), "{command:?}: {said}");
                assert!(said.contains(words) && said.contains(&path), "{command:?}: {said}");
            }
        }
    }
}
