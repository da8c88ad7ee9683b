//! Who is not configured gets nowhere: it cannot inject, withdraw or use anything, it is told why, and it is counted.

use std::net::SocketAddr;
use std::path::Path;

use catalyst_e2e::tcp::Service;
use catalyst_e2e::{Fabric, Node, Org, wait};
use catalyst_wire::{Attrs, Frame, Open};
use serde_json::{Value, json};

use crate::rogue::Rogue;

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// A cloud node and an edge that offers `good`.
struct Victims {
    fabric: Fabric,
    org: Org,
    cloud: Node,
    edge: Node,
}

fn victims() -> Victims {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.offers("good", "tcp", nowhere());
    cloud.start();
    edge.start();
    cloud.wait_route("good.acme.example");
    cloud.wait_up(&edge);
    edge.wait_up(&cloud);
    Victims { fabric, org, cloud, edge }
}

impl Victims {
    /// The tables of both, and the sessions between them.
    fn tables(&self) -> Value {
        let sessions =
            [self.cloud.peer(&self.edge), self.edge.peer(&self.cloud)].map(|row| row["sessions"].clone());
        json!([self.cloud.routes(), self.edge.routes(), sessions])
    }

    /// Waits until the cloud has turned somebody away.
    fn counted(&self) {
        self.cloud.wait("a refused connection", |status| status["refused_connections"].as_u64() > Some(0));
    }
}

#[test]
fn a_node_of_the_same_organisation_that_is_not_configured_is_told_so() {
    let victims = victims();
    let before = victims.tables();
    let mut stranger = victims.fabric.edge(&victims.org, "stranger");
    stranger.dials(&victims.cloud);
    stranger.offers("evil", "tcp", nowhere());
    stranger.offers("good", "tcp", nowhere());
    stranger.start();
    let row = stranger.wait_peer(&victims.cloud, "the reason", |row| {
        row["last_error"].as_str().is_some_and(|e| e.contains("unconfigured-peer"))
    });
    let why = row["last_error"].as_str().unwrap();
    assert!(
        why.contains("'stranger.acme.example' is not a configured peer of 'cloud-1.acme.example'"),
        "{why}"
    );
    assert_eq!((&row["state"], &row["routes"]), (&json!("down"), &json!(0)));
    assert!(stranger.status()["next_step"].as_str().unwrap().contains("not a configured peer"));
    victims.counted();
    assert_eq!(victims.tables(), before);
    assert_eq!(stranger.routes_to("good.acme.example").len(), 1, "only its own");
    let log = std::fs::read_to_string(victims.cloud.log()).unwrap();
    assert!(log.contains("stranger.acme.example"), "the victim's log must name it: {log}");
}

#[test]
fn a_stranger_that_talks_without_being_asked_changes_nothing() {
    let victims = victims();
    let before = victims.tables();
    let identity = victims.fabric.edge(&victims.org, "stranger");
    let rogue = Rogue::new(&identity, &victims.cloud, &victims.org).connect();
    rogue.open();
    rogue.update(
        Some(("evil.acme.example", "stranger", &Attrs::default())),
        Some(("good.acme.example", "edge-1")),
    );
    let (code, reason) = rogue.notify();
    assert_eq!(code, "unconfigured-peer", "{reason}");
    rogue.down();
    victims.counted();
    assert_eq!(victims.tables(), before);
}

#[test]
fn a_stranger_gets_no_flow() {
    let service = Service::echo();
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    cloud.offers("good", "tcp", service.address());
    cloud.start();
    let identity = fabric.edge(&org, "stranger");
    let rogue = Rogue::new(&identity, &cloud, &org).connect();
    assert!(rogue.flow("good.acme.example").is_err());
    assert_eq!(service.taken(), 0);
}

#[test]
fn a_certificate_of_an_unknown_organisation_is_turned_away() {
    let victims = victims();
    let before = victims.tables();
    let evil = victims.fabric.org("evil.example");
    let identity = victims.fabric.edge(&evil, "edge-1");
    let error = Rogue::new(&identity, &victims.cloud, &victims.org).refused();
    println!("unknown organisation: {error}");
    victims.counted();
    assert_eq!(victims.tables(), before);
    let log = std::fs::read_to_string(victims.cloud.log()).unwrap();
    assert!(log.contains("evil.example"), "the victim's log must say whose it was: {log}");
}

