//! Making keys and roots, and signing requests: what is granted and what is refused.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;

use catalyst_identity::{
    BACKDATE_SECS, Credentials, DEFAULT_LEAF_SECS, IdentityError, NodeKey, OrgRoot, ROOT_SECS, not_after,
    validity,
};
use common::{NOW, TestClock, enrol, forger, leaf, node, org, pair, root, verifier};
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

const EDGE: &str = "spiffe://acme.example/node/edge-1";

/// A request for any URI names, by a key of its own.
fn request(uris: &[&str]) -> String {
    request_with(uris, |_| {})
}

fn request_with(uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|u| SanType::URI((*u).try_into().unwrap())).collect();
    change(&mut params);
    params.serialize_request(&pair()).unwrap().pem().unwrap()
}

fn sign(root: &OrgRoot, csr: &str) -> Result<String, IdentityError> {
    root.sign_csr(csr, None, NOW, DEFAULT_LEAF_SECS)
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_key_survives_the_way_through_its_pem() {
    let key = NodeKey::generate().unwrap();
    let again = NodeKey::from_pem(key.to_pem().expose()).unwrap();
    assert_eq!(key.public_point(), again.public_point());
    assert_eq!(key.public_point().len(), 65);
    assert_eq!(key.to_pem().expose(), again.to_pem().expose());
    // The copy signs as the original would.
    let acme = root("acme.example");
    let cert = sign(&acme, &key.csr(&org("acme.example"), &node("edge-1")).unwrap()).unwrap();
    Credentials::from_pem(&cert, &again).unwrap();
    assert_ne!(NodeKey::generate().unwrap().public_point(), key.public_point());
}

#[test]
fn a_root_survives_the_way_through_its_pem_and_signs_the_same() {
    let first = root("acme.example");
    let again = OrgRoot::from_pem(&first.certificate_pem(), first.key_pem().expose()).unwrap();
    assert_eq!(again.org(), &org("acme.example"));
    assert_eq!(again.certificate_pem(), first.certificate_pem());
    assert_eq!(again.validity().not_before, NOW - BACKDATE_SECS);
    assert_eq!(again.validity().not_after, NOW + ROOT_SECS);
    let (_, judge) = verifier(&[&first], TestClock::at(NOW));
    for issuer in [&first, &again] {
        let name = judge.verify_client(&enrol(issuer, "edge-1").chain()[0], &[]).unwrap();
        assert_eq!(name.as_str(), "edge-1.acme.example");
    }
}

#[test]
fn a_leaf_says_exactly_what_it_should() {
    let acme = root("acme.example");
    let (before, after) = (enrol(&acme, "edge-1"), enrol(&acme, "edge-1"));
    let (_, cert) = x509_parser::parse_x509_certificate(&before.chain()[0]).unwrap();
    let san = cert.subject_alternative_name().unwrap().unwrap();
    assert_eq!(san.value.general_names, vec![GeneralName::URI(EDGE)]);
    let usage = cert.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && usage.server_auth && !usage.any && !usage.code_signing);
    assert!(!cert.is_ca());
    assert!(cert.basic_constraints().unwrap().is_some(), "it says that it is no CA");
    assert!(cert.key_usage().unwrap().unwrap().value.digital_signature());
    assert!(!cert.key_usage().unwrap().unwrap().value.key_cert_sign());
    assert_eq!(cert.validity().not_before.timestamp(), (NOW - 3600) as i64);
    assert_eq!(cert.validity().not_after.timestamp(), (NOW + DEFAULT_LEAF_SECS) as i64);
    // The ids of issuer and leaf join up, for verifiers that look at them.
    let root_pem = der(&acme.certificate_pem());
    let (_, root_cert) = x509_parser::parse_x509_certificate(&root_pem).unwrap();
    let key_id = |cert: &x509_parser::certificate::X509Certificate<'_>, of_issuer: bool| {
        cert.iter_extensions()
            .find_map(|e| match e.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) if !of_issuer => Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(a) if of_issuer => {
                    a.key_identifier.as_ref().map(|k| k.0.to_vec())
                }
                _ => None,
            })
            .unwrap()
    };
    assert_eq!(key_id(&cert, true), key_id(&root_cert, false));
    assert_eq!(cert.issuer().as_raw(), root_cert.subject().as_raw());
    let (_, other) = x509_parser::parse_x509_certificate(&after.chain()[0]).unwrap();
    assert_ne!(cert.raw_serial(), other.raw_serial());
}

