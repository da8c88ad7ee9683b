//! Routes come in: loops, malformed entries, health, and the ways that the data plane gets.

use std::string::ToString;
use std::vec::Vec;

use catalyst_names::Protocol;
use catalyst_route_table::Heap;
use catalyst_wire::{Attrs, FrameType, Health, Path, Reader, Writer};

use super::kit::*;
use crate::*;

/// The last ways to a service: origin, next hop, backup.
fn ways(bench: &mut Bench, service: &str) -> Option<Vec<(std::string::String, NextHop, bool)>> {
    let of = |e: Effect| match e {
        Effect::Forward(f) if f.service.as_str() == service => Some(f),
        _ => None,
    };
    let last = bench.effects().into_iter().filter_map(of).next_back()?;
    Some(last.endpoints.into_iter().map(|e| (e.origin.to_string(), e.next, e.backup)).collect())
}

fn via(text: &str) -> NextHop {
    NextHop::Peer(name(text))
}

/// An UPDATE of raw entries.
fn raw_update(entries: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut region = Vec::new();
    for (service, origin, attrs) in entries {
        let mut body = [0u8; 2000];
        let mut out = Writer::new(&mut body);
        out.text(service).unwrap();
        out.text(origin).unwrap();
        out.raw(attrs).unwrap();
        let mut whole = [0u8; 2010];
        let mut framed = Writer::new(&mut whole);
        framed.bytes(out.written()).unwrap();
        region.extend_from_slice(framed.written());
    }
    let mut body = std::vec![0u8; region.len() + 5];
    let mut out = Writer::new(&mut body);
    out.bytes(&region).unwrap();
    let body = out.written();
    let mut frame = std::vec![FrameType::Update as u8, 0];
    frame.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

#[test]
fn best_and_next_are_handed_to_the_data_plane() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.announce(2, &[("x.acme.example", "e", through("c"))]);
    assert_eq!(ways(&mut bench, "x.acme.example").unwrap(), [("e".into(), via("c.acme.example"), false)]);
    bench.announce(1, &[("x.acme.example", "e", through("b"))]);
    let both = [("e".into(), via("b.acme.example"), false), ("e".into(), via("c.acme.example"), true)];
    assert_eq!(ways(&mut bench, "x.acme.example").unwrap(), both);
    bench.offer("x");
    let all = ways(&mut bench, "x.acme.example").unwrap();
    assert_eq!(all[0], ("a".into(), NextHop::Local, false), "the local one is the best");
    assert_eq!(all[1..], both);
    bench.stop_offering("x");
    bench.down(1);
    bench.withdraw(2, &[("x.acme.example", "e")]);
    assert_eq!(ways(&mut bench, "x.acme.example").unwrap(), []);
    bench.give_all_back();
}

#[test]
fn a_withdrawal_counts_only_for_its_sender() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.announce(1, &[("x.acme.example", "e", through("b"))]);
    bench.withdraw(2, &[("x.acme.example", "e"), ("never.acme.example", "heard")]);
    assert_eq!(bench.rows().len(), 1);
}

#[test]
fn an_unhealthy_service_is_kept_and_not_used() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.offer("x");
    assert_eq!(bench.remote(1).services(), ["x.acme.example"]);
    bench.feed(Event::Health { label: "x".parse().unwrap(), healthy: false });
    assert!(bench.remote(1).services().is_empty());
    assert_eq!(ways(&mut bench, "x.acme.example").unwrap(), []);
    assert_eq!(bench.rows()[0].2, "ineligible");
    bench.feed(Event::Health { label: "x".parse().unwrap(), healthy: true });
    assert_eq!(bench.remote(1).services(), ["x.acme.example"]);
    // Of a neighbour the same.
    bench.announce(1, &[("y.acme.example", "b", Attrs { health: Health::Down, ..through("b") })]);
    assert_eq!(bench.rows()[1].2, "ineligible");
    bench.feed(Event::Health { label: "unknown".parse().unwrap(), healthy: true });
    bench.check();
}

