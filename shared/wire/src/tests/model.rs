//! Routes as owned values with an encoder of their own, over `postcard`: what this crate is compared with.

use std::string::String;
use std::vec::Vec;

use catalyst_names::Protocol;
use proptest::prelude::*;

use super::kit::{attr, post};
use crate::attr::{DEFAULT_WEIGHT, OPTIONAL, TRANSITIVE, kind};
use crate::{Attrs, Health};

/// A route, owned.
#[derive(Clone, Debug)]
pub struct Route {
    pub service: String,
    pub origin: String,
    pub protocol: Protocol,
    pub org_path: Vec<String>,
    pub node_path: Vec<String>,
    pub local_pref: Option<u32>,
    pub cost: u32,
    pub weight: u16,
    pub tags: Vec<String>,
    pub well_known: u32,
    pub down: bool,
    pub only_to_customer: Option<String>,
    pub schema_digest: Option<[u8; 32]>,
    pub attestation: Option<Vec<u8>>,
    pub unknown: Vec<(u16, u8, Vec<u8>)>,
}

/// What a sender of another version may add to an attribute without changing the route.
#[derive(Clone, Debug)]
pub struct Noise {
    /// Flags of the known types.
    pub flags: u8,
    /// Stands behind each known value.
    pub tail: Vec<u8>,
    /// Values that equal their default are written all the same.
    pub explicit: bool,
}

impl Noise {
    pub const NONE: Noise = Noise { flags: 0, tail: Vec::new(), explicit: false };
}

impl Route {
    /// The attributes as a receiver must pass them on.
    pub fn canonical(&self) -> Vec<u8> {
        let mut carried = self.clone();
        carried.unknown.retain(|(_, flags, _)| flags & TRANSITIVE != 0);
        carried.encode(&Noise::NONE)
    }

    /// The attributes as a sender may write them.
    pub fn encode(&self, noise: &Noise) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |code: u16, differs: bool, value: Vec<u8>| {
            if differs || noise.explicit {
                out.extend(attr(code, noise.flags, &[value, noise.tail.clone()].concat()));
            }
        };
        put(kind::PROTOCOL, self.protocol != Protocol::Tcp, vec![self.protocol.code()]);
        put(kind::ORG_PATH, !self.org_path.is_empty(), post(&*self.org_path));
        put(kind::NODE_PATH, !self.node_path.is_empty(), post(&*self.node_path));
        if let Some(pref) = self.local_pref {
            put(kind::LOCAL_PREF, true, post(&pref));
        }
        put(kind::COST, self.cost != 0, post(&self.cost));
        put(kind::WEIGHT, self.weight != DEFAULT_WEIGHT, post(&self.weight));
        put(kind::TAGS, !self.tags.is_empty(), post(&*self.tags));
        put(kind::WELL_KNOWN, self.well_known != 0, post(&self.well_known));
        put(kind::HEALTH, self.down, vec![u8::from(self.down)]);
        if let Some(org) = &self.only_to_customer {
            put(kind::ONLY_TO_CUSTOMER, true, post(&**org));
        }
        if let Some(digest) = &self.schema_digest {
            put(kind::SCHEMA_DIGEST, true, post(digest));
        }
        if let Some(reference) = &self.attestation {
            put(kind::ATTESTATION, true, post(&**reference));
        }
        for (code, flags, value) in &self.unknown {
            out.extend(attr(*code, *flags, value));
        }
        out
    }

    /// Asserts that `attrs` says the same, whatever became of the unknown ones.
    pub fn assert_known(&self, attrs: &Attrs<'_>) {
        assert_eq!(attrs.protocol, self.protocol);
        assert_eq!(attrs.org_path.iter().collect::<Vec<_>>(), self.org_path);
        assert_eq!(attrs.node_path.iter().collect::<Vec<_>>(), self.node_path);
        assert_eq!(attrs.local_pref, self.local_pref);
        assert_eq!(attrs.cost, self.cost);
        assert_eq!(attrs.weight, self.weight);
        assert_eq!(attrs.tags.iter().collect::<Vec<_>>(), self.tags);
        assert_eq!(attrs.well_known.0, self.well_known);
        assert_eq!(attrs.health, if self.down { Health::Down } else { Health::Up });
        assert_eq!(attrs.only_to_customer, self.only_to_customer.as_deref());
        assert_eq!(attrs.schema_digest, self.schema_digest);
        assert_eq!(attrs.attestation, self.attestation.as_deref());
    }
}

/// One DNS label.
pub fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?"
}

/// An organisation.
pub fn org() -> impl Strategy<Value = String> {
    proptest::collection::vec(label(), 1..4).prop_map(|labels| labels.join("."))
}

/// `service.org`.
pub fn service() -> impl Strategy<Value = String> {
    (label(), org()).prop_map(|(service, org)| format!("{service}.{org}"))
}

fn tag() -> impl Strategy<Value = String> {
    (org(), label()).prop_map(|(org, tag)| format!("{org}:{tag}"))
}

fn unknown() -> impl Strategy<Value = Vec<(u16, u8, Vec<u8>)>> {
    let one = (
        kind::ATTESTATION + 1..=u16::MAX,
        any::<u8>().prop_map(|flags| flags | OPTIONAL),
        proptest::collection::vec(any::<u8>(), 0..40),
    );
    proptest::collection::vec(one, 0..4).prop_map(|mut list| {
        list.sort_by_key(|(code, ..)| *code);
        list.dedup_by_key(|(code, ..)| *code);
        list.retain(|(code, ..)| *code != kind::SEQNOS);
        list
    })
}

/// Values with few bits as often as with many.
pub fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
}

fn small_number() -> impl Strategy<Value = u32> {
    number().prop_map(|n| n as u32)
}

/// Any route within the limits.
pub fn route() -> impl Strategy<Value = Route> {
    let protocol = proptest::sample::select(Protocol::ALL.to_vec());
    let lists = (
        proptest::collection::vec(org(), 0..5),
        proptest::collection::vec(label(), 0..5),
        proptest::collection::vec(tag(), 0..4),
    );
    let numbers =
        (proptest::option::of(small_number()), small_number(), any::<u16>(), small_number(), any::<bool>());
    let rest = (
        proptest::option::of(org()),
        proptest::option::of(any::<[u8; 32]>()),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        unknown(),
    );
    (service(), label(), protocol, lists, numbers, rest).prop_map(
        |(service, origin, protocol, lists, numbers, rest)| {
            let (org_path, node_path, tags) = lists;
            let (local_pref, cost, weight, well_known, down) = numbers;
            let (only_to_customer, schema_digest, attestation, unknown) = rest;
            Route {
                service,
                origin,
                protocol,
                org_path,
                node_path,
                local_pref,
                cost,
                weight,
                tags,
                well_known,
                down,
                only_to_customer,
                schema_digest,
                attestation,
                unknown,
            }
        },
    )
}

/// Any noise.
pub fn noise() -> impl Strategy<Value = Noise> {
    (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..6), any::<bool>())
        .prop_map(|(flags, tail, explicit)| Noise { flags, tail, explicit })
}
