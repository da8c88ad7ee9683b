//! What is changed while nodes run: neighbours and rules, by the commands that a person types.

use std::fs;

use catalyst_e2e::fabric::text;
use catalyst_e2e::http::{self, Http};
use catalyst_e2e::wait::{SOON, until};
use catalyst_e2e::{Fabric, Node};
use serde_json::Value;

/// Runs a command against a node, and expects that it succeeds.
#[track_caller]
fn run(node: &Node, args: &[&str]) -> String {
    let out = node.cli(args);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{args:?}: {said}");
    said
}

/// Runs a command against a node, and expects the exit code of a refusal. Returns what it said.
#[track_caller]
fn refused(node: &Node, args: &[&str]) -> String {
    let out = node.cli(args);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(5), "{args:?}: {said}");
    said
}

/// Why `service` is not visible, as `node` says; empty when it is.
fn why(status: &Value, service: &str) -> Option<String> {
    let rows = status["visibility"].as_array().unwrap();
    rows.iter().find(|r| r["service"] == service).map(|r| r["why"].as_str().unwrap().to_string())
}

#[test]
fn two_companies_join_by_commands_alone_and_it_survives_restarts() {
    let fabric = Fabric::new();
    let (acme, globex) = (fabric.org("acme.example"), fabric.org("globex.example"));
    let mut ours = fabric.cloud(&acme, "cloud-1");
    let mut theirs = fabric.cloud(&globex, "gw");
    let (orders, payroll) = (Http::start("orders"), Http::start("payroll"));
    ours.offers("orders", "http", orders.address());
    ours.offers("payroll", "http", payroll.address());
    theirs.exposes("orders.acme.example");
    ours.start();
    theirs.start();

    let agreement = fabric.dir().join("agreement.json");
    let draft = run(&ours, &["agreement", "new", "--with", "globex.example"]);
    fs::write(&agreement, draft).unwrap();
    let (our_bundle, their_bundle) = (fabric.dir().join("a.pem"), fabric.dir().join("g.pem"));
    run(&ours, &["org", "bundle", "--out", text(&our_bundle)]);
    run(&theirs, &["org", "bundle", "--out", text(&their_bundle)]);

    let said = refused(&ours, &["export", "add", "orders", "--to", "globex.example"]);
    assert!(said.contains("no peer belongs to 'globex.example'") && said.contains("peer add"), "{said}");
    let said = refused(&ours, &["peer", "add", "gw.globex.example"]);
    assert!(said.contains("--bundle FILE --agreement FILE"), "{said}");
    let (bundle, agreed) = (text(&their_bundle).to_string(), text(&agreement).to_string());
    run(&ours, &["peer", "add", "gw.globex.example", "--bundle", &bundle, "--agreement", &agreed]);
    let (bundle, to) = (text(&our_bundle).to_string(), ours.address().to_string());
    run(
        &theirs,
        &[
            "peer",
            "add",
            "cloud-1.acme.example",
            "--address",
            &to,
            "--bundle",
            &bundle,
            "--agreement",
            &agreed,
        ],
    );
    ours.wait_up(&theirs);
    ours.wait("the reason is named", |s| {
        why(s, "orders.acme.example").is_some_and(|w| w.starts_with("not exported"))
    });

    run(&ours, &["export", "add", "orders", "--to", "globex.example"]);
    theirs.wait("the reason is named there", |s| {
        why(s, "orders.acme.example").is_some_and(|w| w.starts_with("not imported"))
    });
    run(&theirs, &["import", "add", "orders", "--from", "acme.example"]);
    let port = theirs.wait_reachable("orders.acme.example");
    assert_eq!(http::get(port).unwrap(), "orders");
    ours.wait("it is visible", |s| why(s, "orders.acme.example").as_deref() == Some(""));

    // The files that were given may go; what was said stays.
    for file in [&our_bundle, &their_bundle, &agreement] {
        fs::remove_file(file).unwrap();
    }
    ours.stop();
    theirs.kill();
    ours.start();
    theirs.start();
    let port = theirs.wait_reachable("orders.acme.example");
    assert_eq!(http::get(port).unwrap(), "orders");
    assert_eq!(ours.peer(&theirs)["source"], "runtime");

    run(&ours, &["export", "rm", "orders", "--to", "globex.example"]);
    theirs.wait_no_route("orders.acme.example");
    run(&ours, &["peer", "rm", "gw.globex.example"]);
    theirs.wait_down(&ours);
    assert_eq!(ours.status()["peers"].as_array().unwrap().len(), 0);
    assert_eq!(payroll.connections(), 0);
}

