//! Statements that an organisation signs with its root, for all its nodes to check.
//!
//! What is signed begins with the caller's `domain`, so that a signature made for one purpose is worth nothing for another.

use rcgen::SigningKey;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::bundle::TrustBundle;
use crate::error::IdentityError;
use crate::root::OrgRoot;
use crate::x509;

impl OrgRoot {
    /// Signs a statement: ECDSA on P-256 with SHA-256, in DER.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn sign_statement(&self, domain: &[u8], statement: &[u8]) -> Result<Vec<u8>, IdentityError> {
        self.signer()
            .sign(&[domain, statement].concat())
            .map_err(|e| IdentityError::Crypto { doing: "sign a statement", reason: e.to_string() })
    }
}

impl TrustBundle {
    /// Whether one of the roots has signed the statement.
    #[must_use]
    pub fn has_signed(&self, domain: &[u8], statement: &[u8], signature: &[u8]) -> bool {
        let message = [domain, statement].concat();
        self.roots().any(|der| {
            x509::parse(der, "root").is_ok_and(|root| {
                let point = root.public_key().subject_public_key.data.as_ref();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&message, signature).is_ok()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_for_the_purpose_and_the_very_bytes() {
        let root = OrgRoot::generate(&"acme.example".parse().unwrap(), 1_800_000_000).unwrap();
        let other = OrgRoot::generate(&"acme.example".parse().unwrap(), 1_800_000_000).unwrap();
        let (bundle, foreign) = (root.bundle().unwrap(), other.bundle().unwrap());
        let good = root.sign_statement(b"a/1\0", b"edge-1").unwrap();
        assert!(bundle.has_signed(b"a/1\0", b"edge-1", &good));
        assert!(!foreign.has_signed(b"a/1\0", b"edge-1", &good), "a root of the same name is another root");
        assert!(!bundle.has_signed(b"b/1\0", b"edge-1", &good));
        assert!(!bundle.has_signed(b"a/1\0", b"edge-2", &good));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(!bundle.has_signed(b"a/1\0", b"edge-1", &bad));
        }
        assert!(!bundle.has_signed(b"a/1\0", b"edge-1", &[]));
        let both = TrustBundle::from_pem(&(bundle.to_pem() + &foreign.to_pem())).unwrap();
        assert!(
            both.has_signed(b"a/1\0", b"edge-1", &good),
            "while one root follows another, either may sign"
        );
    }
}