#[test]
fn a_certificate_by_another_root_of_the_same_name_is_turned_away() {
    let victims = victims();
    let before = victims.tables();
    // The forger's organisation has the same name, the stolen name is that of a configured peer.
    let forged = victims.fabric.org_in("acme.example", &victims.fabric.dir().join("forged"));
    let identity = victims.fabric.node_in(&forged, catalyst_e2e::Build::Edge, "edge-1", "forger");
    let error = Rogue::new(&identity, &victims.cloud, &victims.org).refused();
    println!("another root: {error}");
    victims.counted();
    assert_eq!(victims.tables(), before);
}

#[test]
fn a_real_node_with_a_forged_certificate_shows_that_it_was_refused() {
    let victims = victims();
    let before = victims.tables();
    let forged = victims.fabric.org_in("acme.example", &victims.fabric.dir().join("forged"));
    let mut forger = victims.fabric.node_in(&forged, catalyst_e2e::Build::Edge, "edge-1", "forger");
    // It trusts the real root, so that the only one to refuse is the victim.
    std::fs::copy(victims.org.bundle(), forger.dir.join("acme.example.bundle.pem")).unwrap();
    forger.dials(&victims.cloud);
    forger.offers("evil", "tcp", nowhere());
    forger.start();
    let row = forger.wait_peer(&victims.cloud, "the reason", |row| row["last_error"] != "");
    println!("the forger's status: {}", row["last_error"]);
    assert_eq!(row["state"], "down");
    victims.counted();
    assert_eq!(victims.tables(), before);
}

#[test]
fn a_node_that_answers_in_the_wrong_place_is_not_taken_for_another() {
    let victims = victims();
    let mut other = victims.fabric.cloud(&victims.org, "other");
    other.start();
    // Configured as cloud-2, but other answers there.
    let mut lost = victims.fabric.edge(&victims.org, "lost");
    lost.config["peers"] = json!([{ "node": "cloud-2", "address": other.address().to_string() }]);
    lost.start();
    let status = lost.wait("the reason", |status| status["peers"][0]["last_error"] != "");
    let why = status["peers"][0]["last_error"].as_str().unwrap();
    assert!(
        why.contains("answered as 'other.acme.example'") && why.contains("cloud-2.acme.example"),
        "{why}"
    );
}

/// The digest of the agreement in the first OPEN of a recording.
fn agreement_in(recording: &Path) -> [u8; 32] {
    let text = std::fs::read_to_string(recording).unwrap();
    let open = text.lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        let frame = record["event"]["PeerFrame"]["frame"].as_str().filter(|f| f.starts_with("01"))?;
        let byte = |at: usize| u8::from_str_radix(&frame[at..at + 2], 16).unwrap();
        Some((0..frame.len()).step_by(2).map(byte).collect::<Vec<u8>>())
    });
    Open::read(Frame::whole(&open.unwrap()).unwrap().body).unwrap().agreement.unwrap()
}

#[test]
fn a_partner_gets_no_flow_to_what_is_not_exported() {
    let (orders, payroll) = (Service::echo(), Service::echo());
    let fabric = Fabric::new();
    let [acme, globex] = ["acme.example", "globex.example"].map(|name| fabric.org(name));
    let mut ours = fabric.cloud(&acme, "cloud-1");
    let mut theirs = fabric.cloud(&globex, "cloud-1");
    let party = |org: &str| json!({ "org": org, "role": "peer" });
    let agreement = fabric.agreement("agreement.json", [party("acme.example"), party("globex.example")]);
    ours.awaits_under(&theirs, &agreement);
    theirs.dials_under(&ours, &agreement);
    ours.offers("orders", "tcp", orders.address());
    ours.offers("payroll", "tcp", payroll.address());
    ours.exports("orders", &globex);
    // The partner's real node first, for the digest of the agreement in its OPEN.
    let recording = fabric.dir().join("ours.jsonl");
    ours.start_with(&["--record", recording.to_str().unwrap()]);
    theirs.start();
    theirs.wait_up(&ours);
    ours.wait_up(&theirs);
    theirs.stop();
    // Then a client with its key, which knows names that it was never told.
    let digest = agreement_in(&recording);
    let rogue = Rogue::new(&theirs, &ours, &acme).connect();
    rogue.open_under(digest);
    rogue.end_of_rib();
    ours.wait_up(&theirs);
    rogue.flow("orders.acme.example").unwrap();
    for service in ["payroll.acme.example", "unknown.acme.example", "orders.globex.example"] {
        let refusal = rogue.flow(service).unwrap_err().to_string();
        println!("{service}: {refusal}");
    }
    wait::until("the flow arrives", wait::SOON, || (orders.taken() == 1).then_some(()));
    assert_eq!(payroll.taken(), 0);
}
