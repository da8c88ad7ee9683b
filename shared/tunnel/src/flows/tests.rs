use alloc::vec::Vec;

use catalyst_names::{NodeName, ServiceName};
use proptest::prelude::*;

use super::{FlowId, FlowTable, Totals};
use crate::limits::Limits;
use crate::refusal::Refusal;

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn service(name: &str) -> ServiceName {
    name.parse().unwrap()
}

fn table(flows: usize) -> FlowTable {
    FlowTable::new(&Limits { flows, ..Limits::EDGE })
}

#[test]
fn a_full_table_refuses_and_recovers() {
    let mut table = table(2);
    let db = service("db.acme.example");
    let first = table.open(&db, None, None, 1, 0).unwrap();
    table.open(&db, None, None, 1, 0).unwrap();
    assert_eq!(table.open(&db, None, None, 1, 0), Err(Refusal::TooManyFlows));
    assert_eq!(table.totals(), Totals { opened: 2, refused: 1, ..Totals::default() });
    assert!(table.close(first).is_some());
    assert!(table.close(first).is_none());
    assert_eq!(table.open(&db, None, None, 1, 0), Ok(FlowId(3)), "numbers are not used again");
}

#[test]
fn revocation_picks_that_caller_of_that_service() {
    let mut table = table(16);
    let (db, web) = (service("db.acme.example"), service("web.acme.example"));
    let (x, y) = (node("x.globex.example"), node("y.globex.example"));
    let hit = table.open(&db, Some(&x), None, 1, 0).unwrap();
    let newer = table.open(&db, Some(&x), None, 5, 0).unwrap();
    table.open(&web, Some(&x), None, 1, 0).unwrap();
    table.open(&db, Some(&y), None, 1, 0).unwrap();
    table.open(&db, None, Some(&x), 1, 0).unwrap();
    assert_eq!(table.revoked(&x, &db, 5), [hit]);
    assert_eq!(table.revoked(&x, &db, u64::MAX), [hit, newer]);
    assert_eq!(table.of_service(&db).len(), 4);
    assert_eq!(table.of_peer(&x).len(), 4);
    assert!(table.of_peer(&node("z.globex.example")).is_empty());
}

#[test]
fn bytes_are_summed_over_flows_that_have_ended() {
    let mut table = table(4);
    let db = service("db.acme.example");
    let id = table.open(&db, None, None, 1, 77).unwrap();
    table.progress(id, 10, 100);
    table.progress(id, 30, 100);
    table.progress(id, 5, 5);
    let flow = table.close(id).unwrap();
    assert_eq!((flow.bytes_in, flow.bytes_out, flow.opened_ms), (30, 100, 77));
    table.progress(id, 1000, 1000);
    assert_eq!((table.totals().bytes_in, table.totals().bytes_out), (30, 100));
}

#[test]
fn a_rerouted_flow_is_found_at_its_new_neighbour() {
    let mut table = table(4);
    let (b, c) = (node("b.acme.example"), node("c.acme.example"));
    let id = table.open(&service("db.acme.example"), Some(&b), Some(&b), 1, 0).unwrap();
    table.reroute(id, Some(&c));
    assert_eq!((table.of_peer(&b), table.of_peer(&c)), (Vec::from([id]), Vec::from([id])));
    table.reroute(id, None);
    assert_eq!((table.of_peer(&b), table.of_peer(&c)), (Vec::from([id]), Vec::new()));
    table.close(id);
    assert!(table.of_peer(&b).is_empty());
}

proptest! {
    /// Whatever happens, the indexes say what a walk over all flows says, and nothing is left behind.
    #[test]
    fn indexes_agree_with_the_flows(steps in proptest::collection::vec((0u8..4, 0usize..3, 0usize..4, 0usize..4), 0..80)) {
        let services = [service("a.x.example"), service("b.x.example"), service("c.x.example")];
        let peers = [node("p.x.example"), node("q.x.example"), node("r.y.example")];
        let mut table = table(20);
        for (what, s, from, to) in steps {
            let oldest = table.iter().next().map(|(id, _)| id);
            match (what, oldest) {
                (0, Some(id)) => drop(table.close(id)),
                (1, Some(id)) => table.reroute(id, peers.get(to)),
                _ => drop(table.open(&services[s], peers.get(from), peers.get(to), 1, 0)),
            }
            for service in &services {
                let want: Vec<_> = table.iter().filter(|(_, f)| *f.service == *service).map(|(id, _)| id).collect();
                prop_assert_eq!(table.of_service(service), want);
            }
            for peer in &peers {
                let touches = |f: &super::Flow| f.from.as_deref() == Some(peer) || f.to.as_deref() == Some(peer);
                let want: Vec<_> = table.iter().filter(|(_, f)| touches(f)).map(|(id, _)| id).collect();
                prop_assert_eq!(table.of_peer(peer), want);
            }
        }
        let ids: Vec<_> = table.iter().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| drop(table.close(id)));
        prop_assert_eq!(table.by_service().count() + table.by_peer().count(), 0);
    }
}