#[test]
fn serials_are_random_even_for_one_request() {
    let acme = root("acme.example");
    let csr = request(&[EDGE]);
    let serials: BTreeSet<Vec<u8>> = (0..50)
        .map(|_| {
            let pem = der(&sign(&acme, &csr).unwrap());
            let (_, cert) = x509_parser::parse_x509_certificate(&pem).unwrap();
            assert!(cert.raw_serial().len() <= 20 && cert.raw_serial()[0] < 0x80, "RFC 5280 section 4.1.2.2");
            cert.raw_serial().to_vec()
        })
        .collect();
    assert_eq!(serials.len(), 50);
}

#[test]
fn lifetimes_end_with_the_root_at_the_latest() {
    let acme = root("acme.example");
    let csr = request(&[EDGE]);
    let end = |now, secs| acme.sign_csr(&csr, None, now, secs).map(|pem| not_after(&pem).unwrap());
    assert_eq!(end(NOW, 60).unwrap(), NOW + 60);
    assert_eq!(end(NOW, u64::MAX).unwrap(), NOW + ROOT_SECS);
    assert_eq!(end(NOW + ROOT_SECS, 60).unwrap(), NOW + ROOT_SECS);
    let why = end(NOW + ROOT_SECS + 1, 60).unwrap_err();
    assert!(why.to_string().contains("the root of acme.example expired at 2036-"), "{why}");
    assert!(matches!(end(NOW, 0), Err(IdentityError::Lifetime { .. })));
    assert!(matches!(end(u64::MAX, 1), Err(IdentityError::Lifetime { .. })));
    // A clock at 1970 makes a certificate of 1970, not a panic.
    let early = acme.sign_csr(&csr, None, 0, 7200).unwrap();
    assert_eq!(validity(&early).unwrap().not_before, 0);
    assert_eq!(validity(&early).unwrap().half_life(), 3600);
    // A root that would end beyond the calendar of X.509.
    assert!(matches!(OrgRoot::generate(&org("a"), u64::MAX), Err(IdentityError::Lifetime { .. })));
    assert!(matches!(OrgRoot::generate(&org("a"), 253_402_300_799), Err(IdentityError::Lifetime { .. })));
}

#[test]
fn the_longest_names_fit() {
    let long_org = format!("{}.{}", "o".repeat(63), "r".repeat(36));
    let long_node = "n".repeat(63);
    let big = OrgRoot::generate(&org(&long_org), NOW).unwrap();
    let credentials = enrol(&big, &long_node);
    let (_, judge) = verifier(&[&big], TestClock::at(NOW));
    let name = judge.verify_server(&credentials.chain()[0], &[]).unwrap();
    assert_eq!(name.as_str(), format!("{long_node}.{long_org}"));
}

#[test]
fn requests_for_other_names_are_refused() {
    let acme = root("acme.example");
    let cases: &[(&[&str], &str)] = &[
        (&[], "no name"),
        (&["spiffe://globex.example/node/edge-1"], "another organisation, globex.example"),
        (&["spiffe://acme.example/svc/inventory"], "the name of a service"),
        (&[EDGE, "spiffe://acme.example/node/edge-2"], "several names"),
        (&[EDGE, EDGE], "several names"),
        (&["spiffe://acme.example"], "cannot be used"),
        (&["spiffe://acme.example/node/"], "cannot be used"),
        (&["spiffe://acme.example/node/a/b"], "cannot be used"),
        (&["spiffe://acme.example/node/Edge"], "cannot be used"),
        (&["https://acme.example/node/edge-1"], "cannot be used"),
    ];
    for (uris, expected) in cases {
        let why = sign(&acme, &request(uris)).unwrap_err();
        assert!(matches!(why, IdentityError::CsrName { .. }), "{uris:?}: {why:?}");
        let text = why.to_string();
        assert!(
            text.contains(expected) && text.contains("'spiffe://acme.example/node/NAME'"),
            "{uris:?}: {text}"
        );
    }
}

