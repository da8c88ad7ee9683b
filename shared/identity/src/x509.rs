//! What this crate reads from a certificate.
//!
//! Certificates of peers are read by webpki alone: it is the parser that also verifies them, so the two
//! cannot disagree, and strangers reach no other. x509-parser reads what an operator gave us.

use catalyst_names::{NodeName, OrgId, SpiffeId};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;

use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::pem_text;

/// The time span of a certificate, in seconds since 1970 UTC, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: u64,
    /// Last second.
    pub not_after: u64,
}

impl Validity {
    /// Half of the span, when a node should renew, in seconds since 1970 UTC.
    #[must_use]
    pub fn half_life(&self) -> u64 {
        self.not_before + self.not_after.saturating_sub(self.not_before) / 2
    }
}

/// The span of the first certificate of a PEM text.
///
/// # Errors
/// When the text is no certificate.
pub fn validity(cert_pem: &str) -> Result<Validity, IdentityError> {
    let ders = pem_text::certificates(cert_pem, "certificate", crate::limits::Limits::CHAIN)?;
    let der = ders.first().ok_or(IdentityError::NoCertificate)?;
    Ok(span(&parse(der, "certificate")?))
}

/// When the first certificate of a PEM text ends, in seconds since 1970 UTC.
///
/// # Errors
/// When the text is no certificate.
pub fn not_after(cert_pem: &str) -> Result<u64, IdentityError> {
    validity(cert_pem).map(|v| v.not_after)
}

/// The fingerprint of the public point in the first certificate of a PEM text.
///
/// # Errors
/// When the text is no certificate.
pub fn public_key(cert_pem: &str) -> Result<Fingerprint, IdentityError> {
    let ders = pem_text::certificates(cert_pem, "certificate", crate::limits::Limits::CHAIN)?;
    key_of(ders.first().ok_or(IdentityError::NoCertificate)?)
}

/// The fingerprint of the public point in a certificate.
///
/// # Errors
/// When the bytes are no certificate.
pub fn key_of(der: &CertificateDer<'_>) -> Result<Fingerprint, IdentityError> {
    let cert = parse(der, "certificate")?;
    Ok(Fingerprint::of(cert.public_key().subject_public_key.data.as_ref()))
}

/// The one URI name of a certificate (X.509-SVID section 2: exactly one).
pub(crate) fn uri_name(der: &CertificateDer<'_>) -> Result<String, IdentityError> {
    let cert = EndEntityCert::try_from(der)
        .map_err(|e| IdentityError::Damaged { what: "certificate", reason: e.to_string() })?;
    let mut names = cert.valid_uri_names();
    match (names.next(), names.next()) {
        (Some(one), None) => Ok(one.to_owned()),
        (None, _) => Err(IdentityError::NoSpiffeId { count: 0 }),
        (Some(_), Some(_)) => Err(IdentityError::NoSpiffeId { count: 2 + names.count() }),
    }
}

/// The node that a leaf names. This does not verify anything.
pub(crate) fn node_name(leaf: &CertificateDer<'_>) -> Result<NodeName, IdentityError> {
    let id: SpiffeId = uri_name(leaf)?.parse()?;
    id.node_name().ok_or_else(|| IdentityError::NotANode { spiffe: id.to_string() })
}

/// The organisation of a name without a path, `spiffe://ORG`.
pub(crate) fn trust_domain(uri: &str) -> Option<OrgId> {
    uri.strip_prefix("spiffe://").and_then(|org| OrgId::parse(org).ok())
}

/// Parses a certificate that an operator gave us; nothing may follow it.
pub(crate) fn parse<'a>(
    der: &'a CertificateDer<'_>,
    what: &'static str,
) -> Result<X509Certificate<'a>, IdentityError> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], cert)) => Ok(cert),
        Ok(_) => Err(IdentityError::Damaged { what, reason: "bytes follow the certificate".to_owned() }),
        Err(e) => Err(IdentityError::Damaged { what, reason: e.to_string() }),
    }
}

/// The time span of a parsed certificate; dates before 1970 count as 1970.
pub(crate) fn span(cert: &X509Certificate<'_>) -> Validity {
    let seconds = |t: i64| u64::try_from(t).unwrap_or(0);
    Validity {
        not_before: seconds(cert.validity().not_before.timestamp()),
        not_after: seconds(cert.validity().not_after.timestamp()),
    }
}
