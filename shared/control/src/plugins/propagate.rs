//! What each export group hears of a changed key: export policy, then the attributes as they go out.

use alloc::vec;

use catalyst_names::OriginId;
use catalyst_policy::{ExportFacts, Relation, Role, border_origin};
use catalyst_route_table::{Route, RouteKey, Store};
use catalyst_wire::{Attrs, Limits as WireLimits, Path, WellKnown, update::write_entry};

use crate::changes::Changes;
use crate::export::{GroupKind, Marks};
use crate::plugin::PropagationPlugin;
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
        for change in changes.routes.iter().filter(|c| c.best_changed) {
            one(state, change.key, marks, &mut buf);
        }
    }
}

/// Marks one key in every live group.
fn one<S: Store>(state: &State<S>, key: RouteKey, marks: &mut Marks<'_>, buf: &mut [u8]) {
    let best = state.table.best(key);
    for group in marks.groups() {
        // Split horizon leaves nobody to hear a route of the only member.
        let heard = best.filter(|(best, _)| group.sole_member != Some(best.best));
        let element = heard.and_then(|(best, route)| {
            element(state, &group.kind, key, route, buf).map(|element| (best.best, element))
        });
        match element {
            Some((source, element)) => marks.announce(group.id, key, source, element),
            None => marks.withdraw(group.id, key),
        }
    }
}

/// The encoded announcement for one group; `None` when policy keeps it in.
fn element<'b, S: Store>(
    state: &State<S>,
    kind: &GroupKind,
    key: RouteKey,
    route: &Route<S::Attrs>,
    buf: &'b mut [u8],
) -> Option<&'b [u8]> {
    let own = &state.settings.name;
    let service = state.table.text(key.service);
    let origin = state.table.text(key.origin);
    let attrs = Attrs::read(route.attrs.as_ref()).ok()?;
    match kind {
        GroupKind::Internal => {
            if attrs.node_path.len() >= WireLimits::NODE_PATH {
                return None;
            }
            let pref = route.rank.local_pref;
            let out = Attrs {
                node_path: attrs.node_path.prepend(own.node()),
                local_pref: (pref != catalyst_policy::LocalPref::OWN).then_some(pref),
                ..attrs
            };
            write_entry(buf, service, origin, &out).ok()
        }
        GroupKind::External { org, relation, agreement } => {
            let facts = ExportFacts {
                to_org: org.as_str(),
                relation: Some(*relation),
                label: service.split_once('.').map_or(service, |s| s.0),
                foreign: !attrs.org_path.is_empty(),
                no_export: attrs.well_known.has(WellKnown::NO_EXPORT),
            };
            catalyst_policy::export(&state.exports, &facts).ok()?;
            if attrs.org_path.len() >= WireLimits::ORG_PATH {
                return None;
            }
            let mark = match relation {
                Relation::External(Role::Customer | Role::Peer) => attrs.only_to_customer.or(Some(own.org())),
                _ => attrs.only_to_customer,
            };
            let out = Attrs {
                org_path: attrs.org_path.prepend(own.org()),
                node_path: Path::EMPTY,
                local_pref: None,
                only_to_customer: mark,
                ..attrs
            };
            let origin: OriginId = border_origin(&state.settings.border_secret, agreement, origin);
            write_entry(buf, service, origin.as_str(), &out).ok()
        }
    }
}
