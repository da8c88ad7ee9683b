//! An organisation's root: the one key that says which nodes are its own.

use std::fmt;

use catalyst_names::{NodeId, OrgId, SpiffeKind};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::extensions::KeyIdentifier;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER};

use crate::bundle::{self, TrustBundle};
use crate::csr;
use crate::date::Date;
use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::key::{NodeKey, Pair, SecretPem};
use crate::pem_text;
use crate::serial;
use crate::x509::{self, Validity};

/// How long a node's certificate lasts unless told otherwise: 90 days, in seconds.
pub const DEFAULT_LEAF_SECS: u64 = 90 * 86_400;
/// How long a root lasts: 10 years, in seconds.
pub const ROOT_SECS: u64 = 3_653 * 86_400;
/// Certificates start this long before they are made, for nodes whose clocks are behind.
pub const BACKDATE_SECS: u64 = 3_600;

const WHAT: &str = "root certificate";

/// An organisation's root certificate with its private key. Its `Debug` never shows the key.
pub struct OrgRoot {
    org: OrgId,
    der: CertificateDer<'static>,
    key: NodeKey,
    validity: Validity,
    /// What issued certificates repeat from the root: its subject and its key id.
    issuer: CertificateParams,
}

impl OrgRoot {
    /// Makes a new root for an organisation, valid for [`ROOT_SECS`] from `now_unix` (seconds since 1970 UTC).
    ///
    /// # Errors
    /// When the date cannot be written in a certificate or the system has no randomness.
    pub fn generate(org: &OrgId, now_unix: u64) -> Result<Self, IdentityError> {
        let key = NodeKey::generate()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) =
            dates(now_unix.saturating_sub(BACKDATE_SECS), now_unix.saturating_add(ROOT_SECS))?;
        params.serial_number = Some(serial::random()?);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, org.as_str());
        let uri = format!("spiffe://{org}").try_into().map_err(fail)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let der = params.self_signed(key.pair()).map_err(fail)?.der().clone();
        Self::join(der, key)
    }

    /// Reads a root certificate and its private key.
    ///
    /// # Errors
    /// When either is not what it should be, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let mut ders = pem_text::certificates(certificate, WHAT, 1)?;
        let der = ders.pop().ok_or(IdentityError::Missing { what: WHAT, label: "CERTIFICATE" })?;
        Self::join(der, NodeKey::from_pem(key)?)
    }

    fn join(der: CertificateDer<'static>, key: NodeKey) -> Result<Self, IdentityError> {
        let org = bundle::root_org(&der)?;
        let cert = x509::parse(&der, WHAT)?;
        if cert.public_key().subject_public_key.data.as_ref() != key.public_point() {
            return Err(IdentityError::KeyMismatch { name: org.to_string() });
        }
        let validity = x509::span(&cert);
        let issuer = issuer_params(&cert)?;
        Ok(OrgRoot { org, validity, issuer, der, key })
    }

    /// The key, for what the root signs beside certificates.
    pub(crate) fn signer(&self) -> &Pair {
        self.key.pair()
    }

    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// The root's time span.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The certificate as PEM; it is also the organisation's trust bundle.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem_text::write_certificates([self.der.as_ref()].into_iter())
    }

    /// The private key as PEM.
    #[must_use]
    pub fn key_pem(&self) -> SecretPem {
        self.key.to_pem()
    }

    /// The trust bundle of this root alone.
    ///
    /// # Errors
    /// None in practice: the root was checked when it was made.
    pub fn bundle(&self) -> Result<TrustBundle, IdentityError> {
        TrustBundle::from_pem(&self.certificate_pem())
    }

    /// Checks a signing request and issues the node's certificate, as PEM.
    ///
    /// The request must be signed by its own key and ask for exactly one name, `spiffe://ORG/node/NAME`, of this
    /// organisation; with `expect`, for that node. The certificate starts [`BACKDATE_SECS`] before `now_unix`
    /// (seconds since 1970 UTC), lasts `lifetime_secs`, never longer than the root, and is good for both
    /// directions of TLS.
    ///
    /// # Errors
    /// Says why the request was refused.
    pub fn sign_csr(
        &self,
        csr_pem: &str,
        expect: Option<&NodeId>,
        now_unix: u64,
        lifetime_secs: u64,
    ) -> Result<String, IdentityError> {
        let csr::CheckedCsr { id, key } = csr::check(csr_pem, &self.org)?;
        let SpiffeKind::Node(node) = &id.kind else {
            return Err(IdentityError::CsrName { org: Box::new(self.org.clone()), found: format!("'{id}'") });
        };
        if let Some(expected) = expect.filter(|e| *e != node) {
            return Err(IdentityError::CsrUnexpected {
                expected: expected.to_string(),
                found: node.to_string(),
            });
        }
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = self.leaf_dates(now_unix, lifetime_secs)?;
        params.serial_number = Some(serial::of_key(key.der_bytes())?);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, node.as_str());
        params.subject_alt_names = vec![SanType::URI(id.to_string().try_into().map_err(fail)?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_params(&self.issuer, self.key.pair());
        let leaf = params.signed_by(&key, &issuer).map_err(fail)?;
        Ok(pem_text::write_certificates([leaf.der().as_ref()].into_iter()))
    }

    /// The fingerprint of the key that a request is for.
    ///
    /// # Errors
    /// As [`OrgRoot::sign_csr`].
    pub fn requested_key(&self, csr_pem: &str) -> Result<Fingerprint, IdentityError> {
        csr::check(csr_pem, &self.org).map(|checked| Fingerprint::of(checked.key.der_bytes()))
    }

    fn leaf_dates(
        &self,
        now: u64,
        lifetime: u64,
    ) -> Result<(time::OffsetDateTime, time::OffsetDateTime), IdentityError> {
        if now > self.validity.not_after {
            let reason = format!(
                "the root of {} expired at {} (this node's clock: {})",
                self.org,
                Date(self.validity.not_after),
                Date(now)
            );
            return Err(IdentityError::Lifetime { reason });
        }
        if lifetime == 0 {
            return Err(IdentityError::Lifetime { reason: "its lifetime would be zero".to_owned() });
        }
        dates(now.saturating_sub(BACKDATE_SECS), now.saturating_add(lifetime).min(self.validity.not_after))
    }
}

