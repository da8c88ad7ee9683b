//! What the system forbids a node: counted, and told once with what to do.

use catalyst_e2e::process::output;
use catalyst_e2e::{Build, Fabric};
use serde_json::json;
use std::process::Command;

fn a_service_behind_a_wall(build: Build) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.offers("walled", "tcp", "10.9.9.9:80".parse().unwrap());
    node.offers("checked", "tcp", "10.9.9.9:81".parse().unwrap());
    node.config["services"][1]["check"] = json!({ "type": "tcp", "interval_ms": 100 });
    let port = fabric.address();
    node.config["expose"] = json!([{ "service": "walled.acme.example", "listen": port.to_string() }]);
    // In a network of its own, where a route forbids the service; with a client that asks again and again.
    let script = format!(
        "ip link set lo up && ip route add prohibit 10.9.9.9 && \
         {{ timeout 30 sh -c 'while sleep 0.1; do curl -s -m 1 http://{port}/; done' > /dev/null 2>&1 & exec \"$@\"; }}"
    );
    node.start_under(&["unshare", "-Urn", "--", "sh", "-c", &script, "sh"]);
    let status = node.wait("many refusals", |s| s["denied"].as_u64() > Some(5));
    assert_eq!(status["services"][1]["health"]["state"], "unhealthy");
    let log = std::fs::read_to_string(node.log()).unwrap();
    for target in ["10.9.9.9:80", "10.9.9.9:81"] {
        let told =
            log.lines().filter(|l| l.contains("does not permit") && l.contains(&format!("target={target}")));
        assert_eq!(told.count(), 1, "{log}");
    }
    let said = String::from_utf8(node.cli(&["status"]).stdout).unwrap();
    assert!(said.contains("the system forbade"), "{said}");
    node.stop();
}

#[test]
fn an_edge_counts_what_the_system_forbids_and_tells_it_once() {
    a_service_behind_a_wall(Build::Edge);
}

#[test]
fn a_cloud_node_counts_what_the_system_forbids_and_tells_it_once() {
    a_service_behind_a_wall(Build::Cloud);
}

#[test]
fn a_command_of_another_user_is_told_whose_the_node_is() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, Build::Edge, "one");
    node.start();
    let mut command = fabric.command(Build::Edge);
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0 {
        // Root without its rights over files is like any other user.
        let binary = command.get_program().to_owned();
        command = Command::new("setpriv");
        command.args(["--bounding-set", "-all", "--inh-caps", "-all", "--"]).arg(binary);
    }
    command.args(["status", "--socket"]).arg(node.socket());
    std::fs::set_permissions(node.socket(), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let out = output(&mut command);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(5), "{said}");
    assert!(said.contains("permission denied: the admin socket") && said.contains("sudo -u"), "{said}");
}
