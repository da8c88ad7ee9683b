//! The two decisions: may this route come in, and may it go out.
//!
//! Checks come first, in the order of [`Denied`], and no rule overrides them: the agreement, the path, the
//! only-to-customer mark (RFC 9234 section 5). Then the first rule that speaks of the route decides.

use core::fmt;

use catalyst_names::Protocol;
use catalyst_wire::Path;

use crate::role::{LocalPref, Relation, Role};
use crate::rules::{Action, Rule, RuleList};

/// What both decisions look at. All text is already checked for its grammar.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Our own organisation.
    pub own_org: &'a str,
    /// The neighbour's organisation.
    pub neighbour_org: &'a str,
    /// The neighbour's full name.
    pub neighbour: &'a str,
    /// What the neighbour is to us; `None` without an agreement.
    pub relation: Option<Relation>,
    /// The service's full name.
    pub service: &'a str,
    /// What the service speaks.
    pub protocol: Protocol,
    /// Organisations passed, nearest first, as it came in: without our own.
    pub org_path: Path<'a>,
    /// Its tags: on import as they came in, on export as import left them.
    pub tags: Path<'a>,
    /// The organisation that set the only-to-customer mark. On export as import left it.
    pub only_to_customer: Option<&'a str>,
}

impl Facts<'_> {
    /// Where the service lives: the last of the path, or our own organisation.
    fn origin(&self) -> &str {
        self.org_path.last().unwrap_or(self.own_org)
    }

    fn service_org(&self) -> &str {
        self.service.split_once('.').map_or("", |(_, org)| org)
    }

    /// The first rule that speaks of the route.
    fn first<'r>(&self, list: &'r RuleList, home: &str) -> Option<(u16, &'r Rule)> {
        let speaks = |(_, rule): &(u16, &Rule)| {
            rule.neighbour.matches(self.neighbour_org, self.neighbour)
                && rule.protocol.is_none_or(|p| p == self.protocol)
                && rule.origin.as_ref().is_none_or(|o| o.as_str() == self.origin())
                && rule.service.matches(self.service, home)
                && rule.tag.as_ref().is_none_or(|t| self.tags.contains(t.as_str()))
                && rule.path.as_ref().is_none_or(|p| p.matches(&self.org_path))
        };
        let mut rules = list.of(self.neighbour_org, self.neighbour);
        if mutant!(LastRuleWins) { rules.filter(speaks).last() } else { rules.find(speaks) }
    }
}

/// Why a route does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denied {
    /// No agreement with that organisation.
    NoAgreement,
    /// It has passed our organisation already.
    Looped,
    /// The organisation path does not begin with the neighbour or does not end with the service's owner.
    ForgedPath,
    /// The route says that it must not leave the organisation.
    NoExport,
    /// The only-to-customer mark forbids it (RFC 9234 section 5).
    Leak,
    /// The neighbour's organisation is in its path: it would not use it.
    ComesBack,
    /// No export rule of ours speaks of it.
    NotExported,
    /// No import rule of ours speaks of it.
    NotImported,
    /// A rule rejects it.
    Rejected,
    /// As many better ways to the service as one organisation is told of are told.
    Crowded,
    /// With the tags that the rule adds it would have more than a route may carry.
    TooLong,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::NoAgreement => "no agreement with that organisation",
            Denied::Looped => "it has passed this organisation already",
            Denied::ForgedPath => {
                "its organisation path does not lead from the neighbour to the owner of the service"
            }
            Denied::NoExport => "it carries the no-export mark",
            Denied::Leak => {
                "it would be a leak: the route is marked only-to-customer (RFC 9234), which no rule overrides"
            }
            Denied::ComesBack => "it would come back: that organisation is in its path",
            Denied::NotExported => "not exported: no entry of 'exports' names it",
            Denied::NotImported => "not imported: no entry of 'imports' names it",
            Denied::Rejected => "a rule rejects it",
            Denied::Crowded => "better ways to it are announced there, as many as may be",
            Denied::TooLong => "there is no room for the tags that the rule adds",
        })
    }
}

/// A route does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why not.
    pub why: Denied,
    /// The place of the rule that rejects it, with [`Denied::Rejected`].
    pub rule: Option<u16>,
}

impl From<Denied> for Refused {
    fn from(why: Denied) -> Self {
        Refused { why, rule: None }
    }
}

