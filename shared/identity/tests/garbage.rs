//! Whatever comes in, nothing panics and nothing untrue is believed.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::LazyLock;

use catalyst_identity::{
    Credentials, Fingerprint, JoinToken, NodeKey, OrgRoot, PeerVerifier, TrustBundle, not_after, peer_name,
    validity,
};
use common::{NOW, TestClock, enrol, node, org, root, verifier};
use proptest::collection::vec;
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;

struct Fixed {
    root: OrgRoot,
    key: NodeKey,
    csr: Vec<u8>,
    leaf: Vec<u8>,
    root_der: Vec<u8>,
    judge: PeerVerifier,
    token: String,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let root = root("acme.example");
    let key = NodeKey::generate().unwrap();
    let csr = pem::parse(key.csr(&org("acme.example"), &node("edge-1")).unwrap()).unwrap().into_contents();
    let leaf = enrol(&root, "edge-1").chain()[0].to_vec();
    let root_der = root.bundle().unwrap().roots().next().unwrap().to_vec();
    let (_, judge) = verifier(&[&root], TestClock::at(NOW));
    let address = "gateway.acme.example:7443".to_owned();
    let roots = vec![Fingerprint([7; 32])];
    let token =
        JoinToken::generate(org("acme.example"), node("edge-1"), address, roots, NOW, NOW + 60).unwrap();
    let token = token.to_text().to_string();
    Fixed { root, key, csr, leaf, root_der, judge, token }
});

/// Everything that reads text, on one text.
fn read_all(text: &str) {
    let f = &*FIXED;
    let _ = NodeKey::from_pem(text).map(|k| k.to_pem());
    let _ = TrustBundle::from_pem(text).map(|b| (b.to_pem(), b.fingerprint()));
    let _ = OrgRoot::from_pem(text, text);
    let _ = OrgRoot::from_pem(text, f.root.key_pem().expose());
    let _ = Credentials::from_pem(text, &f.key);
    let _ = not_after(text);
    let _ = validity(text).map(|v| v.half_life());
    let _ = text.parse::<Fingerprint>();
    let _ = JoinToken::from_text(text);
    assert!(f.root.sign_csr(text, None, NOW, 60).is_err());
}

fn wrap(label: &str, bytes: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, bytes))
}

/// Good bytes with some of them replaced, cut or repeated.
fn damaged(good: fn() -> &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    (vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), any::<prop::sample::Index>(), 0..4_u8).prop_map(
        move |(changes, cut, how)| {
            let mut bytes = good().to_vec();
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            match how {
                0 => bytes.truncate(cut.index(bytes.len())),
                1 => drop(bytes.remove(cut.index(bytes.len()))),
                2 => bytes.insert(cut.index(bytes.len()), 0x30),
                _ => {}
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn random_text(text in any::<String>()) {
        read_all(&text);
    }

    #[test]
    fn random_text_that_looks_like_pem(
        label in "(CERTIFICATE|PRIVATE KEY|CERTIFICATE REQUEST|EC PRIVATE KEY|X)?",
        body in "[A-Za-z0-9+/=\r\n -]{0,200}",
        end in "(-----END )?(CERTIFICATE|PRIVATE KEY|CERTIFICATE REQUEST)?(-----)?\n?",
    ) {
        read_all(&format!("-----BEGIN {label}-----\n{body}\n{end}"));
    }

    #[test]
    fn random_bytes_in_a_good_wrapping(bytes in vec(any::<u8>(), 0..400)) {
        for label in ["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE REQUEST"] {
            read_all(&wrap(label, &bytes));
        }
        let der = CertificateDer::from(bytes);
        prop_assert!(peer_name(std::slice::from_ref(&der)).is_err());
        prop_assert!(FIXED.judge.verify_client(&der, &[]).is_err());
    }

    #[test]
    fn damaged_requests(bytes in damaged(|| &FIXED.csr)) {
        prop_assume!(bytes != FIXED.csr);
        let sign = |csr: &[u8]| FIXED.root.sign_csr(&wrap("CERTIFICATE REQUEST", csr), None, NOW, 60);
        // The parser is lenient outside the signed part; what is granted may never differ.
        if let Ok(issued) = sign(&bytes) {
            prop_assert_eq!(common::grant(&issued), common::grant(&sign(&FIXED.csr).unwrap()));
        }
    }

    #[test]
    fn damaged_certificates(bytes in damaged(|| &FIXED.leaf), issuer in damaged(|| &FIXED.root_der)) {
        prop_assume!(bytes != FIXED.leaf);
        read_all(&wrap("CERTIFICATE", &bytes));
        read_all(&wrap("CERTIFICATE", &issuer));
        let (bad, issuer) = (CertificateDer::from(bytes), CertificateDer::from(issuer));
        let good = CertificateDer::from(FIXED.leaf.clone());
        prop_assert!(FIXED.judge.verify_server(&bad, &[]).is_err());
        prop_assert!(FIXED.judge.verify_client(&bad, &[issuer.clone(), bad.clone()]).is_err());
        // What a peer sends along does not change what its leaf proves.
        let name = FIXED.judge.verify_client(&good, &[issuer, bad]).unwrap();
        prop_assert_eq!(name.as_str(), "edge-1.acme.example");
    }

    #[test]
    fn damaged_tokens(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]", how in 0..4_u8) {
        let mut text = FIXED.token.clone();
        let at = at.index(text.len());
        match how {
            0 => text.truncate(at),
            1 => drop(text.remove(at)),
            2 => text.insert_str(at, &to),
            _ => text.replace_range(at..=at, &to),
        }
        prop_assume!(text != FIXED.token);
        // Nobody reads another invitation out of it: what was cut or mistyped is seen.
        prop_assert!(JoinToken::from_text(&text).is_err(), "{}", text);
    }

    #[test]
    fn random_bytes_in_the_form_of_a_token(bytes in vec(any::<u8>(), 0..300)) {
        use base64::Engine as _;
        let check = Fingerprint::of(&bytes);
        let mut all = bytes;
        all.extend(&check.0[..4]);
        let _ = JoinToken::from_text(&format!("cn1.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&all)));
    }
}
