//! A core with the plugin: what two partners hear of it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use catalyst_control::{Core, Event, Limits, LocalService, Now, PeerConfig, SessionId, Settings};
use catalyst_example_plugin::Confine;
use catalyst_names::{NodeName, Protocol};
use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule};
use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{Announced, Frame, FrameType, Open, Update, Withdrawn};

const TAG: &str = "acme.example:eu";

fn agreement(with: &str) -> Agreement {
    let party = |org: &str| Party {
        org: org.parse().unwrap(),
        role: Role::Peer,
        max_services: 100,
        max_bytes: 65_536,
        bundle: Default::default(),
        contact: Default::default(),
    };
    Agreement::new(party("acme.example"), party(with)).unwrap()
}

/// A core of acme whose rules show everything to globex and initech; both have sessions.
fn core(plugin: Option<Confine>) -> Core<Heap> {
    let settings = Settings {
        name: "hub.acme.example".parse().unwrap(),
        incarnation: 1,
        border_secret: [7; 32],
        limits: Limits::CLOUD,
        mesh_address: String::new(),
        stale_max_ms: 0,
        flap: Default::default(),
    };
    let mut core = Core::new(settings, Heap::new(TableLimits::CLOUD)).unwrap();
    if let Some(plugin) = plugin {
        core.add_propagation(Box::new(plugin));
    }
    let exports = vec![Rule::new(Pattern::any(), Neighbour::any())];
    feed(&mut core, &Event::PolicyChanged { exports, imports: Vec::new() });
    for (session, peer) in [(1, "gw.globex.example"), (2, "gw.initech.example")] {
        let (session, name) = (SessionId(session), peer.parse::<NodeName>().unwrap());
        let agreement = agreement(name.org());
        let digest = agreement.digest();
        let config =
            PeerConfig { name: name.clone(), agreement: Some(agreement), hold_ms: 3_000, restart_ms: 0 };
        feed(&mut core, &Event::PeerConfigured(Box::new(config)));
        feed(&mut core, &Event::SessionUp { session, peer: name, dialled: true });
        let open = Open {
            version_min: 1,
            version_max: 1,
            node: peer,
            incarnation: 1,
            hold_ms: 3_000,
            restart_ms: 0,
            capabilities: 0,
            agreement: Some(digest),
            mesh_address: "",
        };
        let mut buf = [0; 512];
        let frame = open.write(&mut buf).unwrap().to_vec();
        feed(&mut core, &Event::PeerFrame { session, frame });
        feed(&mut core, &Event::Writable { session, bytes: 1 << 20 });
    }
    core
}

fn feed(core: &mut Core<Heap>, event: &Event) {
    core.handle(event, Now::mono(1));
}

fn offer(core: &mut Core<Heap>, label: &str, tags: &[&str]) {
    feed(
        core,
        &Event::ServiceUp(LocalService {
            label: label.parse().unwrap(),
            protocol: Protocol::Http,
            cost: 0,
            weight: 100,
            tags: tags.iter().map(ToString::to_string).collect(),
            healthy: true,
            fail_closed: false,
        }),
    );
}

/// What each session hears: `+name` and `-name`, in order.
fn heard(core: &mut Core<Heap>) -> [Vec<String>; 2] {
    let mut heard = [Vec::new(), Vec::new()];
    while let Some((session, bytes)) = core.poll_transmit() {
        let frame = Frame::whole(&bytes).unwrap();
        if frame.kind() != Ok(Some(FrameType::Update)) {
            continue;
        }
        let update = Update::read(frame.body).unwrap();
        let list = &mut heard[usize::from(session.0 == 2)];
        for element in update.announced() {
            let Announced::Route(route) = element else { panic!("a malformed announcement") };
            list.push(format!("+{}", route.service));
        }
        for element in update.withdrawn() {
            let Withdrawn::Key { service, .. } = element else { panic!("a malformed withdrawal") };
            list.push(format!("-{service}"));
        }
    }
    heard
}

fn confine() -> Confine {
    Confine { tag: TAG.to_string(), to: vec!["globex.example".parse().unwrap()] }
}

#[test]
fn tagged_services_reach_the_named_organisations_alone() {
    let mut core = core(Some(confine()));
    offer(&mut core, "open", &[]);
    offer(&mut core, "local", &[TAG]);
    let [globex, initech] = heard(&mut core);
    assert_eq!(globex, ["+open.acme.example", "+local.acme.example"]);
    assert_eq!(initech, ["+open.acme.example"]);
}

#[test]
fn a_service_that_gets_the_tag_is_withdrawn_from_the_others() {
    let mut core = core(Some(confine()));
    offer(&mut core, "local", &[]);
    assert_eq!(heard(&mut core)[1], ["+local.acme.example"]);
    offer(&mut core, "local", &[TAG]);
    let [globex, initech] = heard(&mut core);
    assert_eq!(globex, ["+local.acme.example"], "its tags changed");
    assert_eq!(initech, ["-local.acme.example"]);
    offer(&mut core, "local", &[]);
    assert_eq!(heard(&mut core)[1], ["+local.acme.example"]);
}

#[test]
fn without_the_plugin_the_rules_alone_decide() {
    let mut core = core(None);
    offer(&mut core, "local", &[TAG]);
    assert_eq!(heard(&mut core), [vec!["+local.acme.example"], vec!["+local.acme.example"]]);
}
