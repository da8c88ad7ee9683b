//! What keeps a node from starting: it says which file, which key, and how to mend it, and leaves nothing behind.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use catalyst_e2e::{Build, Fabric, Node, Org};
use serde_json::{Value, json};

fn one(build: Build) -> (Fabric, Org, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let node = fabric.node(&org, build, "one");
    (fabric, org, node)
}

/// It does not start, exits with this code, and says all of this.
#[track_caller]
fn refuses(node: &Node, exit: i32, words: &[&str]) -> String {
    let (said, code) = node.start_in_vain();
    assert_eq!(code, exit, "{said}");
    for word in words {
        assert!(said.contains(word), "'{word}' is missing in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(!node.socket().exists(), "the admin socket is left behind: {said}");
    said
}

/// As [`refuses`], and `config check` says the same with the same code.
#[track_caller]
fn refuses_and_checks(node: &Node, words: &[&str]) {
    refuses(node, 3, words);
    let out = node.cli(&["config", "check"]);
    let said = catalyst_e2e::process::both(&out);
    assert_eq!(out.status.code(), Some(3), "{said}");
    for word in words {
        assert!(said.contains(word), "config check: '{word}' is missing in: {said}");
    }
}

#[test]
fn a_good_configuration_passes_the_check_and_starts_nothing() {
    for build in [Build::Cloud, Build::Edge] {
        let (_fabric, _org, node) = one(build);
        node.write_config();
        let out = node.cli(&["config", "check"]);
        assert!(out.status.success(), "{out:?}");
        assert!(String::from_utf8_lossy(&out.stdout).contains("good"), "{out:?}");
        assert!(!node.dir.join("state").exists(), "the check made a state");
    }
}

#[test]
fn a_wrong_key_is_named_with_its_line_its_pointer_and_a_fix() {
    let (_fabric, _org, mut node) = one(Build::Cloud);
    node.config["services"] = json!([{ "name": "a", "protocol": "nonsense", "target": "127.0.0.1:1" }]);
    let file = node.config_file().display().to_string();
    node.write_config();
    let text = fs::read_to_string(node.config_file()).unwrap();
    let line = text.lines().position(|l| l.contains("nonsense")).unwrap() + 1;
    let place = format!("{file}:{line}:");
    refuses_and_checks(&node, &[&place, "/services/0/protocol", "nonsense", "help:"]);
}

#[test]
fn a_state_folder_that_is_a_file_is_told_and_left() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, _org, mut node) = one(build);
        let file = fabric.dir().join("notes");
        fs::write(&file, "mine").unwrap();
        let name = file.display().to_string();
        for (state, words) in
            [(name.clone(), "this is no folder"), (format!("{name}/a/b"), "notes is no folder")]
        {
            node.config["state_dir"] = json!(state);
            node.config["admin"] = json!({ "socket": fabric.dir().join("admin.sock") });
            refuses_and_checks(&node, &[&state, words, "'state_dir' in the configuration"]);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}

#[test]
fn what_a_service_needs_and_the_machine_lacks_is_a_warning() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, _org, mut node) = one(build);
        let (plain, here) = (fabric.dir().join("plain"), fabric.dir().join("bin"));
        fs::write(&plain, "no program").unwrap();
        fs::create_dir(&here).unwrap();
        fs::copy("/bin/true", here.join("only-there")).unwrap();
        let run = |name: &str, run: Value| json!({ "name": name, "protocol": "tcp", "target": "127.0.0.1:9", "run": run });
        let path = format!("PATH={}", here.display());
        node.config["services"] = json!([
            run("good", json!({ "command": ["sleep", "1"] })),
            run("good-by-path", json!({ "command": ["./only-there"], "directory": here })),
            run("good-by-its-path", json!({ "command": ["only-there"], "env": [path] })),
            run("lost", json!({ "command": ["no-such-program"] })),
            run("elsewhere", json!({ "command": ["sleep", "1"], "env": [path] })),
            run("gone", json!({ "command": ["bin/gone"], "directory": fabric.dir() })),
            run("text", json!({ "command": [plain] })),
            run("nowhere", json!({ "command": ["sleep", "1"], "directory": "no-such-folder" })),
            run("no-folder", json!({ "command": ["sleep", "1"], "directory": plain })),
            json!({ "name": "checked", "protocol": "tcp", "target": "127.0.0.1:9", "check": { "type": "exec", "command": ["no-such-check"] } }),
        ]);
        node.write_config();
        let expected = [
            ("/services/3/run of 'lost'", "'no-such-program' is in no folder of PATH"),
            ("/services/4/run of 'elsewhere'", "'sleep' is in no folder of PATH"),
            ("/services/5/run of 'gone'", "bin/gone: No such file"),
            ("/services/6/run of 'text'", "chmod +x"),
            ("/services/7/run of 'nowhere'", "no-such-folder, the folder where it is to run: No such file"),
            ("/services/8/run of 'no-folder'", "plain is no folder"),
            ("/services/9/check of 'checked'", "'no-such-check' is in no folder of PATH"),
        ];
        for command in [&["config", "check"][..], &["check"]] {
            let out = node.cli(&[command, &["--json"]].concat());
            assert!(out.status.success(), "{}", catalyst_e2e::process::both(&out));
            let said: Value = serde_json::from_slice(&out.stdout).unwrap();
            let warnings: Vec<&str> =
                said["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
            assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
            for (warning, (place, words)) in warnings.iter().zip(expected) {
                assert!(warning.starts_with(place) && warning.contains(words), "{warning}");
            }
            let text = catalyst_e2e::process::both(&node.cli(command));
            assert_eq!(text.matches("\nwarning: /services/").count(), expected.len(), "{text}");
            assert!(text.contains("good.") && text.contains("starts all the same"), "{text}");
        }
        // And it does start.
        node.start();
    }
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_both_told_at_once() {
    let (_fabric, _org, mut node) = one(Build::Edge);
    node.config["peeers"] = json!([]);
    node.config["limits"] = json!({ "routes": "many" });
    refuses_and_checks(&node, &["/peeers", "peers", "/limits/routes", "many"]);
}

