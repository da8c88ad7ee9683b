//! Trust bundles: the roots of one organisation.
//!
//! On disk and between people a bundle is plain PEM certificates. Its organisation is not written beside them
//! but read from the roots, each of which carries the URI name `spiffe://ORG`: a bundle cannot be filed under
//! the wrong organisation by mistake.

use std::fmt;

use catalyst_names::OrgId;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use x509_parser::extensions::{BasicConstraints, KeyUsage};
use x509_parser::oid_registry::{OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE};

use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::limits::Limits;
use crate::pem_text;
use crate::x509;

const WHAT: &str = "trust bundle";

/// The roots of one organisation, in the order of their fingerprints, each once.
#[derive(Clone)]
pub struct TrustBundle {
    org: OrgId,
    roots: Vec<Root>,
}

#[derive(Clone)]
struct Root {
    fingerprint: Fingerprint,
    der: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
}

impl TrustBundle {
    /// Reads PEM certificates; the organisation is the one that all the roots name.
    ///
    /// # Errors
    /// When the text holds anything but root certificates of one organisation, or more than [`Limits::ROOTS`].
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let mut org: Option<OrgId> = None;
        let mut roots: Vec<Root> = Vec::new();
        for der in pem_text::certificates(text, WHAT, Limits::ROOTS)? {
            let named = root_org(&der)?;
            match &org {
                Some(first) if *first != named => {
                    return Err(IdentityError::MixedBundle {
                        first: Box::new(first.clone()),
                        second: Box::new(named),
                    });
                }
                _ => org = Some(named),
            }
            let anchor = webpki::anchor_from_trusted_cert(&der)
                .map_err(|e| IdentityError::Damaged { what: WHAT, reason: e.to_string() })?
                .to_owned();
            let fingerprint = Fingerprint::of(&der);
            if let Err(place) = roots.binary_search_by_key(&fingerprint, |r| r.fingerprint) {
                roots.insert(place, Root { fingerprint, der, anchor });
            }
        }
        let org = org.ok_or(IdentityError::Missing { what: WHAT, label: "CERTIFICATE" })?;
        Ok(TrustBundle { org, roots })
    }

    /// The bundle as PEM: the same roots give the same text.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem_text::write_certificates(self.roots.iter().map(|r| r.der.as_ref()))
    }

    /// The organisation that all roots name.
    #[must_use]
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// The roots as DER, in the order of their fingerprints.
    pub fn roots(&self) -> impl ExactSizeIterator<Item = &CertificateDer<'static>> {
        self.roots.iter().map(|r| &r.der)
    }

    /// One fingerprint for the whole bundle: of one root its own (what openssl prints), of several the SHA-256
    /// of their fingerprints in ascending order.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match self.roots.as_slice() {
            [one] => one.fingerprint,
            many => Fingerprint::of(&many.iter().flat_map(|r| r.fingerprint.0).collect::<Vec<u8>>()),
        }
    }

    /// The fingerprint of each root, ascending.
    pub fn fingerprints(&self) -> impl ExactSizeIterator<Item = Fingerprint> {
        self.roots.iter().map(|r| r.fingerprint)
    }

    /// The roots as the chain verifier takes them.
    pub(crate) fn anchors(&self) -> Vec<TrustAnchor<'_>> {
        self.roots.iter().map(|r| r.anchor.clone()).collect()
    }
}

impl PartialEq for TrustBundle {
    fn eq(&self, other: &Self) -> bool {
        self.org == other.org && self.fingerprints().eq(other.fingerprints())
    }
}

impl Eq for TrustBundle {}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<Fingerprint> = self.fingerprints().collect();
        f.debug_struct("TrustBundle").field("org", &self.org).field("roots", &roots).finish()
    }
}

/// Checks that a certificate can be a root and returns the organisation it names.
pub(crate) fn root_org(der: &CertificateDer<'_>) -> Result<OrgId, IdentityError> {
    let cert = x509::parse(der, WHAT)?;
    let constraints = x509::extension(&cert, &OID_X509_EXT_BASIC_CONSTRAINTS);
    if !matches!(constraints, Ok(Some(BasicConstraints { ca: true, .. }))) {
        let reason = "it is not a CA certificate (basicConstraints CA:TRUE); a bundle holds the organisation's \
                      root, not the certificate of a node";
        return Err(IdentityError::NotARoot { reason: reason.to_owned() });
    }
    match x509::extension::<KeyUsage>(&cert, &OID_X509_EXT_KEY_USAGE) {
        Ok(Some(usage)) if !usage.key_cert_sign() => {
            let reason = "its keyUsage does not allow signing certificates".to_owned();
            return Err(IdentityError::NotARoot { reason });
        }
        Err(e) => return Err(IdentityError::Damaged { what: WHAT, reason: e.to_string() }),
        Ok(_) => {}
    }
    let uri = x509::uri_name(der).map_err(|_| IdentityError::NotARoot {
        reason: "it must carry exactly one URI name, 'spiffe://ORG'".to_owned(),
    })?;
    x509::trust_domain(&uri).ok_or_else(|| IdentityError::NotARoot {
        reason: "its URI name must be 'spiffe://ORG' with nothing after the organisation".to_owned(),
    })
}