#[test]
fn a_route_that_passed_here_is_not_used_and_counted() {
    let mut list = [0u8; 64];
    let mut out = Writer::new(&mut list);
    out.u64(3).unwrap();
    ["b", "a", "c"].iter().for_each(|n| out.text(n).unwrap());
    let path = Path::read(&mut Reader::new(out.written()), 32, 63, |_| true).unwrap();
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[("x.acme.example", "c", through("b"))]);
    bench.announce(1, &[("x.acme.example", "c", Attrs { node_path: path, ..Attrs::default() })]);
    assert_eq!(bench.rows()[0].2, "ineligible", "what stood there is no longer what the neighbour says");
    assert_eq!(bench.peer("b.acme.example").looped, 1);
    let own = Attrs { org_path: Path::one("acme.example"), ..through("b") };
    bench.announce(1, &[("y.acme.example", "c", own)]);
    assert_eq!(bench.peer("b.acme.example").looped, 2);
    assert!(bench.closed().is_empty());
}

#[test]
fn a_path_that_does_not_begin_with_the_neighbour_is_malformed() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[("x.acme.example", "z", through("z")), ("y.acme.example", "z", Attrs::default())]);
    assert!(bench.rows().is_empty());
    assert_eq!(bench.peer("b.acme.example").malformed, 2);
}

#[test]
fn a_malformed_attribute_withdraws_that_route_and_nothing_else() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[("x.acme.example", "b", through("b")), ("y.acme.example", "b", through("b"))]);
    bench.effects();
    // Attribute 9, health, with the value 7, which does not exist. After it a sound route.
    let mut good = [0u8; 100];
    let mut out = Writer::new(&mut good);
    through("b").write(&mut out).unwrap();
    let frame = raw_update(&[
        ("x.acme.example", "b", &[9, 0, 1, 7]),
        ("z.acme.example", "b", out.written()),
        ("Not A Name", "b", &[]),
    ]);
    bench.frame(1, frame);
    let services: Vec<_> = bench.rows().into_iter().map(|r| r.0).collect();
    assert_eq!(services, ["y.acme.example", "z.acme.example"]);
    let peer = bench.peer("b.acme.example");
    assert_eq!((peer.malformed, peer.session), (2, Some(SessionId(1))), "the session lives");
    let notices = bench.notices();
    let malformed =
        |n: &Notice| matches!(n, Notice::MalformedRoute(_, why) if why.contains("x.acme.example"));
    assert!(notices.iter().any(malformed), "{notices:?}");
    bench.check();
}

#[test]
fn end_of_rib_of_the_peer_is_remembered_until_the_session_ends() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    assert!(!bench.peer("b.acme.example").synced);
    bench.frame(1, plain(FrameType::EndOfRib));
    assert!(bench.peer("b.acme.example").synced);
    bench.down(1);
    assert!(!bench.peer("b.acme.example").synced);
}

#[test]
fn a_service_that_neighbours_would_not_take_is_refused_and_what_stood_stays() {
    let mut bench = Bench::new();
    bench.offer("x");
    let many = (0..40).map(|n| std::format!("acme.example:t{n}")).collect();
    for tags in [Vec::from(["no tag".to_string()]), Vec::from(["x".repeat(9000)]), many] {
        bench.effects();
        bench.feed(Event::ServiceUp(LocalService { protocol: Protocol::Tcp, tags, ..local("x") }));
        assert!(
            matches!(&bench.notices()[..], [Notice::ServiceRefused(l, why)] if l.as_str() == "x" && why.contains("tags"))
        );
        let kept: Vec<_> = bench.core.state().services().map(|s| s.protocol).collect();
        assert_eq!(kept, [Protocol::Http]);
    }
    assert_eq!(bench.rows().len(), 1);
    let tagged = LocalService { tags: Vec::from(["acme.example:gold".to_string()]), ..local("x") };
    bench.feed(Event::ServiceUp(tagged));
    assert_eq!(bench.core.state().route_rows()[0].tags, ["acme.example:gold"]);
}

#[test]
fn a_core_without_plugins_peers_and_moves_no_routes() {
    let mut core = Core::bare(settings(Limits::CLOUD), Heap::new(Default::default())).unwrap();
    core.handle(&Event::ServiceUp(local("x")), Now::mono(0));
    core.handle(&peer("b.acme.example", None), Now::mono(0));
    assert_eq!(core.state().route_rows().len(), 0);
    assert!(core.state().peer(&name("b.acme.example")).is_none());
}
