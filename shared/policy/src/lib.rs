//! Agreements, roles, default deny, export and import rules.
//!
//! Two organisations exchange services only when three things hold: both sides hold the same
//! [`Agreement`], the owner has an [`ExportRule`] for the service, and the other side has an
//! [`ImportRule`] for it (RFC 8212: no policy, no routes). The agreement is shared and its digest is
//! confirmed in OPEN; the rules are each side's private business.
//!
//! Everything here is a pure function of its arguments.
#![no_std]

#[macro_use]
mod mutant;

mod agreement;
mod decide;
mod error;
mod limits;
mod origin;
mod role;
mod rules;

pub use agreement::{Agreement, Digest, Fingerprint, Party};
pub use decide::{Denied, ExportFacts, ImportFacts, export, import};
pub use error::AgreementError;
pub use limits::Limits;
pub use origin::border_origin;
pub use role::{LocalPref, Relation, Role};
pub use rules::{ExportRule, ImportRule, Pattern};

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
