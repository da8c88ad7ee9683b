//! The walks of `docs/services.md`: programs that a board runs, and what they lead to.

use std::fs;

use catalyst_e2e::process::output;

use crate::said;
use crate::walk::{Walk, blocks};

/// A laptop and a Pi on one wire.
fn desk() -> (Walk, usize, usize) {
    let mut walk = Walk::new();
    let (laptop, pi) = (walk.host("laptop"), walk.host("pi"));
    walk.world.wire((laptop, "10.1.0.1"), (pi, "10.1.0.2"));
    walk.world.name("laptop.home.example", "10.1.0.1");
    (walk, laptop, pi)
}

#[test]
fn a_small_http_server() {
    let (mut walk, ..) = desk();
    let all = walk.walk(&blocks("services.md", "A small HTTP server"));
    assert_eq!(said(&all, "curl"), "hello from the Pi\n");
    let status = said(&all, "catalyst-edge status");
    assert!(status.contains("healthy") && status.contains("process "), "{status}");
    assert!(status.contains("files and ports enforced"), "the sandbox is on: {status}");
    // Ctrl-C: the program goes with the node, and the page with both.
    walk.stop("catalyst-edge run");
    walk.until("pi", "! curl -fsS -m 2 http://127.0.0.1:8000/");
}

#[test]
fn a_service_behind_wireguard() {
    for (tool, package) in [("wireguard-go", "wireguard-go"), ("wg", "wireguard-tools")] {
        let there = output(std::process::Command::new("sh").args(["-c", &format!("command -v {tool}")]));
        assert!(there.status.success(), "{tool} is not here; install the package {package}");
    }
    let (mut walk, laptop, pi) = desk();
    let office = walk.host("office");
    walk.world.wire((pi, "10.2.0.1"), (office, "10.2.0.2"));
    walk.world.name("vpn.office.example", "10.2.0.2");
    // Where wireguard-go has its sockets; the machine's own folder is not this user's.
    walk.world.fresh("/run");
    fs::write(walk.home("office").join("index.html"), "only in the office\n").unwrap();
    let all = walk.walk(&blocks("services.md", "A service behind WireGuard"));
    assert_eq!(said(&all, "curl"), "only in the office\n");
    let status = said(&all, "catalyst-edge status");
    assert!(status.contains("intranet.home.example: process "), "{status}");
    assert!(status.contains("files and ports enforced"), "the sandbox is on: {status}");
    // It crossed the tunnel: the other end counted it, and there is no other way.
    let transfer = walk.world.run(office, "wg show wg-office transfer");
    let counts: Vec<u64> = transfer.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    assert!(counts.len() == 2 && counts.iter().all(|n| *n > 500), "{transfer}");
    assert_eq!(
        output(walk.world.command(laptop).args(["ip", "route", "get", "10.9.0.1"])).status.code(),
        Some(2)
    );

    // The tunnel breaks: the page is withdrawn, and comes back with it.
    let page = "curl -fsS -m 2 http://127.0.0.1:9001/";
    walk.world.run(office, "ip link set wg-office down");
    walk.until("laptop", &format!("! {page}"));
    walk.until("pi", "ip link show wg0");
    walk.world.run(office, "ip link set wg-office up");
    walk.until("laptop", page);
    // The client is killed: the script ends with it, is started again, and makes the tunnel anew.
    let before = walk.world.run(pi, "ip -o link show wg0");
    let kill = "for p in $(grep -lxz 'wireguard-g[o]' /proc/[0-9]*/cmdline | cut -d / -f 3); do \
                if tr '\\0' ' ' < /proc/$p/cmdline | grep -q 'wg0 $'; then kill -9 $p; fi; done";
    walk.world.run(pi, kill);
    walk.until("pi", &format!("[ \"$(ip -o link show wg0)\" != '{}' ]", before.trim_end()));
    walk.until("laptop", page);
    walk.stop("catalyst-edge run");
    walk.until("pi", "! ip link show wg0");
}
