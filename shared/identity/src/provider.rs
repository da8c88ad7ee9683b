//! The one crypto provider: ring, named explicitly, so that no default of a dependency can choose another.

use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::crypto::ring;
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::sign::SigningKey;
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

/// For processors with AES instructions. AES-128 must stay listed always: QUIC's first packets use it (RFC 9001 section 5.2).
const AES_FIRST: [SupportedCipherSuite; 3] =
    [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
/// For boards without them (Pi 3, 4, Zero 2), where ChaCha20 is several times faster.
const CHACHA_FIRST: [SupportedCipherSuite; 3] =
    [TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384];

/// The provider, with the cipher suites of TLS 1.3 alone, in the order given by what the processor is good at.
pub(crate) fn provider(prefer_chacha: bool) -> Arc<CryptoProvider> {
    let order = if prefer_chacha { CHACHA_FIRST } else { AES_FIRST };
    Arc::new(CryptoProvider {
        cipher_suites: order.to_vec(),
        key_provider: &OurKeys,
        ..ring::default_provider()
    })
}

/// Keys of nodes are on P-256, so nothing that signs with RSA need be there. What peers and their issuers sign with is
/// another matter: all that ring verifies is verified.
#[derive(Debug)]
struct OurKeys;

impl KeyProvider for OurKeys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        // Wiped when the key has been read.
        any_ecdsa_type(&Zeroizing::new(der))
    }
}
