use std::sync::Arc;

use catalyst_config::HostPort;
use catalyst_control::{Endpoint, Forward, NextHop};
use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_tunnel::{Limits, NextHop as Way, Refusal};

use super::{Step, Tables};

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn service() -> ServiceName {
    "inventory.acme.example".parse().unwrap()
}

fn forward(hops: &[NextHop]) -> Forward {
    let endpoint = |next: &NextHop| Endpoint {
        origin: "edge-1".parse().unwrap(),
        next: next.clone(),
        weight: 100,
        equal: false,
        backup: false,
    };
    Forward { service: service(), protocol: Protocol::Http, endpoints: hops.iter().map(endpoint).collect() }
}

fn tables() -> Arc<Tables> {
    let limits = Limits { flows: 2, packet_flows: 1, ..Limits::EDGE };
    Arc::new(Tables::new(name("cloud-1.acme.example"), limits, 1 << 20, 1))
}

#[test]
fn a_stranger_needs_a_grant_and_loses_its_flows_with_it() {
    let tables = tables();
    let stranger = name("cloud-1.globex.example");
    assert!(tables.set_forward(&forward(&[NextHop::Peer(name("edge-1.acme.example"))])).is_none());
    fn plan_of(tables: &Tables, from: Option<&NodeName>) -> Result<super::Plan, Refusal> {
        tables.plan(from, &service(), None, 8, 3)
    }
    let plan = |from: Option<&NodeName>| plan_of(&tables, from);
    assert_eq!(plan(Some(&stranger)), Err(Refusal::NotPermitted));
    assert!(plan(None).is_ok());
    assert!(plan_of(&tables, Some(&name("cloud-2.acme.example"))).is_ok());
    tables.set_grant(&stranger, &service(), true);
    let admitted = plan(Some(&stranger)).unwrap();
    let live = tables.enter(Some(&stranger), &service(), admitted.epoch, 0).unwrap();
    assert_eq!(tables.flows().0, 1);
    tables.set_grant(&stranger, &service(), false);
    assert_eq!(plan(Some(&stranger)), Err(Refusal::NotPermitted));
    // A flow that was planned before the withdrawal does not slip in after it.
    assert_eq!(
        tables.enter(Some(&stranger), &service(), admitted.epoch, 0).err(),
        Some(Refusal::NotPermitted)
    );
    drop(live);
    assert_eq!(tables.flows().0, 0);
}

#[test]
fn a_flow_does_not_go_back_where_it_came_from() {
    let tables = tables();
    let (edge, other) = (name("edge-1.acme.example"), name("cloud-2.acme.example"));
    tables.set_forward(&forward(&[NextHop::Peer(edge.clone()), NextHop::Peer(other.clone())]));
    let plan = tables.plan(Some(&edge), &service(), None, 8, 3).unwrap();
    assert_eq!(plan.steps, [Step::Peer(other, "edge-1".parse().unwrap())]);
    assert_eq!(plan.hop_limit, 7);
    assert_eq!(tables.plan(Some(&edge), &service(), None, 0, 3), Err(Refusal::HopLimit));
}

#[test]
fn a_local_service_leads_to_its_socket_until_it_is_gone() {
    let tables = tables();
    let target = HostPort::parse("127.0.0.1:8080").unwrap();
    tables.set_target(&service(), Some(target.clone()));
    tables.set_forward(&forward(&[NextHop::Local]));
    assert_eq!(tables.plan(None, &service(), None, 8, 3).unwrap().steps, [Step::Target(target)]);
    assert_eq!(tables.reachable(&service(), Protocol::Tcp), Ok(()));
    tables.set_forward(&forward(&[]));
    assert_eq!(tables.reachable(&service(), Protocol::Tcp), Err(Refusal::NoSuchService.to_string()));
}

