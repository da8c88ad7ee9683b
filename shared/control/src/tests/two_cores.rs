//! Two cores joined by hand: what one announces, the other holds.

use std::vec::Vec;

use catalyst_names::{NodeName, Protocol, ServiceLabel};
use catalyst_route_table::{Heap, Limits as TableLimits};

use crate::*;

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn core(text: &str) -> Core<Heap> {
    let settings = Settings {
        name: name(text),
        incarnation: 1,
        border_secret: [7; 32],
        limits: Limits::CLOUD,
        mesh_address: std::format!("{text}:8443"),
        stale_max_ms: 0,
        flap: Default::default(),
    };
    Core::new(settings, Heap::new(TableLimits::CLOUD)).unwrap()
}

fn internal(text: &str) -> Event {
    Event::PeerConfigured(std::boxed::Box::new(PeerConfig {
        name: name(text),
        agreement: None,
        hold_ms: 3000,
        restart_ms: 0,
    }))
}

fn service(label: &str) -> Event {
    Event::ServiceUp(LocalService {
        label: ServiceLabel::parse(label).unwrap(),
        protocol: Protocol::Http,
        cost: 0,
        weight: 100,
        tags: Vec::new(),
        healthy: true,
        fail_closed: false,
    })
}

/// Carries frames between the two until both are quiet.
fn settle(a: &mut Core<Heap>, b: &mut Core<Heap>, now: Now) {
    loop {
        let mut quiet = true;
        while let Some((session, frame)) = a.poll_transmit() {
            b.handle(&Event::PeerFrame { session, frame }, now);
            quiet = false;
        }
        while let Some((session, frame)) = b.poll_transmit() {
            a.handle(&Event::PeerFrame { session, frame }, now);
            quiet = false;
        }
        if quiet {
            return;
        }
    }
}

fn join(a: &mut Core<Heap>, b: &mut Core<Heap>) {
    let now = Now::mono(0);
    let session = SessionId(1);
    let (an, bn) = (a.state().settings().name.clone(), b.state().settings().name.clone());
    a.handle(&internal(bn.as_str()), now);
    b.handle(&internal(an.as_str()), now);
    a.handle(&Event::SessionUp { session, peer: bn, dialled: true }, now);
    b.handle(&Event::SessionUp { session, peer: an, dialled: false }, now);
    for core in [&mut *a, &mut *b] {
        core.handle(&Event::Writable { session, bytes: 1 << 20 }, now);
    }
    settle(a, b, now);
}

#[test]
fn a_service_reaches_the_neighbour_and_leaves_it() {
    let (mut a, mut b) = (core("a.acme.example"), core("b.acme.example"));
    a.handle(&service("inventory"), Now::mono(0));
    join(&mut a, &mut b);
    a.handle(&service("orders"), Now::mono(1));
    settle(&mut a, &mut b, Now::mono(1));
    let held: Vec<_> =
        b.state().route_rows().into_iter().map(|r| (r.service, r.standing, r.node_path)).collect();
    assert_eq!(
        held,
        [
            ("inventory.acme.example".into(), "best".into(), Vec::from(["a".into()])),
            ("orders.acme.example".into(), "best".into(), Vec::from(["a".into()])),
        ]
    );
    assert!(b.state().peer(&name("a.acme.example")).unwrap().synced);
    assert_eq!(b.state().peer(&name("a.acme.example")).unwrap().mesh_address, "a.acme.example:8443");
    a.handle(&Event::ServiceDown("orders".parse().unwrap()), Now::mono(2));
    settle(&mut a, &mut b, Now::mono(2));
    assert_eq!(b.state().route_rows().len(), 1);
    b.handle(&Event::SessionDown { session: SessionId(1) }, Now::mono(3));
    assert!(b.state().route_rows().is_empty());
}

/// Lets both run their timers and talk until a moment.
fn run(a: &mut Core<Heap>, b: &mut Core<Heap>, from: u64, until: u64) {
    for now in (from..until).step_by(500) {
        let now = Now::mono(now);
        a.handle(&Event::Tick, now);
        b.handle(&Event::Tick, now);
        settle(a, b, now);
        for core in [&mut *a, &mut *b] {
            core.handle(&Event::Writable { session: SessionId(1), bytes: 1 << 16 }, now);
        }
        settle(a, b, now);
    }
}

/// What the neighbour holds of `a`.
fn held(b: &Core<Heap>) -> Vec<std::string::String> {
    b.state().route_rows().into_iter().map(|row| row.service).collect()
}

#[test]
fn a_route_that_was_lost_and_one_that_stayed_heal_by_themselves() {
    let (mut a, mut b) = (core("a.acme.example"), core("b.acme.example"));
    for label in ["gone", "inventory", "orders"] {
        a.handle(&service(label), Now::mono(0));
    }
    join(&mut a, &mut b);
    run(&mut a, &mut b, 0, 5_000);
    let own = name("a.acme.example");
    assert_eq!(b.state().peer(&own).unwrap().compared.as_str(), "equal");
    // Frames that no transport would lose: a withdrawal and an announcement.
    a.handle(&Event::ServiceDown("gone".parse().unwrap()), Now::mono(5_000));
    a.handle(&service("new"), Now::mono(5_000));
    while a.poll_transmit().is_some() {}
    assert_eq!(held(&b), ["gone.acme.example", "inventory.acme.example", "orders.acme.example"]);
    run(&mut a, &mut b, 5_000, 9_000);
    assert_eq!(held(&b), ["inventory.acme.example", "new.acme.example", "orders.acme.example"]);
    let peer = b.state().peer(&own).unwrap();
    assert_eq!((peer.compared.refreshes, peer.compared.mismatches), (1, 2));
    assert_eq!((peer.compared.as_str(), peer.sessions), ("equal", 1));
}