#[test]
fn a_limit_of_the_agreement_is_named_on_both_sides() {
    let fabric = Fabric::new();
    let (acme, globex) = (fabric.org("acme.example"), fabric.org("globex.example"));
    let mut ours = fabric.cloud(&acme, "cloud-1");
    let mut theirs = fabric.cloud(&globex, "gw");
    let service = Http::start("a service");
    let names = ["one", "two", "three"];
    names.iter().for_each(|name| ours.offers(name, "http", service.address()));
    let party = |org: &str| serde_json::json!({ "org": org, "role": "peer", "max_services": 2 });
    let agreement = fabric.agreement("agreement.json", [party("acme.example"), party("globex.example")]);
    ours.awaits_under(&theirs, &agreement);
    theirs.dials_under(&ours, &agreement);
    ours.exports("*", &globex);
    theirs.imports("*", &acme);
    ours.start();
    theirs.start();
    let limited = |status: &Value| {
        let of = |name: &&str| why(status, &format!("{name}.acme.example"));
        names.iter().filter_map(of).filter(|w| w.starts_with("refused by limit")).count()
    };
    let visible = |status: &Value| {
        names.iter().filter(|n| why(status, &format!("{n}.acme.example")).as_deref() == Some("")).count()
    };
    theirs.wait("one is refused here", |s| (visible(s), limited(s)) == (2, 1));
    ours.wait("one is refused there", |s| (visible(s), limited(s)) == (2, 1));
}

#[test]
fn two_cloud_nodes_of_one_organisation_share_what_no_one_else_gets() {
    let fabric = Fabric::new();
    let (acme, globex) = (fabric.org("acme.example"), fabric.org("globex.example"));
    let mut one = fabric.cloud(&acme, "cloud-1");
    let mut two = fabric.cloud(&acme, "cloud-2");
    let mut theirs = fabric.cloud(&globex, "gw");
    let secret = Http::start("secret");
    one.offers("secret", "http", secret.address());
    two.exposes("secret.acme.example");
    theirs.exposes("secret.acme.example");
    let party = |org: &str| serde_json::json!({ "org": org, "role": "peer" });
    let agreement = fabric.agreement("agreement.json", [party("acme.example"), party("globex.example")]);
    two.awaits_under(&theirs, &agreement);
    theirs.dials_under(&two, &agreement);
    theirs.imports("*", &acme);
    one.start();
    two.start();
    theirs.start();
    run(&one, &["peer", "add", "cloud-2"]);
    run(&two, &["peer", "add", "cloud-1", "--address", &one.address().to_string()]);
    let port = two.wait_reachable("secret.acme.example");
    assert_eq!(http::get(port).unwrap(), "secret");
    theirs.wait_up(&two);
    two.wait("it is kept in", |s| {
        why(s, "secret.acme.example").is_some_and(|w| w.starts_with("not exported"))
    });
    assert_eq!(theirs.routes_to("secret.acme.example"), [] as [Value; 0]);
    assert!(http::get(theirs.port("secret.acme.example")).is_err());
    assert_eq!(secret.connections(), 1);
}

#[test]
fn what_carries_a_link_is_chosen_with_the_peer_and_kept() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut one, mut two) = (fabric.cloud(&org, "cloud-1"), fabric.cloud(&org, "cloud-2"));
    one.start();
    two.start();
    run(&one, &["peer", "add", "cloud-2"]);
    let address = one.address().to_string();
    let add = |two: &Node, over: &str| {
        run(two, &["peer", "add", "cloud-1", "--address", &address, "--transport", over]);
    };
    let goes_over = |two: &Node, over: &str| {
        two.wait_peer(&one, &format!("up over {over}"), |row| row["state"] == "up" && row["via"] == over);
    };
    add(&two, "tcp");
    goes_over(&two, "tcp");
    two.stop();
    two.start();
    goes_over(&two, "tcp");
    add(&two, "quic");
    goes_over(&two, "quic");
    let said = refused(&two, &["peer", "add", "cloud-1", "--address", &address, "--transport", "pigeon"]);
    assert!(said.contains("'pigeon' carries no link: use auto, quic or tcp"), "{said}");
}

#[test]
fn a_neighbour_that_is_forgotten_is_told_so() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let (mut cloud, mut edge) = (fabric.cloud(&acme, "cloud-1"), fabric.edge(&acme, "edge-1"));
    edge.joins(&mut cloud);
    cloud.start();
    edge.start();
    edge.wait_up(&cloud);
    run(&cloud, &["peer", "rm", "edge-1"]);
    until("the word of the other side", SOON, || {
        let log = fs::read_to_string(edge.log()).unwrap();
        let told = "code=peer-removed reason=\"the peer was removed from the configuration\"";
        log.contains(told).then_some(())
    });
}