#[test]
fn text_that_is_no_json_is_told_with_its_line() {
    let (_fabric, _org, node) = one(Build::Edge);
    fs::write(node.config_file(), "{\n  \"version\": 1,\n  \"org\" \"acme.example\"\n}").unwrap();
    let out = node.cli(&["run"]);
    let said = catalyst_e2e::process::both(&out);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains("catalyst.json:3:"), "{said}");
    assert!(!node.dir.join("state").exists());
}

#[test]
fn a_missing_file_is_told_with_its_name() {
    let (_fabric, _org, node) = one(Build::Edge);
    let out = node.cli(&["run"]);
    let said = catalyst_e2e::process::both(&out);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains("catalyst.json"), "{said}");

    fs::remove_file(node.dir.join("one.crt")).unwrap();
    refuses_and_checks(&node, &["one.crt", "identity.certificate"]);
    assert!(!node.dir.join("state").exists());
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let (_fabric, _org, node) = one(Build::Edge);
    let key = node.dir.join("one.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let mend = format!("chmod 600 {}", key.display());
    refuses_and_checks(&node, &["one.key", "644", &mend]);
    // The command does mend it.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let mut node = node;
    node.start();
}

#[test]
fn a_certificate_of_another_node_is_refused() {
    let (fabric, org, node) = one(Build::Edge);
    let other = fabric.edge(&org, "other");
    for file in ["key", "crt"] {
        fs::copy(other.dir.join(format!("other.{file}")), node.dir.join(format!("one.{file}"))).unwrap();
    }
    refuses_and_checks(&node, &["one.crt", "other.acme.example", "one.acme.example"]);
    // A certificate without its key.
    let (_fabric, _org, node) = one(Build::Edge);
    fs::copy(other.dir.join("other.key"), node.dir.join("one.key")).unwrap();
    refuses_and_checks(&node, &["one.crt"]);
}

#[test]
fn the_bundle_of_another_organisation_is_refused() {
    let (fabric, _org, node) = one(Build::Cloud);
    let globex = fabric.org("globex.example");
    fs::copy(globex.bundle(), node.dir.join("acme.example.bundle.pem")).unwrap();
    refuses_and_checks(&node, &["acme.example.bundle.pem", "globex.example"]);
}

#[test]
fn a_busy_local_port_is_named_with_its_service() {
    let (fabric, _org, mut node) = one(Build::Edge);
    let busy = TcpListener::bind(fabric.address()).unwrap();
    let address = busy.local_addr().unwrap().to_string();
    node.config["expose"] = json!([{ "service": "hello.acme.example", "listen": address }]);
    refuses(&node, 1, &[&address, "hello.acme.example", "in use"]);
    drop(busy);
    node.start();
}

