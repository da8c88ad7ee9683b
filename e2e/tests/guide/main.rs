//! The walks of `docs/guide.md` and `docs/services.md`, typed from their own text: each block on its machine, in namespaces.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dataplane;
mod services;
mod walk;

use std::fs;
use std::path::Path;
use std::time::Duration;

use catalyst_e2e::process::output;

use crate::walk::{Walk, blocks};

/// What the first line that begins so has said.
fn said<'a>(all: &'a [(String, String)], start: &str) -> &'a str {
    &all.iter().find(|(line, _)| line.starts_with(start)).expect("the line was typed").1
}

fn page(home: &Path) {
    fs::write(home.join("index.html"), "the first byte\n").unwrap();
}

#[test]
fn my_laptop_and_my_pi_behind_a_router() {
    let mut walk = Walk::new();
    let (laptop, router, pi) = (walk.host("laptop"), walk.host("router"), walk.host("pi"));
    walk.world.wire((laptop, "10.1.0.1"), (router, "10.1.0.254"));
    walk.world.wire((router, "10.2.0.254"), (pi, "10.2.0.1"));
    walk.world.run(pi, "ip route add default via 10.2.0.254");
    walk.world.nat(router, "10.2.0.0/24");
    walk.world.name("laptop.home.example", "10.1.0.1");
    page(&walk.home("pi"));
    let all = walk.walk(&blocks("guide.md", "My laptop and my Pi"));
    assert_eq!(said(&all, "curl"), "the first byte\n");
    let status = said(&all, "catalyst status");
    assert!(status.contains("pi.home.example") && status.contains("web.home.example"), "{status}");
    // The router hides the Pi: nobody dialled it, and nobody could.
    assert!(
        output(walk.world.command(laptop).args(["ip", "route", "get", "10.2.0.1"])).status.code() != Some(0)
    );
    let open = walk.world.run(pi, "cat /proc/net/tcp | awk '$4 == \"0A\" {print $2}'");
    let reachable: Vec<&str> = open.lines().filter(|l| !l.starts_with("0100007F")).collect();
    assert!(reachable.is_empty(), "listens where others could dial: {reachable:?}");
    // Revoked at the end of the walk: the page is gone.
    let limit = Duration::from_secs(10);
    walk.world.until(laptop, "! curl -fsS -m 2 http://127.0.0.1:9001/", limit);
}

#[test]
fn my_company_and_theirs() {
    let mut walk = Walk::new();
    let (acme, globex) = (walk.host("acme"), walk.host("globex"));
    walk.world.wire((acme, "10.3.0.1"), (globex, "10.3.0.2"));
    walk.world.name("gateway.acme.example", "10.3.0.1");
    walk.world.name("gateway.globex.example", "10.3.0.2");
    page(&walk.home("acme"));
    let all = walk.walk(&blocks("guide.md", "My company and theirs"));
    assert_eq!(said(&all, "curl"), "the first byte\n");
    let why = said(&all, "catalyst export why");
    let row = |service: &str| why.lines().find(|l| l.starts_with(service)).unwrap_or_default().to_string();
    assert!(row("orders.acme.example").ends_with("yes"), "{why}");
    assert!(row("payroll.acme.example").contains("not exported"), "{why}");
}

#[test]
fn three_organisations() {
    let mut walk = Walk::new();
    let (acme, globex, initech) = (walk.host("acme"), walk.host("globex"), walk.host("initech"));
    walk.world.wire((acme, "10.4.0.1"), (globex, "10.4.0.2"));
    walk.world.wire((globex, "10.5.0.2"), (initech, "10.5.0.3"));
    walk.world.name("gateway.acme.example", "10.4.0.1");
    walk.world.name("gateway.globex.example", "10.4.0.2");
    walk.world.run(initech, "ip route add 10.4.0.2 via 10.5.0.2");
    walk.world.name("gateway.initech.example", "10.5.0.3");
    page(&walk.home("acme"));
    let all = walk.walk(&blocks("routing.md", "Three organisations"));
    assert_eq!(said(&all, "curl"), "the first byte\n");
    let explained: Vec<&String> = all
        .iter()
        .filter(|(line, _)| line.starts_with("catalyst route explain"))
        .map(|(_, said)| said)
        .collect();
    let [at_globex, at_initech] = explained[..] else { panic!("{explained:?}") };
    let shown = fs::read_to_string(format!("{}/../docs/routing.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let blocks: Vec<&str> =
        shown.split("```text\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [.., planned, shown_at_globex, shown, drain, watched] = blocks[..] else { panic!("{blocks:?}") };
    assert_eq!(said(&all, "catalyst policy plan"), planned);
    // The page shows what was printed, but for the opaque origin.
    let without_origin = |text: &str| -> Vec<String> {
        text.lines()
            .map(|l| if l.starts_with("origin ") { "origin".to_string() } else { l.to_string() })
            .collect()
    };
    assert_eq!(without_origin(at_globex), without_origin(shown_at_globex));
    assert_eq!(without_origin(at_initech), without_origin(shown));
    let ends = |text: &str| {
        let lines: Vec<String> = text.lines().map(ToString::to_string).collect();
        (lines[0].clone(), lines[lines.len() - 2..].to_vec())
    };
    // Times and the opaque origin are others each time.
    let bare = |text: &str| -> Vec<String> {
        let words = |line: &str| {
            line.split_whitespace().skip(1).filter(|w| w.len() != 21).collect::<Vec<_>>().join(" ")
        };
        text.lines().map(words).collect()
    };
    let seen = walk.terminal("catalyst route watch", "staying");
    assert_eq!(bare(&seen), bare(watched), "{seen}");
    assert!(bare(watched)[1].ends_with("origin via gateway.globex.example (local_pref 100, cost 0)"));
    // What is waited for in between depends on who is faster.
    assert_eq!(ends(said(&all, "catalyst node drain")), ends(drain));
    assert!(said(&all, "until catalyst route ls orders.acme.example | grep -F").contains("(draining)"));
}
