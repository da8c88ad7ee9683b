//! The two decisions: may this route come in, and may it go out.

use core::fmt;

use crate::role::{LocalPref, Relation};
use crate::rules::{ExportRule, ImportRule};

/// What import looks at. All text is already checked for its grammar.
#[derive(Clone, Copy, Debug)]
pub struct ImportFacts<'a> {
    /// Our own organisation.
    pub own_org: &'a str,
    /// The neighbour's organisation.
    pub neighbour_org: &'a str,
    /// What the neighbour is to us; `None` without an agreement.
    pub relation: Option<Relation>,
    /// The service's first label.
    pub label: &'a str,
    /// The service's organisation.
    pub service_org: &'a str,
    /// First organisation of `org_path` (the last that passed the route on), if any.
    pub first_org: Option<&'a str>,
    /// Last organisation of `org_path` (where the route began), if any.
    pub last_org: Option<&'a str>,
    /// The local_pref the entry carried, if any.
    pub local_pref: Option<u32>,
}

/// What export looks at.
#[derive(Clone, Copy, Debug)]
pub struct ExportFacts<'a> {
    /// The organisation of the neighbour.
    pub to_org: &'a str,
    /// What the neighbour is to us; `None` without an agreement.
    pub relation: Option<Relation>,
    /// The service's first label.
    pub label: &'a str,
    /// Whether the route began in another organisation.
    pub foreign: bool,
    /// The well-known no-export mark.
    pub no_export: bool,
}

/// Why a route does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Denied {
    /// No agreement with that organisation.
    NoAgreement,
    /// No export rule of ours names it.
    NotExported,
    /// No import rule of ours names it.
    NotImported,
    /// The route began in a third organisation.
    NoTransit,
    /// The route says that it must not leave the organisation.
    NoExport,
    /// The organisation path does not begin with the neighbour or does not end with the service's owner.
    ForgedPath,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::NoAgreement => "no agreement with that organisation",
            Denied::NotExported => "not exported: no entry of 'exports' names it",
            Denied::NotImported => "not imported: no entry of 'imports' names it",
            Denied::NoTransit => "it belongs to a third organisation, and services are not passed on",
            Denied::NoExport => "it carries the no-export mark",
            Denied::ForgedPath => {
                "its organisation path does not lead from the neighbour to the owner of the service"
            }
        })
    }
}

/// May this route come in, and with which local_pref?
///
/// # Errors
/// The reason why not.
pub fn import(rules: &[ImportRule], facts: &ImportFacts<'_>) -> Result<u32, Denied> {
    let begun_in = facts.last_org.unwrap_or(facts.own_org);
    if begun_in != facts.service_org {
        return Err(Denied::ForgedPath);
    }
    match facts.relation {
        None => Err(Denied::NoAgreement),
        // A node of our own may pass on what came from elsewhere; the rules were applied where it came in.
        Some(Relation::Internal) => Ok(facts.local_pref.unwrap_or(LocalPref::OWN)),
        Some(Relation::External(role)) => {
            if facts.first_org != Some(facts.neighbour_org) {
                return Err(Denied::ForgedPath);
            }
            if facts.last_org != Some(facts.neighbour_org) {
                return Err(Denied::NoTransit);
            }
            let named = rules
                .iter()
                .any(|r| r.from.as_str() == facts.neighbour_org && r.service.matches(facts.label));
            if named { Ok(LocalPref::of(role)) } else { Err(Denied::NotImported) }
        }
    }
}

/// May this route go out to that neighbour?
///
/// # Errors
/// The reason why not.
pub fn export(rules: &[ExportRule], facts: &ExportFacts<'_>) -> Result<(), Denied> {
    match facts.relation {
        None => Err(Denied::NoAgreement),
        Some(Relation::Internal) => Ok(()),
        Some(Relation::External(_)) => {
            if facts.no_export {
                return Err(Denied::NoExport);
            }
            if facts.foreign {
                return Err(Denied::NoTransit);
            }
            let named = rules.iter().any(|r| r.to.as_str() == facts.to_org && r.service.matches(facts.label));
            if named { Ok(()) } else { Err(Denied::NotExported) }
        }
    }
}
