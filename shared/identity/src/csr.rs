//! Reading a signing request (PKCS#10, RFC 2986) as strictly as whoever signs it must.

use catalyst_names::{OrgId, SpiffeId, SpiffeKind};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::pem::SectionKind;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256};
use x509_parser::prelude::FromDer;

use crate::error::IdentityError;
use crate::pem_text;

const WHAT: &str = "signing request";
const LABEL: &str = "CERTIFICATE REQUEST";

/// A request that its own key signed, for one node of the organisation.
pub(crate) struct CheckedCsr {
    /// The name to be certified.
    pub(crate) id: SpiffeId,
    /// The key to be certified.
    pub(crate) key: RequestKey,
}

/// A P-256 point, uncompressed.
pub(crate) struct RequestKey(Vec<u8>);

impl PublicKeyData for RequestKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Reads a request and checks proof of possession and the name it asks for.
pub(crate) fn check(csr_pem: &str, org: &OrgId) -> Result<CheckedCsr, IdentityError> {
    let blocks = pem_text::blocks(csr_pem, WHAT, LABEL)?;
    let der = match blocks.as_slice() {
        [(SectionKind::Csr, der)] => der,
        [] => return Err(IdentityError::Missing { what: WHAT, label: LABEL }),
        [(SectionKind::Csr, _), ..] => {
            return Err(IdentityError::Foreign { what: WHAT, found: "second block" });
        }
        _ => return Err(IdentityError::Foreign { what: WHAT, found: "block that is not a request" }),
    };
    let csr = match X509CertificationRequest::from_der(der) {
        Ok(([], csr)) => csr,
        Ok(_) => {
            return Err(IdentityError::Damaged { what: WHAT, reason: "bytes follow the request".to_owned() });
        }
        Err(e) => return Err(IdentityError::Damaged { what: WHAT, reason: e.to_string() }),
    };
    let key = proven_key(&csr)?;
    let id = asked_name(&csr, org)?;
    Ok(CheckedCsr { id, key })
}

fn proven_key(csr: &X509CertificationRequest<'_>) -> Result<RequestKey, IdentityError> {
    let spki = &csr.certification_request_info.subject_pki;
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| Oid::try_from(p).ok());
    if spki.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
        || curve != Some(OID_EC_P256)
        || csr.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
    {
        return Err(IdentityError::CsrKey);
    }
    // Both are whole bytes in DER; anything else was tampered with.
    if spki.subject_public_key.unused_bits != 0 || csr.signature_value.unused_bits != 0 {
        return Err(IdentityError::CsrSignature);
    }
    let point = spki.subject_public_key.data.as_ref();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(csr.certification_request_info.raw, &csr.signature_value.data)
        .map_err(|_| IdentityError::CsrSignature)?;
    Ok(RequestKey(point.to_vec()))
}

fn asked_name(csr: &X509CertificationRequest<'_>, org: &OrgId) -> Result<SpiffeId, IdentityError> {
    let refuse = |found: String| IdentityError::CsrName { org: Box::new(org.clone()), found };
    let extensions = csr
        .certification_request_info
        .iter_attributes()
        .filter_map(|a| match a.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(r) => Some(&r.extensions),
            _ => None,
        })
        .flatten();
    let mut asked: Option<&str> = None;
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                for name in &san.general_names {
                    match name {
                        GeneralName::URI(uri) if asked.is_none() => asked = Some(uri),
                        GeneralName::URI(_) => return Err(refuse("several names".to_owned())),
                        _ => return Err(refuse("a name that is not a SPIFFE ID".to_owned())),
                    }
                }
            }
            ParsedExtension::BasicConstraints(b) if b.ca => {
                return Err(refuse("a CA certificate".to_owned()));
            }
            // Whatever else it asks for is not granted: the issuer alone decides on usages.
            _ => {}
        }
    }
    let Some(uri) = asked else { return Err(refuse("no name".to_owned())) };
    let id: SpiffeId = uri.parse().map_err(|e| refuse(format!("a name that cannot be used ({e})")))?;
    if id.org != *org {
        return Err(refuse(format!("a name of another organisation, {}", id.org)));
    }
    if matches!(id.kind, SpiffeKind::Service(_)) {
        return Err(refuse(format!("the name of a service, '{id}'")));
    }
    Ok(id)
}
