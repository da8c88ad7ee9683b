//! Fingerprints: SHA-256 of a certificate, of a public point, of a secret.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use crate::error::IdentityError;

/// SHA-256 of a certificate's DER, printed as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut own = [0; 32];
        own.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Fingerprint(own)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = IdentityError;

    /// Reads `sha256:HEX`; also with colons between the bytes and in upper case, as openssl prints it.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let bad = || IdentityError::Damaged {
            what: "fingerprint",
            reason: "it must be 'sha256:' and 64 hexadecimal digits".to_owned(),
        };
        let hex = text.trim().strip_prefix("sha256:").unwrap_or(text.trim());
        let mut own = [0_u8; 32];
        let mut digits = hex.chars().filter(|c| *c != ':').map(|c| c.to_digit(16));
        for byte in &mut own {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(bad());
            };
            *byte = u8::try_from(high * 16 + low).map_err(|_| bad())?;
        }
        if digits.next().is_some() { Err(bad()) } else { Ok(Fingerprint(own)) }
    }
}
