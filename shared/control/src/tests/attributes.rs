//! Attributes that are malformed cost the one route (RFC 7606); those of later versions are carried on.

use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_wire::attr::{OPTIONAL, TRANSITIVE, kind};
use catalyst_wire::{Attrs, UpdateWriter, Writer};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const X: &str = "x.acme.example";

/// An attribute as it stands in an entry.
fn attr(code: u16, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut buf = [0u8; 512];
    let mut out = Writer::new(&mut buf);
    out.u64(u64::from(code)).unwrap();
    out.u8(flags).unwrap();
    out.bytes(value).unwrap();
    out.written().to_vec()
}

/// An UPDATE with one route of these attributes.
fn update(service: &str, attrs: &[Vec<u8>]) -> Vec<u8> {
    let (mut body, mut element, mut frame) = ([0u8; 2048], [0u8; 2048], [0u8; 4096]);
    let mut out = Writer::new(&mut body);
    out.text(service).unwrap();
    out.text("o").unwrap();
    out.raw(&attrs.concat()).unwrap();
    let mut entry = Writer::new(&mut element);
    entry.bytes(out.written()).unwrap();
    let mut update = UpdateWriter::new(&mut frame).unwrap();
    update.announce(entry.written()).unwrap();
    update.finish().unwrap().to_vec()
}

fn node_path() -> Vec<u8> {
    attr(kind::NODE_PATH, 0, &[1, 1, b'b'])
}

#[test]
fn each_kind_of_attribute_costs_its_route_when_it_is_malformed() {
    let mut bench = Bench::new();
    bench.internal(1, B);
    bench.announce(1, &[("y.acme.example", "o", through("b"))]);
    let bad: [(u16, &[u8]); 13] = [
        (kind::PROTOCOL, &[99]),
        (kind::ORG_PATH, &[1, 3, b'A', b'!', b'x']),
        (kind::NODE_PATH, &[200]),
        (kind::LOCAL_PREF, &[]),
        (kind::COST, &[0xff; 12]),
        (kind::WEIGHT, &[0xff, 0xff, 0x7f]),
        (kind::TAGS, &[1, 3, b'a', b'b', b'c']),
        (kind::WELL_KNOWN, &[]),
        (kind::HEALTH, &[7]),
        (kind::ONLY_TO_CUSTOMER, &[1, b'_']),
        (kind::SCHEMA_DIGEST, &[0; 31]),
        (kind::ATTESTATION, &[5, 1]),
        // Unknown, and its sender says that it matters.
        (4_000, &[1]),
    ];
    for (count, (code, value)) in bad.into_iter().enumerate() {
        bench.announce(1, &[(X, "o", through("b"))]);
        assert_eq!(bench.rows()[0].2, "best");
        let mut attrs = Vec::from([attr(code, 0, value)]);
        match code.cmp(&kind::NODE_PATH) {
            std::cmp::Ordering::Less => attrs.push(node_path()),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => attrs.insert(0, node_path()),
        }
        bench.frame(1, update(X, &attrs));
        assert!(bench.rows().iter().all(|r| r.0 != X), "attribute {code}");
        assert!(bench.rows().iter().any(|r| r.0 == "y.acme.example" && r.2 == "best"));
        assert_eq!(bench.peer(B).malformed as usize, count + 1, "attribute {code}");
        let named = |n: &Notice| matches!(n, Notice::MalformedRoute(_, what) if what.contains(X));
        assert!(bench.notices().iter().any(named), "attribute {code} is reported");
    }
    assert_eq!(bench.peer(B).session, Some(SessionId(1)), "the session lives");
}

#[test]
fn unknown_attributes_are_carried_over_two_borders_if_they_are_transitive() {
    let mut bench = Bench::new();
    bench.feed(rules(&["*.*>globex.example", "*<initech.example"]));
    bench.feed(peer("gw.initech.example", Some(agreement("initech.example", Role::Customer, 10, 9999))));
    bench.feed(peer("gw.globex.example", Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.up(1, "gw.initech.example");
    bench.up(2, "gw.globex.example");
    bench.internal(3, B);
    let org_path = attr(kind::ORG_PATH, 0, &[&[1, 15], &b"initech.example"[..]].concat());
    let kept = attr(4_000, OPTIONAL | TRANSITIVE, b"carry me");
    let dropped = attr(4_001, OPTIONAL, b"not me");
    bench.frame(1, update("stock.initech.example", &[org_path, kept, dropped]));
    for session in [2, 3] {
        let raw = bench.remote(session).table.values().next().unwrap();
        let unknown: Vec<_> = Attrs::read(raw).unwrap().unknown.iter().collect();
        assert_eq!(unknown, [(4_000, OPTIONAL | TRANSITIVE, &b"carry me"[..])], "session {session}");
    }
}
