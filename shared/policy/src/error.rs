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

/// Text that is no rule, or a list that holds together badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// The service is no pattern.
    Service,
    /// The neighbour is neither an organisation, nor a node, nor `*`.
    Neighbour,
    /// An element of the path is neither an organisation nor `*` nor `**`.
    Path,
    /// The path has more elements than [`Limits::PATH_PATTERN`].
    PathLong,
    /// A tag is not `org:tag`.
    Tag,
    /// More tags than [`Limits::RULE_TAGS`].
    Tags,
    /// The name is empty, too long, holds other characters than letters, digits and `-_./:`, or looks like a place.
    Name,
    /// The name stands at this earlier place already.
    Twice(usize),
    /// local_pref reaches that of own services.
    LocalPref,
    /// local_pref on export.
    LocalPrefExport,
    /// A rule that rejects sets something.
    RejectSets,
    /// More rules than [`Limits::RULES`].
    Rules,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::Service => f.write_str(
                "a service is a label such as 'orders', a pattern such as 'inv*' or '*', or a full name such as \
                 'orders.initech.example', '*.initech.example' or '*.*'",
            ),
            RuleError::Neighbour => f.write_str(
                "a neighbour is an organisation such as 'globex.example', a node such as 'cloud-1.globex.example', or '*'",
            ),
            RuleError::Path => f.write_str(
                "a path is a list of organisations, nearest first, with '*' for one of them and '**' for any number",
            ),
            RuleError::PathLong => write!(f, "a path has at most {} elements", Limits::PATH_PATTERN),
            RuleError::Tag => f.write_str("a tag is 'organisation:label', such as 'acme.example:gold'"),
            RuleError::Tags => write!(f, "a rule adds or removes at most {} tags", Limits::RULE_TAGS),
            RuleError::Name => write!(
                f,
                "a rule's name has 1 to {} letters, digits and '-', '_', '.', '/', ':', and does not begin with \
                 'exports/' or 'imports/', as rules without a name are called",
                Limits::RULE_NAME
            ),
            RuleError::Twice(first) => {
                write!(f, "the rule at place {first} has this name already; names are unique in a list")
            }
            RuleError::LocalPref => write!(
                f,
                "local_pref must be below {}, the rank of one's own services",
                crate::role::LocalPref::OWN
            ),
            RuleError::LocalPrefExport => {
                f.write_str("local_pref never leaves the organisation; set 'cost' on export, local_pref on import")
            }
            RuleError::RejectSets => f.write_str("a rule that rejects sets nothing; remove 'set' or the action"),
            RuleError::Rules => write!(f, "a list has at most {} rules", Limits::RULES),
        }
    }
}

impl core::error::Error for RuleError {}
