//! Attributes: there and back, what is skipped, what is carried on, what spoils the route.

use std::string::ToString;
use std::vec::Vec;

use catalyst_names::Protocol;
use proptest::prelude::*;

use super::kit::{attr, names, path, post};
use super::model::{noise, route};
use crate::attr::{DEFAULT_WEIGHT, OPTIONAL, TRANSITIVE, kind};
use crate::{AttrError, Attrs, Full, Health, Path, WellKnown, Writer};

/// The first type that this version does not know.
const NEW: u16 = kind::ATTESTATION + 1;

fn write(attrs: &Attrs<'_>) -> Vec<u8> {
    let mut buf = [0xaa; 8192];
    let mut out = Writer::new(&mut buf);
    attrs.write(&mut out).unwrap();
    out.written().to_vec()
}

proptest! {
    #[test]
    fn attributes_survive_the_wire(route in route(), noise in noise()) {
        let sent = route.encode(&noise);
        let attrs = Attrs::read(&sent).unwrap();
        route.assert_known(&attrs);
        let unknown: Vec<_> = attrs.unknown.iter().map(|(c, f, v)| (c, f, v.to_vec())).collect();
        assert_eq!(unknown, route.unknown.clone());
        assert_eq!(write(&attrs), route.canonical(), "and are passed on as postcard would write them");
    }

    #[test]
    fn equal_routes_give_equal_bytes(route in route(), a in noise(), b in noise()) {
        let (one, other) = (route.encode(&a), route.encode(&b));
        let (one, other) = (Attrs::read(&one).unwrap(), Attrs::read(&other).unwrap());
        assert_eq!(one, other);
        assert_eq!(write(&one), write(&other));
    }

    #[test]
    fn unequal_routes_give_unequal_bytes(a in route(), b in route()) {
        let (a, b) = (a.canonical(), b.canonical());
        let (one, other) = (Attrs::read(&a).unwrap(), Attrs::read(&b).unwrap());
        assert_eq!(one == other, write(&one) == write(&other));
    }

    #[test]
    fn attributes_cut_short_are_no_panic_and_no_route(route in route(), noise in noise()) {
        let bytes = route.encode(&noise);
        for end in 0..bytes.len() {
            // A cut between two attributes leaves a shorter, sound list.
            if let Ok(attrs) = Attrs::read(&bytes[..end]) {
                assert!(write(&attrs).len() <= end);
            }
        }
    }

    #[test]
    fn a_buffer_that_ends_early_is_full(route in route()) {
        let bytes = route.canonical();
        let attrs = Attrs::read(&bytes).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(attrs.write(&mut Writer::new(&mut vec![0; end])), Err(Full));
        }
    }
}

#[test]
fn defaults_take_no_bytes() {
    assert_eq!(write(&Attrs::default()), []);
    assert_eq!(Attrs::read(&[]), Ok(Attrs::default()));
    let spelled_out = [
        attr(kind::PROTOCOL, 0, &[0]),
        attr(kind::ORG_PATH, 0, &names(&[])),
        attr(kind::NODE_PATH, 0, &names(&[])),
        attr(kind::COST, 0, &[0]),
        attr(kind::WEIGHT, 0, &post(&DEFAULT_WEIGHT)),
        attr(kind::TAGS, 0, &names(&[])),
        attr(kind::WELL_KNOWN, 0, &[0]),
        attr(kind::HEALTH, 0, &[0]),
    ]
    .concat();
    assert_eq!(Attrs::read(&spelled_out), Ok(Attrs::default()));
    // Absent is not zero: these three have no default value.
    for attrs in [
        Attrs { local_pref: Some(0), ..Attrs::default() },
        Attrs { schema_digest: Some([0; 32]), ..Attrs::default() },
        Attrs { attestation: Some(&[]), ..Attrs::default() },
    ] {
        let bytes = write(&attrs);
        assert_ne!(bytes, []);
        assert_eq!(Attrs::read(&bytes), Ok(attrs));
    }
}

