//! What a node shows to its peers: its certificate chain and the key that proves it.

use std::fmt;
use std::sync::Arc;

use catalyst_names::NodeName;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::IdentityError;
use crate::key::NodeKey;
use crate::limits::Limits;
use crate::pem_text;
use crate::provider::provider;
use crate::x509::{self, Validity};

/// A node's certificate chain with its key, checked to belong together. Clones are cheap.
#[derive(Clone)]
pub struct Credentials {
    name: NodeName,
    validity: Validity,
    certified: Arc<CertifiedKey>,
}

impl Credentials {
    /// Joins a chain (leaf first) and the key it was issued for.
    ///
    /// The validity is not checked: a board without a clock must be able to load what it has.
    ///
    /// # Errors
    /// When the text is no chain, the leaf does not name a node, or was issued for another key.
    pub fn from_pem(cert_pem: &str, key: &NodeKey) -> Result<Self, IdentityError> {
        let chain = pem_text::certificates(cert_pem, "certificate", Limits::CHAIN)?;
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let parsed = x509::parse(leaf, "certificate")?;
        let name = x509::node_name(leaf)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_point() {
            return Err(IdentityError::KeyMismatch { name: name.to_string() });
        }
        let validity = x509::span(&parsed);
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pair().pkcs8().to_vec()));
        let certified = CertifiedKey::from_der(chain, der, &provider(false))
            .map_err(|e| IdentityError::Crypto { doing: "load the private key", reason: e.to_string() })?;
        Ok(Credentials { name, validity, certified: Arc::new(certified) })
    }

    /// The node that the leaf names.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// The chain as DER, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The chain as PEM, leaf first.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        pem_text::write_certificates(self.chain().iter().map(AsRef::as_ref))
    }

    /// The leaf's time span.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Chain and key as rustls takes them.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).field("validity", &self.validity).finish()
    }
}