#[test]
fn the_flow_limit_holds() {
    let tables = tables();
    tables.set_forward(&forward(&[NextHop::Local]));
    let first = tables.enter(None, &service(), 0, 0).unwrap();
    let _second = tables.enter(None, &service(), 0, 0).unwrap();
    assert_eq!(tables.enter(None, &service(), 0, 0).err(), Some(Refusal::TooManyFlows));
    drop(first);
    assert!(tables.enter(None, &service(), 0, 0).is_ok());
}

fn udp(hops: &[NextHop]) -> Forward {
    Forward { protocol: Protocol::Udp, ..forward(hops) }
}

fn cut(live: &super::Live) -> Option<Refusal> {
    live.control.poll_cut(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn packets_go_to_services_of_packets_alone() {
    let tables = tables();
    tables.set_target(&service(), HostPort::parse("127.0.0.1:53").ok());
    tables.set_forward(&forward(&[NextHop::Local]));
    assert_eq!(tables.plan_packets(None, &service(), None, 8, 3), Err(Refusal::NoEndpoint));
    assert!(
        tables
            .reachable(&service(), Protocol::Udp)
            .unwrap_err()
            .contains("a http service: the port is for udp")
    );
    tables.set_forward(&udp(&[NextHop::Local]));
    assert_eq!(tables.plan(None, &service(), None, 8, 3), Err(Refusal::NoEndpoint));
    assert!(tables.reachable(&service(), Protocol::Tcp).unwrap_err().contains("set 'protocol'"));
    assert!(tables.plan_packets(None, &service(), None, 8, 3).is_ok());
    assert_eq!(tables.reachable(&service(), Protocol::Udp), Ok(()));
}

#[test]
fn flows_of_packets_have_a_limit_of_their_own() {
    let tables = tables();
    tables.set_forward(&udp(&[NextHop::Local]));
    let first = tables.enter_packets(None, &service(), 0, 0).unwrap();
    assert_eq!(tables.enter_packets(None, &service(), 0, 0).err(), Some(Refusal::TooManyFlows));
    assert!(tables.enter(None, &service(), 0, 0).is_ok(), "there is room for a connection");
    assert_eq!(tables.packet_flows(), (1, 1, 1, 1));
    drop(first);
    assert!(tables.enter_packets(None, &service(), 0, 0).is_ok());
}

#[test]
fn a_flow_of_packets_is_cut_when_its_way_is_withdrawn() {
    let tables = tables();
    let (one, two) = (name("edge-1.acme.example"), name("edge-2.acme.example"));
    let [to_one, to_two] = [&one, &two].map(|peer| NextHop::Peer(peer.clone()));
    let by_one = || Way::Peer(Arc::new(one.clone()));
    tables.set_forward(&udp(&[to_one.clone(), to_two.clone()]));
    let live = tables.enter_packets(None, &service(), 0, 0).unwrap();
    // It is not known yet where it goes.
    tables.set_forward(&udp(std::slice::from_ref(&to_one)));
    live.goes(by_one());
    // A worse rank is no reason.
    tables.set_forward(&udp(&[to_two.clone(), to_one]));
    assert_eq!(cut(&live), None);
    tables.set_forward(&udp(&[to_two]));
    assert_eq!(cut(&live), Some(Refusal::NoEndpoint));
    // Withdrawn between the plan and the answer.
    drop(live);
    let late = tables.enter_packets(None, &service(), 0, 0).unwrap();
    late.goes(by_one());
    assert_eq!(cut(&late), Some(Refusal::NoEndpoint));
}

#[test]
fn a_flow_of_packets_is_cut_when_its_service_moves() {
    let tables = tables();
    let at = |port: &str| HostPort::parse(port).ok();
    tables.set_target(&service(), at("127.0.0.1:53"));
    tables.set_forward(&udp(&[NextHop::Local]));
    let live = tables.enter_packets(None, &service(), 0, 0).unwrap();
    live.goes(Way::Local);
    tables.set_target(&service(), at("127.0.0.1:53"));
    assert_eq!(cut(&live), None);
    tables.set_target(&service(), at("127.0.0.1:54"));
    assert_eq!(cut(&live), Some(Refusal::NoEndpoint));
}

#[test]
fn new_flows_go_to_equals_by_weight_and_to_the_others_when_one_fails() {
    let tables = tables();
    let way = |n: usize, weight: u16, equal: bool| Endpoint {
        origin: format!("edge-{n}").parse().unwrap(),
        next: NextHop::Peer(name(&format!("edge-{n}.acme.example"))),
        weight,
        equal,
        backup: false,
    };
    let endpoints = vec![way(1, 100, false), way(2, 300, true), way(3, 900, false)];
    tables.set_forward(&Forward { service: service(), protocol: Protocol::Tcp, endpoints });
    let mut first = std::collections::BTreeMap::new();
    for _ in 0..4_000 {
        let plan = tables.plan(None, &service(), None, 8, 3).unwrap();
        assert_eq!(plan.steps.len(), 3);
        let Step::Peer(peer, _) = &plan.steps[0] else { panic!("{plan:?}") };
        *first.entry(peer.node().to_string()).or_insert(0_usize) += 1;
    }
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first["edge-1"].abs_diff(1_000) < 100 && first["edge-2"].abs_diff(3_000) < 100, "{first:?}");
}

#[cfg(feature = "mesh")]
mod mesh {
    use std::net::SocketAddr;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use catalyst_names::{NodeName, Protocol, ServiceName};
    use catalyst_tunnel::Limits;

    use super::{Tables, name, service};
    use crate::drain::UnderWay;
    use crate::envoy_row::{EnvoyRow, Trouble};
    use crate::mesh::{Change, Flows, Mesh, News, Told};
    use crate::shell::Boxed;

    /// Notes who may.
    #[derive(Default)]
    struct Notes(Mutex<Vec<(NodeName, bool)>>);

    impl Mesh for Notes {
        fn tell(&self, change: Change<'_>) {
            if let Change::Grant { peer, granted, .. } = change {
                self.0.lock().unwrap().push((peer.clone(), granted));
            }
        }

        fn start(&self, _: Arc<dyn Flows>, _: Option<SocketAddr>, _: News) {}

        fn has(&self, _: &ServiceName) -> bool {
            true
        }

        fn settled(&self) -> Boxed<'static, ()> {
            Box::pin(std::future::ready(()))
        }

        fn ready(&self) -> Boxed<'static, ()> {
            Box::pin(std::future::ready(()))
        }

        fn entry(&self, _: Protocol) -> &Path {
            Path::new("/")
        }

        fn carries(&self, _: &NodeName) -> bool {
            false
        }

        fn ways(&self) -> usize {
            8
        }

        fn under_way(&self) -> Boxed<'static, Option<UnderWay>> {
            Box::pin(std::future::ready(None))
        }

        fn row(&self) -> EnvoyRow {
            EnvoyRow::default()
        }

        fn trouble(&self, _: &ServiceName) -> Option<Trouble> {
            None
        }

        fn port_trouble(&self, _: &ServiceName, _: SocketAddr) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_grant_that_there_is_no_room_for_is_granted_nowhere() {
        let limits = Limits { grants: 1, ..Limits::EDGE };
        let tables = Tables::new(name("cloud-1.acme.example"), limits, 1 << 20, 1);
        let notes = Arc::new(Notes::default());
        let tables = tables.with_mesh(Told::new(notes.clone()));
        let peers = ["a.globex.example", "b.globex.example"].map(name);
        let told: Vec<bool> =
            peers.iter().map(|peer| tables.set_grant(peer, &service(), true).is_none()).collect();
        assert_eq!(told, [true, false]);
        tables.set_grant(&peers[0], &service(), false);
        let [first, _] = peers;
        assert_eq!(*notes.0.lock().unwrap(), [(first.clone(), true), (first, false)]);
    }
}
