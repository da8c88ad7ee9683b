//! Roles of the two parties of an agreement (RFC 9234 section 3), and what they mean for ranking.

use core::fmt;
use core::str::FromStr;

/// What one party is to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys services of the other.
    Customer,
    /// Sells services to the other.
    Provider,
    /// Neither: both share what is their own.
    Peer,
}

impl Role {
    /// The role the other party must have.
    #[must_use]
    pub fn complement(self) -> Self {
        match self {
            Role::Customer => Role::Provider,
            Role::Provider => Role::Customer,
            Role::Peer => Role::Peer,
        }
    }

    /// The word in the document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Provider => "provider",
            Role::Peer => "peer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "customer" => Ok(Role::Customer),
            "provider" => Ok(Role::Provider),
            "peer" => Ok(Role::Peer),
            _ => Err(()),
        }
    }
}

/// What a neighbour is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Relation {
    /// A node of our own organisation.
    Internal,
    /// A node of another organisation, which has this role towards us.
    External(Role),
}

impl Relation {
    /// Whether the neighbour belongs to another organisation.
    #[must_use]
    pub fn is_external(self) -> bool {
        matches!(self, Relation::External(_))
    }
}

/// The default local_pref of a route, by where it entered the organisation.
pub struct LocalPref;

impl LocalPref {
    /// A service of our own. Also what an entry without the attribute means on an internal session.
    pub const OWN: u32 = 400;

    /// The local_pref of a route learned from a neighbour of this role.
    #[must_use]
    pub fn of(role: Role) -> u32 {
        match role {
            Role::Customer => 300,
            Role::Peer => 200,
            Role::Provider => 100,
        }
    }
}
