//! Nodes, roots and forged certificates for the tests.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalyst_identity::{Clock, Credentials, DEFAULT_LEAF_SECS, NodeKey, OrgRoot, PeerVerifier, TrustStore};
use catalyst_names::{NodeId, OrgId};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;

/// 2026-01-01 00:00 UTC.
pub const NOW: u64 = 1_767_225_600;

/// A clock that a test sets.
#[derive(Debug)]
pub struct TestClock(pub AtomicU64);

impl TestClock {
    pub fn at(unix: u64) -> Arc<Self> {
        Arc::new(TestClock(AtomicU64::new(unix)))
    }

    pub fn set(&self, unix: u64) {
        self.0.store(unix, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn validity_unix(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub fn org(text: &str) -> OrgId {
    text.parse().unwrap()
}

pub fn node(text: &str) -> NodeId {
    text.parse().unwrap()
}

pub fn root(name: &str) -> OrgRoot {
    OrgRoot::generate(&org(name), NOW).unwrap()
}

/// A store that trusts exactly these roots, and a verifier over it at the given time.
pub fn verifier(roots: &[&OrgRoot], clock: Arc<TestClock>) -> (TrustStore, PeerVerifier) {
    let store = TrustStore::default();
    for root in roots {
        store.insert(root.bundle().unwrap()).unwrap();
    }
    (store.clone(), PeerVerifier::new(store, clock))
}

/// Credentials that a root issued to a node in the ordinary way.
pub fn enrol(root: &OrgRoot, name: &str) -> Credentials {
    let key = NodeKey::generate().unwrap();
    let csr = key.csr(root.org(), &node(name)).unwrap();
    let cert = root.sign_csr(&csr, Some(&node(name)), NOW, DEFAULT_LEAF_SECS).unwrap();
    Credentials::from_pem(&cert, &key).unwrap()
}

/// A P-256 key for certificates made outside the crate under test.
pub fn pair() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// The root's key as an issuer for certificates that the crate under test would never sign.
pub fn forger(root: &OrgRoot) -> Issuer<'static, KeyPair> {
    issuer(root.org().as_str(), KeyPair::from_pem(root.key_pem().expose()).unwrap())
}

/// An issuer with a common name.
pub fn issuer(common_name: &str, key: KeyPair) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Issuer::new(params, key)
}

/// Parameters of a leaf with any URI names, valid for a day around [`NOW`].
pub fn leaf_params(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.subject_alt_names = uris.iter().map(|u| SanType::URI((*u).try_into().unwrap())).collect();
    params.not_before = time::OffsetDateTime::from_unix_timestamp(NOW as i64 - 3600).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(NOW as i64 + 86_400).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// An intermediate with a common name and any URI names, signed by `by`.
pub fn intermediate(
    common_name: &str,
    uris: &[&str],
    by: &Issuer<'_, KeyPair>,
) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let key = pair();
    let mut params = leaf_params(uris);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.extended_key_usages.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let der = params.signed_by(&key, by).unwrap().der().clone();
    (der, issuer(common_name, key))
}

/// A leaf with any URI names, signed by `by`, with its key.
pub fn leaf(uris: &[&str], by: &Issuer<'_, KeyPair>) -> (CertificateDer<'static>, KeyPair) {
    let key = pair();
    let der = leaf_params(uris).signed_by(&key, by).unwrap().der().clone();
    (der, key)
}

/// What an issued certificate grants: its names and its public key.
pub fn grant(cert_pem: &str) -> (String, Vec<u8>) {
    let block = pem::parse(cert_pem).unwrap();
    let (_, cert) = x509_parser::parse_x509_certificate(block.contents()).unwrap();
    let names = format!("{:?}", cert.subject_alternative_name().unwrap().unwrap().value.general_names);
    (names, cert.public_key().subject_public_key.data.to_vec())
}