#[test]
fn a_busy_peering_port_is_named() {
    let (_fabric, _org, mut node) = one(Build::Cloud);
    let busy = UdpSocket::bind(node.address()).unwrap();
    refuses(&node, 1, &[&node.address().to_string(), "in use"]);
    drop(busy);
    node.start();
}

#[test]
fn a_second_node_on_the_same_state_is_refused_and_the_first_lives_on() {
    let (_fabric, _org, mut node) = one(Build::Edge);
    node.start();
    let pid = node.pid();
    let (said, code) = node.start_in_vain();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("another node runs") && said.contains(&pid.to_string()), "{said}");
    assert_eq!(node.status()["pid"], pid);
    node.add("still", "127.0.0.1:9".parse().unwrap());
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    // Not even root makes folders here.
    let (_fabric, _org, mut node) = one(Build::Edge);
    node.config["state_dir"] = json!("/proc/nowhere/state");
    let (said, code) = node.start_in_vain();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("/proc/nowhere") && !said.contains("panicked"), "{said}");
    println!("{said}");
}

#[test]
fn a_stale_socket_of_a_killed_node_does_not_matter() {
    let (_fabric, _org, mut node) = one(Build::Edge);
    node.start();
    node.kill();
    assert!(node.socket().exists());
    node.start();
    node.stop();
    assert!(!node.socket().exists(), "an orderly stop leaves no socket");
}

#[test]
fn the_edge_takes_no_listen_and_says_so() {
    let (_fabric, _org, mut node) = one(Build::Edge);
    node.config["listen"] = json!("127.0.0.1:7443");
    refuses_and_checks(&node, &["/listen"]);
    assert_eq!(node.config["version"], Value::from(1));
}

#[test]
fn the_socket_and_its_folder_belong_to_the_owner_alone() {
    let (_fabric, _org, mut node) = one(Build::Edge);
    node.start();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&node.socket()), 0o600);
    assert_eq!(mode(&node.dir.join("state")), 0o700);
    assert_eq!(mode(&node.dir.join("one.key")), 0o600);
}

#[test]
fn no_key_material_is_logged_or_answered() {
    let (_fabric, _org, mut node) = one(Build::Cloud);
    let key = fs::read_to_string(node.dir.join("one.key")).unwrap();
    let middle = key.lines().nth(1).unwrap().to_string();
    node.start();
    let said = format!("{}{:?}", node.status(), node.cli(&["status"]));
    node.stop();
    let log = fs::read_to_string(node.log()).unwrap();
    for text in [said, log] {
        assert!(!text.contains(&middle) && !text.contains("PRIVATE"), "a key: {text}");
    }
}

#[test]
fn an_agreement_of_other_organisations_is_refused() {
    let fabric = Fabric::new();
    let [acme, globex] = ["acme.example", "globex.example"].map(|name| fabric.org(name));
    let mut ours = fabric.cloud(&acme, "one");
    let theirs = fabric.cloud(&globex, "two");
    let party = |org: &str| json!({ "org": org, "role": "peer" });
    let agreement = fabric.agreement("agreement.json", [party("acme.example"), party("initech.example")]);
    ours.dials_under(&theirs, &agreement);
    refuses_and_checks(&ours, &["agreement.json", "globex.example"]);
}

#[test]
fn a_bundle_that_the_agreement_does_not_name_is_refused() {
    let fabric = Fabric::new();
    let [acme, globex] = ["acme.example", "globex.example"].map(|name| fabric.org(name));
    let mut ours = fabric.cloud(&acme, "one");
    let theirs = fabric.cloud(&globex, "two");
    let pin = format!("sha256:{}", "ab".repeat(32));
    let parties = [
        json!({ "org": "acme.example", "role": "peer" }),
        json!({ "org": "globex.example", "role": "peer", "bundle": [pin] }),
    ];
    ours.dials_under(&theirs, &fabric.agreement("agreement.json", parties));
    refuses_and_checks(&ours, &["globex.example.bundle.pem", "fingerprints"]);
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    let (fabric, org, node) = one(Build::Edge);
    let csr = node.dir.join("one.csr");
    // Backdated by an hour, good for no time at all.
    let args = ["org", "sign", csr.to_str().unwrap(), "--dir", org.root.to_str().unwrap(), "--days", "0"];
    let out = catalyst_e2e::process::output(fabric.command(Build::Cloud).args(args));
    println!("{}", catalyst_e2e::process::both(&out));
    if out.status.success() {
        refuses(&node, 3, &["one.crt", "org sign"]);
    } else {
        assert!(!catalyst_e2e::process::both(&out).contains("panicked"));
    }
}
