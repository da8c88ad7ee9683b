use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::{OrgId, ServiceLabel};
use proptest::prelude::*;

use crate::*;

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

fn facts<'a>(relation: Option<Relation>, path: &'a [&'a str], service_org: &'a str) -> ImportFacts<'a> {
    ImportFacts {
        own_org: "acme.example",
        neighbour_org: "globex.example",
        relation,
        label: "orders",
        service_org,
        first_org: path.first().copied(),
        last_org: path.last().copied(),
        local_pref: None,
    }
}

fn allow(label: &str) -> [ImportRule; 1] {
    [ImportRule {
        service: Pattern::Label(ServiceLabel::parse(label).unwrap()),
        from: "globex.example".parse().unwrap(),
    }]
}

#[test]
fn import_denies_by_default() {
    let peer = Some(Relation::External(Role::Peer));
    let ok = facts(peer, &["globex.example"], "globex.example");
    assert_eq!(import(&[], &ok), Err(Denied::NotImported));
    assert_eq!(import(&allow("stock"), &ok), Err(Denied::NotImported));
    assert_eq!(import(&allow("orders"), &ok), Ok(200));
    assert_eq!(import(&allow("orders"), &ImportFacts { relation: None, ..ok }), Err(Denied::NoAgreement));
}

#[test]
fn import_refuses_forged_paths() {
    let peer = Some(Relation::External(Role::Peer));
    let rules = [ImportRule { service: Pattern::Any, from: "globex.example".parse().unwrap() }];
    let cases: [(&[&str], &str, Denied); 4] = [
        (&[], "acme.example", Denied::ForgedPath),
        (&[], "globex.example", Denied::ForgedPath),
        (&["globex.example"], "acme.example", Denied::ForgedPath),
        (&["globex.example", "initech.example"], "initech.example", Denied::NoTransit),
    ];
    for (path, org, want) in cases {
        assert_eq!(import(&rules, &facts(peer, path, org)), Err(want), "{path:?} {org}");
    }
}

#[test]
fn local_pref_follows_the_role() {
    for (role, pref) in [(Role::Customer, 300), (Role::Peer, 200), (Role::Provider, 100)] {
        let mut f = facts(Some(Relation::External(role)), &["globex.example"], "globex.example");
        // What a stranger says of local_pref counts for nothing.
        f.local_pref = Some(9999);
        assert_eq!(import(&allow("orders"), &f), Ok(pref));
    }
    let mut own = facts(Some(Relation::Internal), &[], "acme.example");
    assert_eq!(import(&[], &own), Ok(400));
    own.local_pref = Some(150);
    assert_eq!(import(&[], &own), Ok(150));
}

#[test]
fn export_denies_by_default() {
    let rule = [ExportRule { service: Pattern::Any, to: "globex.example".parse().unwrap() }];
    let base = ExportFacts {
        to_org: "globex.example",
        relation: Some(Relation::External(Role::Peer)),
        label: "inventory",
        foreign: false,
        no_export: false,
    };
    assert_eq!(export(&[], &base), Err(Denied::NotExported));
    assert_eq!(export(&rule, &base), Ok(()));
    assert_eq!(export(&rule, &ExportFacts { to_org: "initech.example", ..base }), Err(Denied::NotExported));
    assert_eq!(export(&rule, &ExportFacts { foreign: true, ..base }), Err(Denied::NoTransit));
    assert_eq!(export(&rule, &ExportFacts { no_export: true, ..base }), Err(Denied::NoExport));
    assert_eq!(export(&rule, &ExportFacts { relation: None, ..base }), Err(Denied::NoAgreement));
    let internal = ExportFacts { relation: Some(Relation::Internal), foreign: true, no_export: true, ..base };
    assert_eq!(export(&[], &internal), Ok(()));
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
