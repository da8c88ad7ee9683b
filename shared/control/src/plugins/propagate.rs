//! What each export group hears of a changed key: export policy, then the attributes as they go out.

use alloc::vec;
use alloc::vec::Vec;

use catalyst_names::{NodeName, OrgId, OriginId};
use catalyst_policy::{Facts, Refused, Relation, RuleList, border_origin, mark_on_export};
use catalyst_route_table::{RouteKey, Store};
use catalyst_wire::{Attrs, Limits as WireLimits, Path, Seqnos, WellKnown, update::write_entry};

use crate::changes::Changes;
use crate::export::{GroupKind, Marks};
use crate::plugin::PropagationPlugin;
use crate::plugins::overlay::{changed, imported};
use crate::state::State;

/// Shares everything inside the organisation and, towards others, what the export rules name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Propagate;

impl<S: Store> PropagationPlugin<S> for Propagate {
    fn name(&self) -> &'static str {
        "propagate"
    }

    fn evaluate(&self, state: &State<S>, changes: &Changes, marks: &mut Marks<'_>) {
        let mut buf = vec![0; WireLimits::ENTRY + 8];
        marks.list.reserve(changes.routes.len());
        for change in changes.routes.iter().filter(|c| c.best_changed) {
            one(state, change.key, marks, &mut buf);
        }
    }
}

/// Marks one key in every live group.
fn one<S: Store>(state: &State<S>, key: RouteKey, marks: &mut Marks<'_>, buf: &mut [u8]) {
    let Some((best, route)) = state.table.best(key) else {
        if mutant!(LastPathUntold) {
            return;
        }
        return marks.groups().iter().for_each(|group| marks.withdraw(group.id, key));
    };
    let Ok(mut attrs) = Attrs::read(route.attrs.as_ref()) else {
        return marks.groups().iter().for_each(|group| marks.withdraw(group.id, key));
    };
    if route.rank.stale && !mutant!(StaleMarkUntold) {
        attrs.well_known.0 |= WellKnown::STALE;
    }
    if state.draining {
        attrs.well_known.0 |= WellKnown::GRACEFUL_SHUTDOWN;
    }
    let mut scratch = Vec::new();
    let service = state.table.text(key.service);
    let attrs = imported(state, state.peer_by_sym(best.best), service, attrs, &mut scratch);
    let attrs = Attrs { seqnos: state.numbered(attrs.seqnos, best.stamp), ..attrs };
    let pref = route.rank.local_pref;
    for group in marks.groups() {
        // Split horizon leaves nobody to hear a route of the only member.
        if group.sole_member == Some(best.best) {
            marks.withdraw(group.id, key);
            continue;
        }
        let (rule, element) = element(state, &state.exports.list, &group.kind, key, (&attrs, pref), buf);
        if let Some(rule) = rule {
            marks.matched(rule);
        }
        match element {
            Ok(element) => marks.announce(group.id, key, best.best, element),
            Err(_) => marks.withdraw(group.id, key),
        }
    }
}

/// What export rules look at when they decide about a group.
fn export_facts<'a, S: Store>(
    state: &'a State<S>,
    group: (&'a OrgId, Relation, Option<&'a NodeName>),
    service: &'a str,
    attrs: &Attrs<'a>,
) -> Facts<'a> {
    let (org, relation, node) = group;
    Facts {
        own_org: state.settings.name.org(),
        neighbour_org: org.as_str(),
        neighbour: node.map_or("", NodeName::as_str),
        relation: Some(relation),
        service,
        protocol: attrs.protocol,
        org_path: attrs.org_path,
        tags: attrs.tags,
        only_to_customer: attrs.only_to_customer,
    }
}

/// The encoded announcement for one group, or why policy keeps it in; and the rule that decided. `route` is what import
/// left of the attributes, and local_pref.
pub(crate) fn element<'b, S: Store>(
    state: &State<S>,
    rules: &RuleList,
    kind: &GroupKind,
    key: RouteKey,
    route: (&Attrs<'_>, u32),
    buf: &'b mut [u8],
) -> (Option<u16>, Result<&'b [u8], Kept>) {
    let own = &state.settings.name;
    let service = state.table.text(key.service);
    let origin = state.table.text(key.origin);
    let (attrs, pref) = route;
    match kind {
        GroupKind::Internal => {
            if attrs.node_path.len() >= WireLimits::NODE_PATH {
                return (None, Err(Kept::TooLong));
            }
            let out = Attrs {
                node_path: if mutant!(NodePathForgets) { Path::EMPTY } else { attrs.node_path }
                    .prepend(own.node()),
                local_pref: (pref != catalyst_policy::LocalPref::OWN).then_some(pref),
                ..*attrs
            };
            (None, write_entry(buf, service, origin, &out).map_err(|_| Kept::TooLong))
        }
        GroupKind::External { org, relation, agreement, node } => {
            let facts = export_facts(state, (org, *relation, node.as_ref()), service, attrs);
            let no_export = attrs.well_known.has(WellKnown::NO_EXPORT);
            let accepted = match catalyst_policy::export(rules, &facts, no_export) {
                Ok(accepted) => accepted,
                Err(refused) => return (refused.rule, Err(Kept::Refused(refused))),
            };
            let rule = accepted.rule.map(|(place, _)| place);
            if attrs.org_path.len() >= WireLimits::ORG_PATH {
                return (rule, Err(Kept::TooLong));
            }
            let mut scratch = Vec::new();
            let set = accepted.rule.map(|(_, rule)| &rule.set);
            let Some(out) = set.map_or(Some(*attrs), |set| changed(set, *attrs, &mut scratch)) else {
                return (rule, Err(Kept::TooLong));
            };
            let out = Attrs {
                org_path: out.org_path.prepend(own.org()),
                node_path: Path::EMPTY,
                seqnos: Seqnos::EMPTY,
                local_pref: if mutant!(LocalPrefLeaves) { Some(pref) } else { None },
                only_to_customer: mark_on_export(Some(*relation), own.org(), out.only_to_customer),
                ..out
            };
            let origin: OriginId = border_origin(&state.settings.border_secret, agreement, origin);
            let inner = state.table.text(key.origin);
            let origin = if mutant!(InnerOriginLeaves) { inner } else { origin.as_str() };
            (rule, write_entry(buf, service, origin, &out).map_err(|_| Kept::TooLong))
        }
    }
}

/// Why a group does not hear of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Policy.
    Refused(Refused),
    /// A path or the whole entry would be longer than an entry may be.
    TooLong,
}
