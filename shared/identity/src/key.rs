//! A node's private key, on curve P-256 (Envoy refuses Ed25519 client certificates).

use std::fmt;

use catalyst_names::{NodeId, OrgId, SpiffeId};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SignatureAlgorithm, SigningKey,
};
use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::pem::SectionKind;
use zeroize::Zeroizing;

use crate::error::IdentityError;
use crate::pem_text;

const WHAT: &str = "private key";
const LABEL: &str = "PRIVATE KEY";

/// PEM text that holds a private key. It is wiped when dropped and never printed.
#[derive(Clone)]
pub struct SecretPem(Zeroizing<String>);

impl SecretPem {
    /// The text itself, to be written to a file of mode 0600 and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPem(..)")
    }
}

/// A private key on P-256. Its `Debug` never shows the key. Its PKCS #8 form is wiped when dropped; what the crypto library
/// keeps of it inside is not within reach.
pub struct NodeKey {
    pair: Pair,
}

/// A key pair of one kind alone: that of the certificate library knows RSA too, and brings all of its code.
pub(crate) struct Pair {
    ring: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl Pair {
    /// PKCS #8, in DER.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &SystemRandom::new())
            .map(|ring| Pair { ring, pkcs8: Zeroizing::new(der.to_vec()) })
            .map_err(|e| format!("Key rejected by ring: {e}"))
    }
}

impl PublicKeyData for Pair {
    fn der_bytes(&self) -> &[u8] {
        self.ring.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Pair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signed = self.ring.sign(&SystemRandom::new(), message);
        signed.map(|s| s.as_ref().to_vec()).map_err(|Unspecified| rcgen::Error::RingUnspecified)
    }
}

impl NodeKey {
    /// Makes a new key from the system's random source.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, IdentityError> {
        let failed = |reason: String| IdentityError::Crypto { doing: "make a key", reason };
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|Unspecified| failed(rcgen::Error::RingUnspecified.to_string()))?;
        let pair = Pair::from_pkcs8(der.as_ref()).map_err(failed)?;
        Ok(NodeKey { pair })
    }

    /// Reads an unencrypted PKCS#8 key (RFC 5958).
    ///
    /// # Errors
    /// Says what the text lacks; it never quotes it.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let mut found = None;
        for (kind, der) in pem_text::blocks(text, WHAT, LABEL)? {
            let der = Zeroizing::new(der);
            match kind {
                SectionKind::PrivateKey if found.is_none() => found = Some(der),
                SectionKind::PrivateKey => {
                    return Err(IdentityError::Foreign { what: WHAT, found: "second private key" });
                }
                SectionKind::EcPrivateKey => {
                    return Err(IdentityError::Key { reason: "it is in the older SEC 1 form".to_owned() });
                }
                SectionKind::RsaPrivateKey => {
                    return Err(IdentityError::Key { reason: "it is an RSA key".to_owned() });
                }
                _ => {}
            }
        }
        let der = match found {
            Some(der) => der,
            None if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
                return Err(IdentityError::Key { reason: "it is encrypted with a password".to_owned() });
            }
            None => return Err(IdentityError::Missing { what: WHAT, label: LABEL }),
        };
        let pair = Pair::from_pkcs8(&der).map_err(|reason| IdentityError::Key { reason })?;
        Ok(NodeKey { pair })
    }

    /// The key as PKCS#8 PEM.
    #[must_use]
    pub fn to_pem(&self) -> SecretPem {
        SecretPem(Zeroizing::new(pem_text::write(LABEL, self.pair.pkcs8())))
    }

    /// The public point, 65 bytes, uncompressed (SEC 1 section 2.3.3).
    #[must_use]
    pub fn public_point(&self) -> &[u8] {
        self.pair.der_bytes()
    }

    /// A signing request (PKCS#10, RFC 2986) for the name `spiffe://ORG/node/NODE`, as PEM.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn csr(&self, org: &OrgId, node: &NodeId) -> Result<String, IdentityError> {
        let fail = |e: rcgen::Error| IdentityError::Crypto {
            doing: "make a signing request",
            reason: e.to_string(),
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, node.as_str());
        let uri = SpiffeId::node(org, node).to_string().try_into().map_err(fail)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.serialize_request(&self.pair).and_then(|r| r.pem()).map_err(fail)
    }

    /// The key pair for signing and for TLS.
    pub(crate) fn pair(&self) -> &Pair {
        &self.pair
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(P-256, ..)")
    }
}
