//! What was told between two drains is one change: of each resource the last word counts, and nothing stays behind.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use catalyst_dataplane::{Caller, Planner, Service, Site, Via, Way, key_mark};
use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_xds::{Changes, Kind, Limits, Publisher};

const ORG: &str = "globex.example";

fn planner() -> Planner {
    Planner::new(Site {
        own: "a.acme.example".parse().unwrap(),
        mesh: ([127, 0, 0, 1], 8443).into(),
        node_socket: "/run/node.sock".into(),
        stream_socket: "/run/streams.sock".into(),
        http_socket: "/run/http.sock".into(),
        access_log: "/run/access.log".into(),
        via: "0123456789abcdef".into(),
    })
}

fn web() -> ServiceName {
    "web.acme.example".parse().unwrap()
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn ways(vias: &[Via]) -> Service {
    let way = |via: &Via| Way { via: via.clone(), weight: 1, equal: false };
    Service { protocol: Protocol::Http, ways: vias.iter().map(way).collect() }
}

fn beyond() -> Via {
    Via::Peer(node("b.acme.example"))
}

/// What Envoy holds, as the snapshot applies it.
#[derive(Default)]
struct Held(BTreeMap<(Kind, String), Vec<u8>>);

impl Held {
    fn take(&mut self, changes: &Changes) {
        for gone in changes.remove.iter().chain(&changes.urgent) {
            self.0.remove(gone);
        }
        for resource in changes.urgent_set.iter().chain(&changes.set) {
            self.0.insert((resource.kind(), resource.name().to_owned()), resource.body().to_vec());
        }
    }

    /// Names of resources of the service.
    fn of_web(&self) -> Vec<String> {
        let names = self.0.keys().filter(|(_, name)| name.contains("web.acme.example"));
        names.map(|(kind, name)| format!("{kind} {name}")).collect()
    }

    fn scope(&self) -> String {
        let body = self.0.get(&(Kind::Scope, "web.acme.example".to_owned())).cloned().unwrap_or_default();
        String::from_utf8_lossy(&body).into_owned()
    }
}

/// A granted service beyond a neighbour, told and taken.
fn granted(peers: &[&NodeName]) -> (Planner, Held) {
    let (mut planner, mut held) = (planner(), Held::default());
    planner.set_neighbour(&node("b.acme.example"), Some(vec![([127, 0, 0, 2], 8443).into()]));
    planner.set_service(&web(), ways(&[beyond()]));
    for peer in peers {
        planner.set_neighbour(peer, Some(Vec::new()));
        planner.set_grant(peer, &web(), true);
    }
    held.take(&planner.drain());
    (planner, held)
}

#[test]
fn nothing_of_a_granted_service_stays_when_its_ways_and_its_grant_go_at_once() {
    let peer = node("g1.globex.example");
    for n in 0..3 {
        let (mut planner, mut held) = granted(&[&peer]);
        assert_eq!(held.of_web().len(), 3, "{:?}", held.of_web());
        let all = held.0.len();
        // In the order in which a node tells it, and in others.
        if n == 1 {
            planner.set_grant(&peer, &web(), false);
        }
        if n == 2 {
            planner.set_target(&web(), Some(vec![([127, 0, 0, 1], 9000).into()]));
            planner.set_target(&web(), None);
        }
        planner.set_service(&web(), ways(&[]));
        planner.set_grant(&peer, &web(), false);
        held.take(&planner.drain());
        assert_eq!(held.of_web(), Vec::<String>::new());
        assert_eq!(held.0.len(), all - 3);
        assert!(planner.drain().is_empty());
    }
}

#[test]
fn what_comes_and_goes_before_it_is_told_is_not_there() {
    let mut planner = planner();
    let mut held = Held::default();
    held.take(&planner.drain());
    let before = held.0.clone();
    let (peer, at) = (node("g1.globex.example"), ([127, 0, 0, 1], 9000).into());
    planner.set_neighbour(&peer, Some(vec![at]));
    planner.set_target(&web(), Some(vec![at]));
    planner.set_service(&web(), ways(&[Via::Local, Via::Node]));
    planner.set_grant(&peer, &web(), true);
    planner.open_port(&web(), at);
    planner.close_port(&web(), at);
    planner.set_target(&web(), None);
    planner.set_service(&web(), ways(&[]));
    planner.set_grant(&peer, &web(), false);
    planner.set_neighbour(&peer, None);
    held.take(&planner.drain());
    assert_eq!(held.0, before);
}

#[test]
fn a_grant_that_is_withdrawn_and_given_again_still_ends_its_flows() {
    let peer = node("g1.globex.example");
    let (mut planner, mut held) = granted(&[&peer]);
    let before = held.0.clone();
    planner.set_grant(&peer, &web(), false);
    planner.set_grant(&peer, &web(), true);
    let changes = planner.drain();
    assert_eq!(changes.urgent.len(), 1, "{changes:?}");
    held.take(&changes);
    assert_eq!(held.0, before);
}

#[test]
fn one_of_two_nodes_that_loses_one_of_its_services_loses_its_flows_and_no_way_leads_to_those_of_the_other() {
    let (first, second) = (node("g1.globex.example"), node("g2.globex.example"));
    let (mut planner, mut held) = granted(&[&first, &second]);
    let other: ServiceName = "other.acme.example".parse().unwrap();
    planner.set_grant(&first, &other, true);
    held.take(&planner.drain());
    let (before, scope) = (held.of_web(), held.scope());
    assert!(scope.contains("globex.example/node/g1") && scope.contains("globex.example/node/g2"), "{scope}");
    planner.set_grant(&first, &web(), false);
    let changes = planner.drain();
    let grant = format!("grant|web.acme.example|{ORG}|b.acme.example");
    assert_eq!(changes.urgent, [(Kind::Listener, grant.clone())]);
    assert!(changes.urgent_set.is_empty(), "{changes:?}");
    held.take(&changes);
    // Nothing that Envoy knew before leads to what it is told now.
    let now = held.of_web();
    let common: Vec<&String> = now.iter().filter(|name| before.contains(name)).collect();
    assert_eq!(common, ["scope web.acme.example"], "{now:?}");
    assert!(!held.scope().contains(&format!("{grant}\"")) && held.scope().contains(&format!("{ORG}~1|")));
    assert!(!held.scope().contains("/node/g1") && held.scope().contains("/node/g2"));
    // Said again it changes nothing, and the last one takes all with it.
    planner.set_grant(&first, &web(), false);
    assert!(planner.drain().urgent.is_empty());
    planner.set_service(&web(), ways(&[]));
    planner.set_grant(&second, &web(), false);
    held.take(&planner.drain());
    assert_eq!(held.of_web(), Vec::<String>::new());
}

#[test]
fn one_of_two_nodes_that_loses_everything_is_let_in_no_more_and_the_other_notices_nothing() {
    let (first, second) = (node("g1.globex.example"), node("g2.globex.example"));
    let (mut planner, mut held) = granted(&[&first, &second]);
    let (before, mesh) = (held.of_web(), held.0[&(Kind::Listener, "mesh".to_owned())].clone());
    planner.set_grant(&first, &web(), false);
    let changes = planner.drain();
    assert!(changes.urgent.is_empty(), "{changes:?}");
    let urgent: Vec<&str> = changes.urgent_set.iter().map(|resource| resource.name()).collect();
    assert_eq!(urgent, ["neighbours", "mesh"]);
    held.take(&changes);
    assert_eq!(held.of_web(), before);
    let closed = held.0[&(Kind::Listener, "mesh".to_owned())].clone();
    assert!(closed.len() < mesh.len());
    // It may use something again.
    planner.set_grant(&first, &"other.acme.example".parse().unwrap(), true);
    held.take(&planner.drain());
    assert_eq!(held.0[&(Kind::Listener, "mesh".to_owned())], mesh);
}

#[test]
fn who_is_let_in_no_more_is_said_ahead_of_everything_and_who_comes_is_not() {
    let (peer, new) = (node("b.acme.example"), node("c.acme.example"));
    let key = |byte: u8| Some(Caller { key: Some(key_mark(&[byte; 12])), silent: false });
    let (mut planner, _) = granted(&[]);
    let mut told = |what: &dyn Fn(&mut Planner)| {
        what(&mut planner);
        let changes = planner.drain();
        let has_mesh = |set: &[catalyst_xds::Resource]| set.iter().any(|resource| resource.name() == "mesh");
        (has_mesh(&changes.urgent_set), has_mesh(&changes.set))
    };
    assert_eq!(told(&|p| p.set_neighbour(&new, Some(Vec::new()))), (false, true));
    assert_eq!(told(&|p| p.set_caller(&new, key(1).unwrap())), (true, false), "one key alone");
    assert_eq!(told(&|p| p.set_caller(&new, key(2).unwrap())), (true, false));
    assert_eq!(told(&|p| p.set_neighbour(&new, Some(Vec::new()))), (false, false));
    assert_eq!(told(&|p| p.set_neighbour(&peer, None)), (true, false));
}

#[test]
fn all_is_said_again_in_parts_and_is_what_it_was() {
    let peer = node("g1.globex.example");
    let (mut planner, mut held) = granted(&[&peer]);
    for n in 0..10 {
        planner.set_service(&format!("s{n}.acme.example").parse().unwrap(), ways(&[beyond()]));
    }
    planner.open_port(&web(), ([127, 0, 0, 1], 9000).into());
    held.take(&planner.drain());
    let before = held.0.clone();
    let fixed = before.len() - said(&mut planner, &mut held, 4);
    assert_eq!(held.0, before);
    // What never changes was told once, and once there is room for all.
    assert!(fixed <= 8, "{fixed}");
    let publisher = Publisher::new("a.acme.example", Limits::default());
    publisher.apply(planner.drain()).unwrap();
}

/// Has all said again. How many resources it was.
fn said(planner: &mut Planner, held: &mut Held, most: usize) -> usize {
    let (mut after, mut all, mut parts) = (None, 0, 0);
    loop {
        after = planner.repeat(after.as_deref(), most);
        let changes = planner.drain();
        assert!(changes.remove.is_empty() && changes.urgent.is_empty() && changes.urgent_set.is_empty());
        all += changes.set.len();
        held.take(&changes);
        parts += 1;
        if after.is_none() {
            assert_eq!(parts, 11 / most + 1);
            return all;
        }
    }
}
