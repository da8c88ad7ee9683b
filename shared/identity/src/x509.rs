//! What this crate reads from a certificate.
//!
//! Certificates of peers are read by webpki alone: it is the parser that also verifies them, so the two
//! cannot disagree, and strangers reach no other. x509-parser reads what an operator gave us.

use catalyst_names::{NodeName, OrgId, SpiffeId};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::der_parser::asn1_rs::{FromDer, Oid};
use x509_parser::error::X509Error;
use x509_parser::nom::Parser;

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

/// Parses a certificate that an operator gave us; nothing may follow it. Its extensions stay bytes, for [`extension`]:
/// the parsers of all the others are then no part of the program.
pub(crate) fn parse<'a>(
    der: &'a CertificateDer<'_>,
    what: &'static str,
) -> Result<X509Certificate<'a>, IdentityError> {
    match X509CertificateParser::new().with_deep_parse_extensions(false).parse(der) {
        Ok(([], cert)) => Ok(cert),
        Ok(_) => Err(IdentityError::Damaged { what, reason: "bytes follow the certificate".to_owned() }),
        Err(e) => Err(IdentityError::Damaged { what, reason: e.to_string() }),
    }
}

/// One extension of a parsed certificate; `None` when it has none with this identifier.
///
/// # Errors
/// When it is malformed, or there are several.
pub(crate) fn extension<'a, T: FromDer<'a, X509Error>>(
    cert: &X509Certificate<'a>,
    oid: &Oid<'_>,
) -> Result<Option<T>, X509Error> {
    match cert.get_extension_unique(oid)?.map(|e| T::from_der(e.value)) {
        None => Ok(None),
        Some(Ok((_, value))) => Ok(Some(value)),
        Some(Err(_)) => Err(X509Error::InvalidExtensions),
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, IsCa, KeyPair};
    use x509_parser::extensions::{BasicConstraints, KeyUsage};
    use x509_parser::oid_registry::{OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE};

    use super::*;

    #[test]
    fn an_extension_is_there_once_or_not_or_wrong() {
        let made = |key_usages: &[&[u8]]| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::ExplicitNoCa;
            let extension =
                |content: &&[u8]| CustomExtension::from_oid_content(&[2, 5, 29, 15], content.to_vec());
            params.custom_extensions = key_usages.iter().map(extension).collect();
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let usage = |key_usages: &[&[u8]]| {
            let der = made(key_usages);
            let cert = parse(&der, "certificate").unwrap();
            extension::<KeyUsage>(&cert, &OID_X509_EXT_KEY_USAGE).map(|u| u.map(|u| u.key_cert_sign()))
        };
        let (signs, does_not, no_bits): (&[u8], &[u8], &[u8]) = (&[3, 2, 2, 0x04], &[3, 2, 7, 0x80], &[5, 0]);
        assert_eq!(usage(&[]), Ok(None));
        assert_eq!(usage(&[signs]), Ok(Some(true)));
        assert_eq!(usage(&[does_not]), Ok(Some(false)));
        assert_eq!(usage(&[no_bits]), Err(X509Error::InvalidExtensions));
        assert_eq!(usage(&[signs, does_not]), Err(X509Error::DuplicateExtensions));
        let der = made(&[]);
        let cert = parse(&der, "certificate").unwrap();
        let constraints = extension::<BasicConstraints>(&cert, &OID_X509_EXT_BASIC_CONSTRAINTS);
        assert_eq!(constraints, Ok(Some(BasicConstraints { ca: false, path_len_constraint: None })));
    }
}
