//! Reading and writing PEM (RFC 7468) within bounds.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject, SectionKind};

use crate::error::IdentityError;
use crate::limits::Limits;

const CERTIFICATE: &str = "CERTIFICATE";

/// The PEM blocks of a text, in order. Text outside blocks is passed over (RFC 7468 section 2).
pub(crate) fn blocks(
    text: &str,
    what: &'static str,
    label: &'static str,
) -> Result<Vec<(SectionKind, Vec<u8>)>, IdentityError> {
    if text.len() > Limits::PEM {
        return Err(IdentityError::TooMuch { what, size: text.len(), unit: "bytes", max: Limits::PEM });
    }
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| IdentityError::Pem { what, label, reason: reason(&e).to_owned() })
}

/// The reader's own messages quote the offending line, and that line may hold a private key (a file whose line
/// ends were lost is one line), so they are replaced by words of our own.
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "a block has no matching '-----END' line (were the line ends lost, or the end of the file?)"
        }
        pem::Error::IllegalSectionStart { .. } => {
            "a '-----BEGIN' line does not end as it should (were the line ends lost?)"
        }
        pem::Error::Base64Decode(_) => "a block holds something that is not base64",
        _ => "it is not well formed",
    }
}

/// The certificates of a text that may hold nothing else, at least one and at most `max`.
pub(crate) fn certificates(
    text: &str,
    what: &'static str,
    max: usize,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let mut found = Vec::new();
    for (kind, der) in blocks(text, what, CERTIFICATE)? {
        match kind {
            SectionKind::Certificate => {}
            SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                return Err(IdentityError::Foreign { what, found: "private key" });
            }
            _ => return Err(IdentityError::Foreign { what, found: "block that is not a certificate" }),
        }
        if der.len() > Limits::CERTIFICATE {
            let (size, max) = (der.len(), Limits::CERTIFICATE);
            return Err(IdentityError::TooMuch { what, size, unit: "bytes in one certificate", max });
        }
        found.push(CertificateDer::from(der));
    }
    if found.is_empty() {
        return Err(IdentityError::Missing { what, label: CERTIFICATE });
    }
    if found.len() > max {
        return Err(IdentityError::TooMuch { what, size: found.len(), unit: "certificates", max });
    }
    Ok(found)
}

/// One block of PEM text with Unix line ends.
pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let config = ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF);
    ::pem::encode_config(&::pem::Pem::new(label, der), config)
}

/// Certificates as PEM text, in order.
pub(crate) fn write_certificates<'a>(ders: impl Iterator<Item = &'a [u8]>) -> String {
    ders.map(|der| write(CERTIFICATE, der)).collect()
}
