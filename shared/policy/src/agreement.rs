//! The document that two organisations both hold, and whose digest OPEN confirms.

use core::fmt::{self, Write};

use catalyst_names::OrgId;
use sha2::{Digest as _, Sha256};

use crate::error::AgreementError;
use crate::limits::Limits;
use crate::role::{Relation, Role};

/// SHA-256 of an agreement's canonical form.
pub type Digest = [u8; 32];

/// SHA-256 of a root certificate in DER, printed as `sha256:HEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Reads `sha256:` and 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`AgreementError::BadFingerprint`] for anything else.
    pub fn parse(text: &str) -> Result<Self, AgreementError> {
        let hex = text.strip_prefix("sha256:").ok_or(AgreementError::BadFingerprint)?;
        if hex.len() != 64 {
            return Err(AgreementError::BadFingerprint);
        }
        let mut out = [0u8; 32];
        for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let mut value = 0u8;
            for digit in pair {
                let nibble = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(AgreementError::BadFingerprint),
                };
                value = value << 4 | nibble;
            }
            *byte = value;
        }
        Ok(Fingerprint(out))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// One side of an agreement.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Party {
    /// The organisation.
    pub org: OrgId,
    /// What it is to the other party.
    pub role: Role,
    /// How many services it may announce. Beyond: new ones are refused, the session stays.
    pub max_services: u32,
    /// How many bytes of route entries it may announce. Beyond: as above.
    pub max_bytes: u32,
    /// Fingerprints of its trust bundle's roots; none means "as configured on each side".
    pub bundle: heapless::Vec<Fingerprint, { Limits::FINGERPRINTS }>,
    /// Whom to call, such as a mail address. Printable ASCII.
    pub contact: heapless::String<{ Limits::CONTACT }>,
}

/// An agreement: two parties, ordered by name, so that both sides hold the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Agreement {
    parties: [Party; 2],
}

impl Agreement {
    /// The version of the document's shape.
    pub const VERSION: u32 = 1;

    /// Joins two parties, in either order.
    ///
    /// # Errors
    /// When they are one organisation, their roles do not fit, or a contact cannot be printed.
    pub fn new(a: Party, b: Party) -> Result<Self, AgreementError> {
        if a.org == b.org {
            return Err(AgreementError::SameOrg);
        }
        if a.role.complement() != b.role {
            return Err(AgreementError::Roles(a.role, b.role));
        }
        for party in [&a, &b] {
            let plain = |c: u8| (b' '..=b'~').contains(&c) && c != b'"' && c != b'\\';
            if !party.contact.bytes().all(plain) {
                return Err(AgreementError::Contact);
            }
        }
        let parties = if a.org < b.org { [a, b] } else { [b, a] };
        Ok(Agreement { parties })
    }

    /// Both parties, ordered by name.
    #[must_use]
    pub fn parties(&self) -> &[Party; 2] {
        &self.parties
    }

    /// The party of this organisation, if it is one of the two.
    #[must_use]
    pub fn party(&self, org: &str) -> Option<&Party> {
        self.parties.iter().find(|p| p.org.as_str() == org)
    }

    /// What the other party is to `own`, if `own` and `other` are the two parties.
    #[must_use]
    pub fn relation(&self, own: &str, other: &str) -> Option<Relation> {
        self.party(own)?;
        self.party(other).map(|p| Relation::External(p.role))
    }

    /// Writes the canonical form: JSON as RFC 8785 has it (keys sorted, no white space; the values need no escapes).
    ///
    /// # Errors
    /// Only those of the writer.
    pub fn write_canonical(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("{\"parties\":[")?;
        for (i, p) in self.parties.iter().enumerate() {
            if i > 0 {
                out.write_char(',')?;
            }
            out.write_str("{\"bundle\":[")?;
            for (j, fingerprint) in p.bundle.iter().enumerate() {
                let comma = if j > 0 { "," } else { "" };
                write!(out, "{comma}\"{fingerprint}\"")?;
            }
            write!(
                out,
                "],\"contact\":\"{}\",\"max_bytes\":{},\"max_services\":{},\"org\":\"{}\",\"role\":\"{}\"}}",
                p.contact, p.max_bytes, p.max_services, p.org, p.role
            )?;
        }
        write!(out, "],\"version\":{}}}", Self::VERSION)
    }

    /// SHA-256 of the canonical form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        struct Hash(Sha256);
        impl Write for Hash {
            fn write_str(&mut self, s: &str) -> fmt::Result {
                self.0.update(s.as_bytes());
                Ok(())
            }
        }
        let mut hash = Hash(Sha256::new());
        // Writing into a hash cannot fail.
        let _ = self.write_canonical(&mut hash);
        hash.0.finalize().into()
    }
}
