//! What a planner says is the same bytes whenever it is said, and no listener is ever another: a listener that is edited
//! would cut its flows.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use catalyst_dataplane::{Bundle, Identity, Planner, Service, Site, Via, Way};
use catalyst_names::{NodeName, OrgId, Protocol, ServiceName};
use catalyst_xds::Kind;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Told {
    Service(u8, Vec<(u8, u32, bool)>),
    Target(u8, u8),
    Grant(u8, u8, bool),
    Neighbour(u8, Option<u8>),
    Port(u8, u8, bool),
    Ingress(bool),
    Identity(u8),
    Trust(u8),
}

fn told() -> impl Strategy<Value = Told> {
    let way = (0..5_u8, 0..3_u32, any::<bool>());
    prop_oneof![
        4 => (0..4_u8, prop::collection::vec(way, 0..5)).prop_map(|(s, w)| Told::Service(s, w)),
        2 => (0..4_u8, 0..4_u8).prop_map(|(s, n)| Told::Target(s, n)),
        3 => (0..4_u8, 0..4_u8, any::<bool>()).prop_map(|(s, p, g)| Told::Grant(s, p, g)),
        1 => (0..4_u8, prop::option::of(0..3_u8)).prop_map(|(p, n)| Told::Neighbour(p, n)),
        2 => (0..4_u8, 0..3_u8, any::<bool>()).prop_map(|(s, n, o)| Told::Port(s, n, o)),
        1 => any::<bool>().prop_map(Told::Ingress),
        1 => any::<u8>().prop_map(Told::Identity),
        1 => (0..4_u8).prop_map(Told::Trust),
    ]
}

/// Each speaks one protocol for ever; the first has the node's own name.
fn service(n: u8) -> (ServiceName, Protocol) {
    let protocols = [Protocol::Http, Protocol::Tcp, Protocol::HttpGrpc, Protocol::HttpGraphql];
    let name = if n == 0 { "a.acme.example".to_owned() } else { format!("s{n}.acme.example") };
    (name.parse().unwrap(), protocols[usize::from(n)])
}

fn peer(n: u8) -> NodeName {
    ["b.acme.example", "g.globex.example", "h.globex.example", "i.initech.example"][usize::from(n)]
        .parse()
        .unwrap()
}

fn tell(planner: &mut Planner, told: &Told) {
    let at = |n: u8| ([127, 0, 0, n + 1], 9000).into();
    let identity = |n: u8| Identity { chain: format!("chain {n}"), key: format!("key {n}") };
    match told {
        Told::Service(n, ways) => {
            let (name, protocol) = service(*n);
            let way = |(via, weight, equal): &(u8, u32, bool)| Way {
                via: match via {
                    0 => Via::Local,
                    1 => Via::Node,
                    n => Via::Peer(peer(n - 2)),
                },
                weight: *weight,
                equal: *equal,
            };
            planner.set_service(&name, Service { protocol, ways: ways.iter().map(way).collect() });
        }
        Told::Target(n, count) => {
            planner.set_target(&service(*n).0, (*count > 0).then(|| (0..*count).map(at).collect()));
        }
        Told::Grant(n, p, granted) => planner.set_grant(&peer(*p), &service(*n).0, *granted),
        Told::Neighbour(p, n) => planner.set_neighbour(&peer(*p), n.map(|n| (0..n).map(at).collect())),
        Told::Port(n, port, true) => planner.open_port(&service(*n).0, at(*port)),
        Told::Port(n, port, false) => planner.close_port(&service(*n).0, at(*port)),
        Told::Ingress(over_tls) => planner.open_ingress(at(9), *over_tls),
        Told::Identity(n) => {
            planner.set_identity(&identity(*n));
            planner.set_ingress(&identity(*n));
        }
        Told::Trust(n) => {
            let bundle = |n: u8| Bundle {
                org: OrgId::parse(&format!("org{n}.example")).unwrap(),
                roots: n.to_string(),
            };
            planner.set_trust(&(0..*n).map(bundle).collect::<Vec<_>>());
        }
    }
}

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

type Held = BTreeMap<(Kind, String), Vec<u8>>;

/// Takes in what differs. Says which listeners became others.
fn take(planner: &mut Planner, held: &mut Held) -> Vec<String> {
    let changes = planner.drain();
    let mut edited = Vec::new();
    for gone in changes.remove.into_iter().chain(changes.urgent) {
        held.remove(&gone);
    }
    for resource in changes.urgent_set.into_iter().chain(changes.set) {
        let key = (resource.kind(), resource.name().to_owned());
        let before = held.insert(key, resource.body().to_vec());
        if resource.kind() == Kind::Listener && before.is_some_and(|b| b != resource.body().as_ref()) {
            edited.push(resource.name().to_owned());
        }
    }
    edited
}

/// The names alone, however often grants were made anew and whatever former ways their flows have.
fn plain(held: &Held) -> BTreeSet<(Kind, String)> {
    let name = |name: &str| {
        let renewed = |part: &str| part.split('~').next().unwrap_or_default().to_owned();
        let parts = if name.starts_with("grant|") { 3 } else { usize::MAX };
        name.split('|').take(parts).map(renewed).collect::<Vec<_>>().join("|")
    };
    held.keys().map(|(kind, full)| (*kind, name(full))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_is_said_in_the_same_bytes_and_no_listener_changes(all in prop::collection::vec(told(), 1..60)) {
        let (mut first, mut second) = (planner(), planner());
        let (mut held, mut again) = (Held::new(), Held::new());
        take(&mut first, &mut held);
        take(&mut second, &mut again);
        for one in &all {
            tell(&mut first, one);
            tell(&mut second, one);
            let edited = take(&mut first, &mut held);
            // The ports of a service whose protocol was not known yet speak another one then.
            // The mesh port has a part for each neighbour, and the neighbours change.
            let may = |name: &String| {
                name.starts_with("port|") || (name == "mesh" && matches!(one, Told::Neighbour(..) | Told::Grant(..)))
            };
            prop_assert!(edited.iter().all(may), "{edited:?} by {one:?}");
            take(&mut second, &mut again);
            prop_assert!(held == again, "{one:?}");
        }
        // However little is drained: the same is there.
        let mut seldom = planner();
        let mut late = Held::new();
        for (at, one) in all.iter().enumerate() {
            tell(&mut seldom, one);
            if at % 7 == 6 {
                take(&mut seldom, &mut late);
            }
        }
        take(&mut seldom, &mut late);
        prop_assert_eq!(plain(&held), plain(&late));
        // What is said for the second time changes nothing.
        if let Some(last) = all.last() {
            tell(&mut first, last);
            let before = held.clone();
            prop_assert_eq!(take(&mut first, &mut held), Vec::<String>::new());
            prop_assert!(before == held, "{last:?}");
        }
    }
}
