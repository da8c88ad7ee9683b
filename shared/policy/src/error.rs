//! Why an agreement was refused.

use core::fmt;

use crate::limits::Limits;
use crate::role::Role;

/// A document that is not an agreement between two organisations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgreementError {
    /// Both parties are the same organisation.
    SameOrg,
    /// The two roles do not complement each other.
    Roles(Role, Role),
    /// More fingerprints than [`Limits::FINGERPRINTS`].
    Fingerprints,
    /// Not `sha256:` and 64 lower-case hexadecimal digits.
    BadFingerprint,
    /// The contact is too long, or holds a character that is not printable ASCII, or a quote or backslash.
    Contact,
}

impl fmt::Display for AgreementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AgreementError::SameOrg => {
                f.write_str("both parties are the same organisation; an agreement is between two")
            }
            AgreementError::Roles(a, b) => write!(
                f,
                "the roles '{a}' and '{b}' do not fit each other; use customer with provider, or peer with peer"
            ),
            AgreementError::Fingerprints => {
                write!(f, "a party lists more than {} bundle fingerprints", Limits::FINGERPRINTS)
            }
            AgreementError::BadFingerprint => {
                f.write_str("a bundle fingerprint must be 'sha256:' followed by 64 digits of 0-9 and a-f")
            }
            AgreementError::Contact => write!(
                f,
                "a contact must be at most {} printable ASCII characters without quotes and backslashes",
                Limits::CONTACT
            ),
        }
    }
}

impl core::error::Error for AgreementError {}