#[test]
fn every_attribute_is_written_where_it_differs() {
    let attrs = Attrs {
        protocol: Protocol::HttpGrpc,
        org_path: path(&["b.example", "acme.example"]),
        node_path: Path::one("edge-1"),
        local_pref: Some(300),
        cost: 7,
        weight: 0,
        tags: path(&["acme.example:gold"]),
        well_known: WellKnown(WellKnown::NO_EXPORT | 1 << 31),
        health: Health::Down,
        only_to_customer: Some("acme.example"),
        schema_digest: Some([9; 32]),
        attestation: Some(b"proof"),
        ..Attrs::default()
    };
    let bytes = write(&attrs);
    assert_eq!(Attrs::read(&bytes), Ok(attrs));
    assert!(attrs.well_known.has(WellKnown::NO_EXPORT) && !attrs.well_known.has(WellKnown::STALE));
    let mut reader = crate::Reader::new(&bytes);
    for code in 1..=kind::ATTESTATION {
        assert_eq!(reader.u16(), Ok(code), "in ascending order, each once");
        assert_eq!(reader.u8(), Ok(0), "without flags");
        reader.bytes(usize::MAX).unwrap();
    }
    assert!(reader.is_empty());
}

#[test]
fn unknown_optional_attributes_are_skipped_and_transitive_ones_carried_on() {
    let sent = [
        attr(kind::COST, 0, &[5]),
        attr(NEW, OPTIONAL, b"dropped"),
        attr(NEW + 1, OPTIONAL | TRANSITIVE, b"carried"),
        attr(NEW + 2, OPTIONAL | TRANSITIVE | 0xf0, b"with flags of its own"),
        attr(u16::MAX, OPTIONAL, b""),
    ]
    .concat();
    let attrs = Attrs::read(&sent).unwrap();
    assert_eq!(attrs.cost, 5);
    assert_eq!(attrs.unknown.iter().count(), 4);
    let changed = Attrs { cost: 6, node_path: Path::one("edge-1"), ..attrs };
    let passed_on = [
        attr(kind::NODE_PATH, 0, &names(&["edge-1"])),
        attr(kind::COST, 0, &[6]),
        attr(NEW + 1, OPTIONAL | TRANSITIVE, b"carried"),
        attr(NEW + 2, OPTIONAL | TRANSITIVE | 0xf0, b"with flags of its own"),
    ]
    .concat();
    assert_eq!(write(&changed), passed_on);
}

#[test]
fn unknown_mandatory_attributes_spoil_the_route() {
    for flags in [0, TRANSITIVE, 0xfc] {
        let sent = [attr(kind::COST, 0, &[5]), attr(NEW + 3, flags, b"x")].concat();
        assert_eq!(Attrs::read(&sent), Err(AttrError::Unknown(NEW + 3)), "{flags}");
    }
    let sent = [attr(NEW, OPTIONAL, b"x"), attr(NEW + 1, 0, b"x")].concat();
    assert_eq!(Attrs::read(&sent), Err(AttrError::Unknown(NEW + 1)));
}

#[test]
fn twice_or_out_of_order_spoils_the_route() {
    let (cost, weight) = (attr(kind::COST, 0, &[5]), attr(kind::WEIGHT, 0, &[5]));
    let new = |n| attr(NEW + n, OPTIONAL, &[]);
    let read = |parts: &[&[u8]]| Attrs::read(&parts.concat()).map(|_| ());
    assert_eq!(read(&[&cost, &weight, &new(0), &new(1)]), Ok(()));
    assert_eq!(read(&[&weight, &cost]), Err(AttrError::Order(kind::COST)));
    assert_eq!(read(&[&cost, &cost]), Err(AttrError::Order(kind::COST)));
    assert_eq!(read(&[&new(1), &new(0)]), Err(AttrError::Order(NEW)));
    assert_eq!(read(&[&new(0), &new(0)]), Err(AttrError::Order(NEW)));
    assert_eq!(read(&[&new(0), &cost]), Err(AttrError::Order(kind::COST)));
    assert_eq!(read(&[&attr(0, OPTIONAL, &[])]), Err(AttrError::Order(0)), "types count from 1");
}

