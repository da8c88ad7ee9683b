//! Two organisations: nothing passes without an agreement and the rules of both sides.

use std::io::{Read, Write};
use std::path::PathBuf;

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, Org};
use serde_json::{Value, json};

/// Two organisations with a cloud node each; globex dials acme. Nothing is started, exported or imported yet.
struct Two {
    fabric: Fabric,
    acme: Org,
    globex: Org,
    ours: Node,
    theirs: Node,
}

fn party(org: &str, role: &str) -> Value {
    json!({ "org": org, "role": role })
}

fn two() -> Two {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let globex = fabric.org("globex.example");
    let ours = fabric.cloud(&acme, "cloud-1");
    let theirs = fabric.cloud(&globex, "cloud-1");
    Two { fabric, acme, globex, ours, theirs }
}

impl Two {
    fn agreement(&self) -> PathBuf {
        let parties = [party("acme.example", "peer"), party("globex.example", "peer")];
        self.fabric.agreement("agreement.json", parties)
    }

    fn join(&mut self) {
        let agreement = self.agreement();
        self.ours.awaits_under(&self.theirs, &agreement);
        self.theirs.dials_under(&self.ours, &agreement);
    }

    fn start(&mut self) {
        self.ours.start();
        self.theirs.start();
    }

    fn wait_up(&self) {
        self.ours.wait_up(&self.theirs);
        self.theirs.wait_up(&self.ours);
    }
}

#[test]
fn an_exported_service_is_reachable_and_no_other_is() {
    let (orders, payroll) = (Http::start("orders"), Http::start("payroll"));
    let mut two = two();
    two.join();
    two.ours.offers("orders", "http", orders.address());
    two.ours.offers("payroll", "http", payroll.address());
    two.ours.exports("orders", &two.globex);
    two.theirs.imports("*", &two.acme);
    two.theirs.exposes("orders.acme.example");
    two.theirs.exposes("payroll.acme.example");
    two.start();
    let port = two.theirs.wait_reachable("orders.acme.example");
    assert_eq!(http::get(port).unwrap(), "orders");
    two.wait_up();
    assert_eq!(two.theirs.routes_to("payroll.acme.example"), [] as [Value; 0]);
    assert!(http::get(two.theirs.port("payroll.acme.example")).is_err());
    assert_eq!(payroll.connections(), 0);
    let exported = two.ours.status()["services"].clone();
    assert_eq!(exported[0]["exported_to"], json!(["globex.example"]), "{exported:#}");
    assert_eq!(exported[1]["exported_to"], json!([]), "{exported:#}");
}

#[test]
fn a_service_behind_an_edge_is_reachable_from_the_other_organisation() {
    let orders = Http::start("orders from the edge");
    let mut two = two();
    two.join();
    let mut edge = two.fabric.edge(&two.acme, "edge-1");
    edge.offers("orders", "http", orders.address());
    edge.joins(&mut two.ours);
    two.ours.exports("orders", &two.globex);
    two.theirs.imports("orders", &two.acme);
    two.theirs.exposes("orders.acme.example");
    two.start();
    edge.start();
    let port = two.theirs.wait_reachable("orders.acme.example");
    assert_eq!(http::get(port).unwrap(), orders.words());
}

#[test]
fn what_lies_inside_an_organisation_stays_private() {
    let orders = Http::start("orders");
    let mut two = two();
    two.join();
    let mut edge = two.fabric.edge(&two.acme, "very-secret-edge");
    edge.offers("orders", "http", orders.address());
    edge.joins(&mut two.ours);
    two.ours.exports("*", &two.globex);
    two.theirs.imports("*", &two.acme);
    two.start();
    edge.start();
    let rows = two.theirs.wait_route("orders.acme.example");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["node_path"], json!([]), "{rows:#?}");
    assert_eq!(rows[0]["org_path"], json!(["acme.example"]), "{rows:#?}");
    assert_eq!(rows[0]["via"], "cloud-1.acme.example");
    let text = format!("{rows:?}{}", two.theirs.status());
    assert!(!text.contains("very-secret-edge"), "{text}");
    // The id is stable: a second session shows the same.
    let origin = rows[0]["origin"].clone();
    two.ours.stop();
    two.theirs.wait_no_route("orders.acme.example");
    two.ours.start();
    let again = two.theirs.wait_route("orders.acme.example");
    assert_eq!(again[0]["origin"], origin);
}

#[test]
fn without_an_export_nothing_passes() {
    let orders = Http::start("orders");
    let mut two = two();
    two.join();
    two.ours.offers("orders", "http", orders.address());
    two.theirs.imports("*", &two.acme);
    two.start();
    two.wait_up();
    assert_eq!(two.theirs.routes(), [] as [Value; 0]);
    let row = two.ours.peer(&two.theirs);
    assert_eq!(row["announced"], 0);
    // RFC 8212: the status says that nothing can pass, and what is missing.
    let ours = row["withheld"].as_str().unwrap();
    assert!(ours.contains("neither 'exports' nor 'imports' names globex.example"), "{ours}");
    let theirs = two.theirs.peer(&two.ours)["withheld"].as_str().unwrap().to_string();
    assert!(theirs.contains("no entry of 'exports'"), "{theirs}");
}

