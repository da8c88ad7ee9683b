//! Agreements, roles, default deny, export and import rules.
//!
//! Two organisations exchange services only when three things hold: both sides hold the same
//! [`Agreement`], the exporter has a [`Rule`] that lets the service out, and the other side has one
//! that lets it in (RFC 8212: no policy, no routes). The agreement is shared and its digest is
//! confirmed in OPEN; the rules are each side's private business.
//!
//! Everything here is a pure function of its arguments.
#![no_std]

extern crate alloc;

#[macro_use]
mod mutant;

mod agreement;
mod changes;
mod decide;
mod error;
mod limits;
mod origin;
mod pattern;
mod role;
mod rules;

pub use agreement::{Agreement, Digest, Fingerprint, Party};
pub use changes::{Change, RuleChange, changes};
pub use decide::{Accepted, Denied, Facts, Refused, export, import, mark_on_export, mark_on_import};
pub use error::{AgreementError, RuleError};
pub use limits::Limits;
pub use origin::border_origin;
pub use pattern::{Neighbour, PathPattern, Pattern, Tag};
pub use role::{LocalPref, Relation, Role};
pub use rules::{Action, DelTags, Direction, Rule, RuleList, Set, check_name};

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
