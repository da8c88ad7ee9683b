use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::OrgId;
use proptest::prelude::*;

use crate::*;

mod changes;
mod decide;

fn party(org: &str, role: Role) -> Party {
    Party {
        org: org.parse().unwrap(),
        role,
        max_services: 100,
        max_bytes: 65536,
        bundle: heapless::Vec::from_slice(&[Fingerprint([7; 32])]).unwrap(),
        contact: heapless::String::try_from("ops@acme.example").unwrap(),
    }
}

fn canonical(a: &Agreement) -> String {
    let mut out = String::new();
    a.write_canonical(&mut out).unwrap();
    out
}

#[test]
fn both_sides_hold_the_same_bytes() {
    let (a, b) = (party("acme.example", Role::Customer), party("globex.example", Role::Provider));
    let one = Agreement::new(a.clone(), b.clone()).unwrap();
    let two = Agreement::new(b, a).unwrap();
    assert_eq!(one.digest(), two.digest());
    let text = canonical(&one);
    assert!(text.starts_with("{\"parties\":[{\"bundle\":[\"sha256:0707"), "{text}");
    assert!(text.ends_with("\"org\":\"globex.example\",\"role\":\"provider\"}],\"version\":1}"), "{text}");
    // The canonical form is JSON, and writing it again from a JSON parser with sorted keys gives the same bytes.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value.to_string(), text);
}

#[test]
fn the_largest_agreement_fits() {
    let mut big = party("a", Role::Peer);
    big.org = OrgId::parse(&["a".repeat(49), "b".repeat(50)].join(".")).unwrap();
    big.max_bytes = u32::MAX;
    big.max_services = u32::MAX;
    big.bundle = heapless::Vec::from_slice(&[Fingerprint([1; 32]); 4]).unwrap();
    big.contact = heapless::String::try_from("x".repeat(Limits::CONTACT).as_str()).unwrap();
    let mut other = big.clone();
    other.org = "globex.example".parse().unwrap();
    assert!(canonical(&Agreement::new(big, other).unwrap()).len() <= Limits::AGREEMENT);
}

#[test]
fn bad_agreements_are_refused() {
    let acme = party("acme.example", Role::Customer);
    assert_eq!(Agreement::new(acme.clone(), acme.clone()), Err(AgreementError::SameOrg));
    let wrong = party("globex.example", Role::Customer);
    assert_eq!(
        Agreement::new(acme.clone(), wrong),
        Err(AgreementError::Roles(Role::Customer, Role::Customer))
    );
    let mut quote = party("globex.example", Role::Provider);
    quote.contact = heapless::String::try_from("a\"b").unwrap();
    assert_eq!(Agreement::new(acme, quote), Err(AgreementError::Contact));
}

#[test]
fn a_change_of_any_term_changes_the_digest() {
    let base = || (party("acme.example", Role::Peer), party("globex.example", Role::Peer));
    let digest = |(a, b)| Agreement::new(a, b).unwrap().digest();
    let mut seen = Vec::from([digest(base())]);
    let mut differs = |change: &dyn Fn(&mut Party)| {
        let mut pair = base();
        change(&mut pair.0);
        let d = digest(pair);
        assert!(!seen.contains(&d));
        seen.push(d);
    };
    differs(&|p| p.max_services += 1);
    differs(&|p| p.max_bytes += 1);
    differs(&|p| p.bundle.clear());
    differs(&|p| p.contact.clear());
    differs(&|p| p.org = "acme2.example".parse().unwrap());
}

#[test]
fn border_origins_are_opaque_and_stable() {
    let id = border_origin(&[1; 32], &[2; 32], "edge-1");
    assert_eq!(id, border_origin(&[1; 32], &[2; 32], "edge-1"));
    assert_ne!(id, border_origin(&[9; 32], &[2; 32], "edge-1"));
    assert_ne!(id, border_origin(&[1; 32], &[3; 32], "edge-1"));
    assert_ne!(id, border_origin(&[1; 32], &[2; 32], "edge-2"));
    assert_eq!(id.as_str().len(), 21);
    assert!(id.as_str().starts_with('o'));
}

proptest! {
    #[test]
    fn fingerprints_print_and_parse(bytes in any::<[u8; 32]>()) {
        let f = Fingerprint(bytes);
        prop_assert_eq!(Fingerprint::parse(&f.to_string()), Ok(f));
    }

    #[test]
    fn no_text_panics_the_fingerprint_parser(text in ".{0,90}") {
        let _ = Fingerprint::parse(&text);
    }
}