#[test]
fn without_an_import_nothing_is_used_and_the_status_says_so() {
    let orders = Http::start("orders");
    let mut two = two();
    two.join();
    two.ours.offers("orders", "http", orders.address());
    two.ours.exports("orders", &two.globex);
    two.theirs.exports("*", &two.acme);
    two.theirs.exposes("orders.acme.example");
    two.start();
    two.wait_up();
    let withheld = two.theirs.peer(&two.ours)["withheld"].as_str().unwrap().to_string();
    assert!(withheld.contains("no entry of 'imports' names it"), "{withheld}");
    let said = catalyst_e2e::process::both(&two.theirs.cli(&["peer", "ls"]));
    assert!(said.contains(&withheld), "{said}");
    // It is kept, for an import rule that may come, and marked; it is never used, and goes no further.
    let rows = two.theirs.wait_route("orders.acme.example");
    assert!(rows.iter().all(|r| r["standing"] == "ineligible"), "{rows:#?}");
    assert_ne!(two.theirs.status()["expose"][0]["state"], "reachable");
    assert!(http::get(two.theirs.port("orders.acme.example")).is_err());
    assert_eq!(orders.connections(), 0);
}

#[test]
fn different_agreements_keep_the_session_down_and_both_sides_say_why() {
    let orders = Http::start("orders");
    let mut two = two();
    let one = two.agreement();
    let other = two
        .fabric
        .agreement("other.json", [party("acme.example", "provider"), party("globex.example", "customer")]);
    two.ours.awaits_under(&two.theirs, &one);
    two.theirs.dials_under(&two.ours, &other);
    two.ours.offers("orders", "http", orders.address());
    two.ours.exports("*", &two.globex);
    two.theirs.imports("*", &two.acme);
    two.start();
    for (node, peer) in [(&two.ours, &two.theirs), (&two.theirs, &two.ours)] {
        node.wait_peer(peer, "down because of the agreement", |row| {
            row["state"] == "down" && row["last_error"].as_str().is_some_and(|e| e.contains("agreement"))
        });
        let next = node.status()["next_step"].as_str().unwrap().to_string();
        assert!(next.contains("agreement"), "{next}");
    }
    // The side that refuses sends its document along; the other one says what differs, its own side first.
    let sides = [
        (&two.ours, &two.theirs, "role of acme.example is 'peer' here and 'provider' there"),
        (&two.theirs, &two.ours, "role of acme.example is 'provider' here and 'peer' there"),
    ];
    wait::until("the difference", SOON, || {
        let says = |(node, peer, what): &(&Node, &Node, &str)| {
            node.peer(peer)["last_error"].as_str().is_some_and(|said| said.contains(what))
        };
        sides.iter().any(says).then_some(())
    });
    // Whoever looks, on either side, reads which document each side holds, and can tell by the digests.
    let digest = |file: &PathBuf| {
        let said = two.fabric.catalyst(&["agreement", "check", file.to_str().unwrap(), "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        said["digest"].as_str().unwrap()[..16].to_string()
    };
    let held = [(&two.ours, digest(&one)), (&two.theirs, digest(&other))];
    for (node, peer) in [(&two.ours, &two.theirs), (&two.theirs, &two.ours)] {
        for (of, digest) in &held {
            let words = format!("{} holds {digest}...", of.full_name());
            node.wait_peer(peer, &words, |row| {
                row["last_error"].as_str().is_some_and(|said| said.contains(&words))
            });
            let log = std::fs::read_to_string(node.log()).unwrap();
            assert!(log.contains(&words), "{words}: {log}");
        }
    }
    assert_eq!(two.theirs.routes(), [] as [Value; 0]);
    assert!(
        two.ours.status()["sessions_ended"].as_u64().unwrap()
            + two.theirs.status()["sessions_ended"].as_u64().unwrap()
            > 0
    );
    // The same document on both sides: it works by itself after the next start.
    two.theirs.stop();
    two.theirs.config["peers"] = json!([]);
    two.theirs.dials_under(&two.ours, &one);
    two.theirs.start();
    two.theirs.wait_route("orders.acme.example");
}

#[test]
fn a_removed_service_is_withdrawn_and_its_live_flows_are_cut() {
    let talk = Service::start(|mut stream| {
        stream.write_all(b"hi").unwrap();
        let _ = tcp::read_all(&stream);
    });
    let mut two = two();
    two.join();
    two.ours.exports("*", &two.globex);
    two.theirs.imports("*", &two.acme);
    two.theirs.exposes("talk.acme.example");
    two.start();
    two.ours.add("talk", talk.address());
    let port = two.theirs.wait_reachable("talk.acme.example");
    let mut client = tcp::connect(port);
    let mut hi = [0; 2];
    client.read_exact(&mut hi).unwrap();
    two.ours.remove("talk");
    two.theirs.wait_no_route("talk.acme.example");
    // The client stays silent: only the cut can end this.
    let end = tcp::read_all(&client);
    assert!(end.is_err() || end.is_ok_and(|rest| rest.is_empty()));
    two.ours.wait("no flow is left", |status| status["flows"][0] == 0);
    two.theirs.wait("no flow is left", |status| status["flows"][0] == 0);
}

#[test]
fn a_third_organisation_learns_nothing_in_passing() {
    let orders = Http::start("orders");
    let mut two = two();
    two.join();
    let initech = two.fabric.org("initech.example");
    let mut third = two.fabric.cloud(&initech, "cloud-1");
    let agreement = two
        .fabric
        .agreement("third.json", [party("globex.example", "peer"), party("initech.example", "peer")]);
    two.theirs.awaits_under(&third, &agreement);
    third.dials_under(&two.theirs, &agreement);
    two.ours.offers("orders", "http", orders.address());
    two.theirs.offers("own", "http", orders.address());
    two.ours.exports("*", &two.globex);
    two.theirs.imports("*", &two.acme);
    two.theirs.exports("*", &initech);
    third.imports("*", &two.globex);
    two.start();
    third.start();
    two.theirs.wait_route("orders.acme.example");
    third.wait_route("own.globex.example");
    third.wait_up(&two.theirs);
    assert_eq!(third.routes_to("orders.acme.example"), [] as [Value; 0]);
    assert_eq!(two.theirs.peer(&third)["announced"], 1);
}