#[test]
fn bad_values_spoil_the_route() {
    let bad_value = |code: u16, value: &[u8]| {
        assert_eq!(Attrs::read(&attr(code, 0, value)), Err(AttrError::Value(code)), "{value:?}");
        // A flag does not make a known type optional.
        assert_eq!(Attrs::read(&attr(code, OPTIONAL | TRANSITIVE, value)), Err(AttrError::Value(code)));
    };
    for code in 1..=kind::ATTESTATION {
        bad_value(code, &[]);
    }
    for code in [kind::LOCAL_PREF, kind::COST, kind::WELL_KNOWN] {
        bad_value(code, &post(&(u64::from(u32::MAX) + 1)));
        bad_value(code, &[0x80, 0]);
    }
    bad_value(kind::WEIGHT, &post(&65_536u32));
    bad_value(kind::PROTOCOL, &[Protocol::ALL.len() as u8]);
    bad_value(kind::HEALTH, &[2]);
    bad_value(kind::SCHEMA_DIGEST, &[0; 31]);
    bad_value(kind::ATTESTATION, &[3, 1, 2]);
    for org in ["", ".", "Acme.example", "acme..example", "acme.example.", "-a", "a b", "a\n"] {
        bad_value(kind::ONLY_TO_CUSTOMER, &post(org));
        bad_value(kind::ORG_PATH, &names(&["good.example", org]));
    }
    for node in ["", "edge.1", "Edge", "edge_1", "edge-"] {
        bad_value(kind::NODE_PATH, &names(&["good", node]));
    }
    for tag in ["", "gold", "acme.example:", ":gold", "acme.example:a.b", "acme.example:a:b", "Acme:gold"] {
        bad_value(kind::TAGS, &names(&["acme.example:good", tag]));
    }
    bad_value(kind::ORG_PATH, &[1, 2, 0xc3, 0x28]);
    bad_value(kind::ORG_PATH, &[2, 1, b'a']);
}

#[test]
fn broken_framing_spoils_the_route() {
    for bytes in [
        &[1][..],                // no flags
        &[1, 0],                 // no length
        &[1, 0, 2, 0],           // a length beyond the end
        &[0x81, 0, 0, 1, 0],     // a type in a longer form
        &[1, 0, 0x81, 0, 0],     // a length in a longer form
        &[0xff, 0xff, 4, 1, 0],  // a type beyond 16 bits
        &[13, 1, 0xff, 0xff, 1], // an unknown type whose value is not there
        &[13, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ] {
        assert_eq!(Attrs::read(bytes), Err(AttrError::Framing), "{bytes:?}");
    }
}

#[test]
fn a_known_value_may_have_a_tail() {
    let bytes = [
        attr(kind::PROTOCOL, 0, &[1, 0xff]),
        attr(kind::NODE_PATH, 0, &[&names(&["edge-1"])[..], &[7; 9]].concat()),
        attr(kind::SCHEMA_DIGEST, 0, &[3; 40]),
    ]
    .concat();
    let want = Attrs {
        protocol: Protocol::Udp,
        node_path: Path::one("edge-1"),
        schema_digest: Some([3; 32]),
        ..Attrs::default()
    };
    assert_eq!(Attrs::read(&bytes), Ok(want));
}

#[test]
fn errors_name_the_attribute() {
    assert_eq!(AttrError::Order(5).to_string(), "attribute 5 stands twice or out of order");
    assert_eq!(AttrError::Value(5).to_string(), "attribute 5 has a bad value");
    assert_eq!(AttrError::Unknown(99).to_string(), "attribute 99 is unknown and not optional");
    assert_eq!(AttrError::Framing.to_string(), "the attributes are cut short");
}