impl fmt::Debug for OrgRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrgRoot").field("org", &self.org).field("validity", &self.validity).finish()
    }
}

/// What issued certificates repeat. The subject must come out byte for byte, or no chain will verify; roots with
/// a longer subject than one common name are therefore not signed with here.
fn issuer_params(
    cert: &x509_parser::certificate::X509Certificate<'_>,
) -> Result<CertificateParams, IdentityError> {
    let refuse = || IdentityError::NotARoot {
        reason: "to sign with it, its subject must be one common name in UTF-8 or PrintableString".to_owned(),
    };
    let mut parts = cert.subject().iter_attributes();
    let (Some(cn), None) = (parts.next(), parts.next()) else { return Err(refuse()) };
    let text = cn.as_str().map_err(|_| refuse())?;
    let value = match cn.attr_value().header.tag() {
        Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(text.try_into().map_err(|_| refuse())?),
        _ => return Err(refuse()),
    };
    if *cn.attr_type() != OID_X509_COMMON_NAME {
        return Err(refuse());
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, value);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    if let Ok(Some(id)) = x509::extension::<KeyIdentifier<'_>>(cert, &OID_X509_EXT_SUBJECT_KEY_IDENTIFIER) {
        params.key_identifier_method = KeyIdMethod::PreSpecified(id.0.to_vec());
    }
    Ok(params)
}

fn dates(from: u64, to: u64) -> Result<(time::OffsetDateTime, time::OffsetDateTime), IdentityError> {
    match (Date(from).to_time(), Date(to).to_time()) {
        (Some(from), Some(to)) => Ok((from, to)),
        _ => Err(IdentityError::Lifetime { reason: "it would end after the year 9999".to_owned() }),
    }
}

fn fail(e: rcgen::Error) -> IdentityError {
    IdentityError::Crypto { doing: "issue a certificate", reason: e.to_string() }
}