/// A route passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'r> {
    /// The rule that accepts it, with its place; none inside the organisation, where everything is shared.
    pub rule: Option<(u16, &'r Rule)>,
    /// Its rank inside the organisation; on export 0, it does not leave.
    pub local_pref: u32,
}

fn decided(found: Option<(u16, &Rule)>, none: Denied) -> Result<(u16, &Rule), Refused> {
    match found {
        None => Err(none.into()),
        Some((place, rule)) if rule.action == Action::Reject => {
            Err(Refused { why: Denied::Rejected, rule: Some(place) })
        }
        Some(found) => Ok(found),
    }
}

/// May this route come in? `local_pref` is what the entry carried; it counts inside the organisation only.
///
/// # Errors
/// The reason why not.
pub fn import<'r>(
    list: &'r RuleList,
    facts: &Facts<'_>,
    local_pref: Option<u32>,
) -> Result<Accepted<'r>, Refused> {
    let Some(relation) = facts.relation else { return Err(Denied::NoAgreement.into()) };
    if facts.org_path.contains(facts.own_org) && !mutant!(OwnOrgTaken) {
        return Err(Denied::Looped.into());
    }
    if facts.origin() != facts.service_org() {
        return Err(Denied::ForgedPath.into());
    }
    let Relation::External(role) = relation else {
        // A node of our own may pass on what came from elsewhere; the rules were applied where it came in.
        // Nothing that it may say ranks above a node's own services, and nothing of others beside them.
        let most = LocalPref::OWN - u32::from(!facts.org_path.is_empty());
        return Ok(Accepted { rule: None, local_pref: local_pref.unwrap_or(LocalPref::OWN).min(most) });
    };
    if facts.org_path.first() != Some(facts.neighbour_org) {
        return Err(Denied::ForgedPath.into());
    }
    let leaked = match (role, facts.only_to_customer) {
        (_, None) | (Role::Provider, Some(_)) => false,
        (Role::Customer, Some(_)) => true,
        (Role::Peer, Some(setter)) => setter != facts.neighbour_org,
    };
    if leaked {
        return Err(Denied::Leak.into());
    }
    let rule = decided(facts.first(list, facts.neighbour_org), Denied::NotImported)?;
    Ok(Accepted { rule: Some(rule), local_pref: rule.1.set.local_pref.unwrap_or(LocalPref::of(role)) })
}

/// The only-to-customer mark of a route once it is in: a provider or peer that did not set it means it all the same.
#[must_use]
pub fn mark_on_import<'a>(
    relation: Option<Relation>,
    neighbour_org: &'a str,
    mark: Option<&'a str>,
) -> Option<&'a str> {
    match relation {
        Some(Relation::External(Role::Provider | Role::Peer)) => mark.or(Some(neighbour_org)),
        _ => mark,
    }
}

/// May this route go out to that neighbour? `no_export` is the well-known mark.
///
/// # Errors
/// The reason why not.
pub fn export<'r>(list: &'r RuleList, facts: &Facts<'_>, no_export: bool) -> Result<Accepted<'r>, Refused> {
    let Some(relation) = facts.relation else { return Err(Denied::NoAgreement.into()) };
    let Relation::External(role) = relation else { return Ok(Accepted { rule: None, local_pref: 0 }) };
    if no_export {
        return Err(Denied::NoExport.into());
    }
    if facts.only_to_customer.is_some()
        && role != Role::Customer
        && !(mutant!(LeakToPeers) && role == Role::Peer)
    {
        return Err(Denied::Leak.into());
    }
    if facts.org_path.contains(facts.neighbour_org) && !mutant!(ComesBackSent) {
        return Err(Denied::ComesBack.into());
    }
    let rule = decided(facts.first(list, facts.own_org), Denied::NotExported)?;
    Ok(Accepted { rule: Some(rule), local_pref: 0 })
}

/// The only-to-customer mark of a route as it goes out.
#[must_use]
pub fn mark_on_export<'a>(
    relation: Option<Relation>,
    own_org: &'a str,
    mark: Option<&'a str>,
) -> Option<&'a str> {
    match relation {
        Some(Relation::External(Role::Customer | Role::Peer)) if !mutant!(MarkUnset) => {
            mark.or(Some(own_org))
        }
        _ => mark,
    }
}