#[test]
fn requests_with_foreign_alternative_names_are_refused() {
    let acme = root("acme.example");
    let others: [SanType; 3] = [
        SanType::DnsName("acme.example".try_into().unwrap()),
        SanType::Rfc822Name("root@acme.example".try_into().unwrap()),
        SanType::IpAddress([127, 0, 0, 1].into()),
    ];
    for other in others {
        for first in [true, false] {
            let at = usize::from(!first);
            let csr = request_with(&[EDGE], |p| p.subject_alt_names.insert(at, other.clone()));
            let why = sign(&acme, &csr).unwrap_err();
            assert!(
                matches!(&why, IdentityError::CsrName { found, .. } if found.contains("not a SPIFFE ID")),
                "{why}"
            );
        }
    }
    // A second extension of the same kind is no way around it: [6] is the tag of a URI name.
    let hidden = b"spiffe://acme.example/node/admin";
    let mut san = vec![0x30, hidden.len() as u8 + 2, 0x86, hidden.len() as u8];
    san.extend_from_slice(hidden);
    let csr = request_with(&[EDGE], |p| {
        p.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], san));
    });
    assert!(sign(&acme, &csr).is_err());
}

#[test]
fn requests_get_no_more_than_a_node_needs() {
    let acme = root("acme.example");
    let ca = request_with(&[EDGE], |p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    assert!(
        matches!(sign(&acme, &ca), Err(IdentityError::CsrName { found, .. }) if found == "a CA certificate")
    );
    // Wishes about usage and subject are not refused, and not granted.
    let greedy = request_with(&[EDGE], |p| {
        p.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
        p.distinguished_name.push(DnType::CommonName, "somebody else");
    });
    let pem = der(&sign(&acme, &greedy).unwrap());
    let (_, cert) = x509_parser::parse_x509_certificate(&pem).unwrap();
    assert!(!cert.key_usage().unwrap().unwrap().value.key_cert_sign());
    assert!(!cert.extended_key_usage().unwrap().unwrap().value.code_signing);
    assert_eq!(cert.subject().to_string(), "CN=edge-1");
}

#[test]
fn a_request_for_another_node_than_invited_is_refused() {
    let acme = root("acme.example");
    let csr = request(&[EDGE]);
    let why = acme.sign_csr(&csr, Some(&node("edge-2")), NOW, 60).unwrap_err();
    assert_eq!(why, IdentityError::CsrUnexpected { expected: "edge-2".into(), found: "edge-1".into() });
    acme.sign_csr(&csr, Some(&node("edge-1")), NOW, 60).unwrap();
}

#[test]
fn a_request_must_prove_that_it_holds_its_key() {
    let acme = root("acme.example");
    let good = CertificateSigningRequestDer::from_pem_slice(request(&[EDGE]).as_bytes()).unwrap();
    let wrap = |bytes: &[u8]| pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", bytes));
    let granted = common::grant(&sign(&acme, &wrap(&good)).unwrap());
    let (_, parsed) = x509_parser::certification_request::X509CertificationRequest::from_der(&good).unwrap();
    let signed = parsed.certification_request_info.raw;
    let unsigned = good.windows(signed.len()).position(|w| w == signed).unwrap() + signed.len();
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 0x01;
        // The parser is lenient about a tag outside the signed part; such a request still says the same.
        if let Ok(issued) = sign(&acme, &wrap(&bad)) {
            assert_eq!(common::grant(&issued), granted, "byte {at} changed what was granted");
            assert!(at >= unsigned, "byte {at}, which the key signs, was changed and accepted");
        }
    }
    // A signature that parses and does not fit: the last byte belongs to it.
    let mut bad = good.to_vec();
    *bad.last_mut().unwrap() ^= 0x01;
    assert_eq!(sign(&acme, &wrap(&bad)), Err(IdentityError::CsrSignature));
    // Somebody else's key under one's own name.
    let other = CertificateSigningRequestDer::from_pem_slice(request(&[EDGE]).as_bytes()).unwrap();
    let point = |csr: &[u8]| csr.windows(4).position(|w| w == [0x03, 0x42, 0x00, 0x04]).unwrap() + 3;
    let mut grafted = good.to_vec();
    let (to, from) = (point(&good), point(&other));
    grafted[to..to + 65].copy_from_slice(&other[from..from + 65]);
    assert_eq!(sign(&acme, &wrap(&grafted)), Err(IdentityError::CsrSignature));
    let mut longer = good.to_vec();
    longer.push(0);
    assert!(matches!(sign(&acme, &wrap(&longer)), Err(IdentityError::Damaged { .. })));
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let acme = root("acme.example");
    for alg in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let other = KeyPair::generate_for(alg).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(EDGE.try_into().unwrap())];
        let csr = params.serialize_request(&other).unwrap().pem().unwrap();
        assert_eq!(sign(&acme, &csr), Err(IdentityError::CsrKey));
        let why = NodeKey::from_pem(&other.serialize_pem()).unwrap_err();
        assert!(matches!(why, IdentityError::Key { .. }), "{why:?}");
    }
    for (text, expected) in [
        ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "SEC 1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "RSA"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "password"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "P-256"),
        ("", "no '-----BEGIN PRIVATE KEY-----'"),
    ] {
        let why = NodeKey::from_pem(text).unwrap_err().to_string();
        assert!(why.contains(expected), "{text:?}: {why}");
    }
    let two = |pem: &str| NodeKey::from_pem(&format!("{pem}{pem}"));
    assert!(matches!(
        two(NodeKey::generate().unwrap().to_pem().expose()),
        Err(IdentityError::Foreign { found: "second private key", .. })
    ));
}

