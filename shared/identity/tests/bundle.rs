//! Trust bundles and the store that holds them.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use catalyst_identity::{Fingerprint, IdentityError, Limits, OrgRoot, TrustBundle, TrustStore};
use common::{NOW, enrol, leaf_params, org, pair, root};
use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};

/// A self-signed CA certificate with any URI names.
fn ca(uris: &[&str], usages: Vec<KeyUsagePurpose>) -> String {
    let mut params = leaf_params(uris);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = usages;
    params.self_signed(&pair()).unwrap().pem()
}

fn refused(text: &str) -> IdentityError {
    TrustBundle::from_pem(text).unwrap_err()
}

#[test]
fn a_bundle_knows_its_organisation_and_survives_its_pem() {
    let (first, second) = (root("acme.example"), root("acme.example"));
    let one = TrustBundle::from_pem(&first.certificate_pem()).unwrap();
    assert_eq!(one.org(), &org("acme.example"));
    assert_eq!(one.to_pem(), first.certificate_pem());

    let ways = [
        first.certificate_pem() + &second.certificate_pem(),
        second.certificate_pem() + &first.certificate_pem(),
        format!("# acme\n{}\nnext:\r\n{0}{}", second.certificate_pem(), first.certificate_pem()),
    ];
    let bundles = ways.map(|text| TrustBundle::from_pem(&text).unwrap());
    for b in &bundles {
        assert_eq!(b.roots().len(), 2, "each root once");
        assert_eq!(b, &bundles[0], "order does not matter");
        assert_eq!(b.to_pem(), bundles[0].to_pem());
        assert_eq!(b.fingerprint(), bundles[0].fingerprint());
        assert_eq!(&TrustBundle::from_pem(&b.to_pem()).unwrap(), b);
    }
    assert_ne!(one, bundles[0]);
    assert_ne!(one.fingerprint(), bundles[0].fingerprint());
}

#[test]
fn fingerprints_are_what_openssl_prints() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Fingerprint::of(b"").to_string(), empty);
    assert_eq!(format!("{:?}", Fingerprint::of(b"")), empty);
    assert_eq!(empty.parse::<Fingerprint>().unwrap(), Fingerprint::of(b""));
    let colons =
        "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55\n";
    assert_eq!(colons.parse::<Fingerprint>().unwrap(), Fingerprint::of(b""));
    for bad in ["", "sha256:", &empty[..70], &format!("{empty}0"), "sha1:00", &empty.replace('e', "g"), "☃"]
    {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
    let acme = root("acme.example");
    let bundle = acme.bundle().unwrap();
    let der = bundle.roots().next().unwrap();
    assert_eq!(bundle.fingerprint(), Fingerprint::of(der));
    assert_eq!(bundle.fingerprints().collect::<Vec<_>>(), vec![Fingerprint::of(der)]);
}

#[test]
fn a_bundle_holds_roots_of_one_organisation_and_nothing_else() {
    let (acme, globex) = (root("acme.example"), root("globex.example"));
    let mixed = refused(&(acme.certificate_pem() + &globex.certificate_pem()));
    assert_eq!(
        mixed,
        IdentityError::MixedBundle {
            first: Box::new(org("acme.example")),
            second: Box::new(org("globex.example"))
        }
    );
    let why = refused(&(acme.certificate_pem() + &enrol(&acme, "edge-1").chain_pem()));
    assert!(why.to_string().contains("not the certificate of a node"), "{why}");
    let why = refused(&(acme.certificate_pem() + acme.key_pem().expose()));
    assert_eq!(why, IdentityError::Foreign { what: "trust bundle", found: "private key" });
    let sign = || vec![KeyUsagePurpose::KeyCertSign];
    TrustBundle::from_pem(&ca(&["spiffe://acme.example"], sign())).unwrap();
    TrustBundle::from_pem(&ca(&["spiffe://acme.example"], vec![])).unwrap();
    for (uris, usages) in [
        (&[][..], sign()),
        (&["spiffe://acme.example/"], sign()),
        (&["spiffe://acme.example/node/edge-1"], sign()),
        (&["spiffe://acme.example", "spiffe://globex.example"], sign()),
        (&["https://acme.example"], sign()),
        (&["spiffe://Acme.example"], sign()),
        (&["spiffe://acme.example"], vec![KeyUsagePurpose::DigitalSignature]),
    ] {
        let why = refused(&ca(uris, usages));
        assert!(matches!(why, IdentityError::NotARoot { .. }), "{uris:?}: {why:?}");
    }
    for empty in ["", "\n\n", "hello"] {
        assert_eq!(refused(empty), IdentityError::Missing { what: "trust bundle", label: "CERTIFICATE" });
    }
    let cut = acme.certificate_pem();
    assert!(matches!(refused(&cut[..cut.len() / 2]), IdentityError::Pem { .. }));
}

#[test]
fn bundles_have_limits() {
    let roots: Vec<String> = (0..=Limits::ROOTS).map(|_| root("acme.example").certificate_pem()).collect();
    TrustBundle::from_pem(&roots[..Limits::ROOTS].concat()).unwrap();
    assert!(matches!(refused(&roots.concat()), IdentityError::TooMuch { size: 9, max: 8, .. }));
    let padded = " ".repeat(Limits::PEM) + &roots[0];
    assert!(matches!(refused(&padded), IdentityError::TooMuch { unit: "bytes", .. }));
    let fat = pem::encode(&pem::Pem::new("CERTIFICATE", vec![0; Limits::CERTIFICATE + 1]));
    assert!(matches!(refused(&fat), IdentityError::TooMuch { size: 4097, max: 4096, .. }));
}

#[test]
fn the_store_is_shared_and_bounded() {
    let store = TrustStore::new(Limits { organisations: 2 });
    let other_hand = store.clone();
    let (a, b, c) = (root("a.example"), root("b.example"), root("c.example"));
    assert_eq!(store.insert(a.bundle().unwrap()).unwrap(), None);
    assert_eq!(store.insert(b.bundle().unwrap()).unwrap(), None);
    assert_eq!(other_hand.bundle(&org("a.example")).as_deref(), Some(&a.bundle().unwrap()));
    let why = store.insert(c.bundle().unwrap()).unwrap_err();
    assert_eq!(why, IdentityError::StoreFull { org: Box::new(org("c.example")), max: 2 });
    assert!(store.bundle(&org("c.example")).is_none());
    // Full does not mean frozen: a known organisation may change its roots, and one may go.
    let newer = OrgRoot::generate(&org("a.example"), NOW).unwrap();
    let old = store.insert(newer.bundle().unwrap()).unwrap();
    assert_eq!(old.as_deref(), Some(&a.bundle().unwrap()));
    assert!(other_hand.remove(&org("b.example")).is_some());
    assert!(store.remove(&org("b.example")).is_none());
    store.insert(c.bundle().unwrap()).unwrap();
    let held: Vec<String> = store.bundles().iter().map(|b| b.org().to_string()).collect();
    assert_eq!(held, ["a.example", "c.example"]);
    assert!(Limits { organisations: usize::MAX }.max_bytes() == usize::MAX, "it saturates");
}