#[test]
fn a_certificate_and_a_key_must_belong_together() {
    let acme = root("acme.example");
    let cert = enrol(&acme, "edge-1").chain_pem();
    let why = Credentials::from_pem(&cert, &NodeKey::generate().unwrap()).unwrap_err();
    assert_eq!(why, IdentityError::KeyMismatch { name: "edge-1.acme.example".into() });
    assert!(why.to_string().contains("use the key"), "{why}");
    let why =
        OrgRoot::from_pem(&acme.certificate_pem(), root("acme.example").key_pem().expose()).unwrap_err();
    assert_eq!(why, IdentityError::KeyMismatch { name: "acme.example".into() });
}

#[test]
fn credentials_name_a_node() {
    let acme = root("acme.example");
    let made = enrol(&acme, "edge-1");
    assert_eq!(made.name().as_str(), "edge-1.acme.example");
    assert_eq!(made.validity().not_after, NOW + DEFAULT_LEAF_SECS);
    assert_eq!(not_after(&made.chain_pem()).unwrap(), NOW + DEFAULT_LEAF_SECS);
    // A service's certificate, and the root's own, are not a node's.
    let (service, key) = leaf(&["spiffe://acme.example/svc/inventory"], &forger(&acme));
    let key = NodeKey::from_pem(&key.serialize_pem()).unwrap();
    let service = pem::encode(&pem::Pem::new("CERTIFICATE", service.as_ref()));
    let why = Credentials::from_pem(&service, &key).unwrap_err();
    assert_eq!(why, IdentityError::NotANode { spiffe: "spiffe://acme.example/svc/inventory".into() });
    let root_key = NodeKey::from_pem(acme.key_pem().expose()).unwrap();
    assert!(matches!(
        Credentials::from_pem(&acme.certificate_pem(), &root_key),
        Err(IdentityError::BadSpiffeId(_))
    ));
    // A certificate file with the key pasted into it.
    let mixed = made.chain_pem() + root_key.to_pem().expose();
    assert!(matches!(
        Credentials::from_pem(&mixed, &root_key),
        Err(IdentityError::Foreign { found: "private key", .. })
    ));
}

#[test]
fn only_a_root_can_be_loaded_as_a_root() {
    let acme = root("acme.example");
    let (der, key) = leaf(&[EDGE], &forger(&acme));
    let pem = pem::encode(&pem::Pem::new("CERTIFICATE", der.as_ref()));
    let why = OrgRoot::from_pem(&pem, &key.serialize_pem()).unwrap_err();
    assert!(matches!(&why, IdentityError::NotARoot { reason } if reason.contains("CA:TRUE")), "{why:?}");
    let swapped = OrgRoot::from_pem(acme.key_pem().expose(), &acme.certificate_pem()).unwrap_err();
    assert!(matches!(swapped, IdentityError::Foreign { found: "private key", .. }));
}
