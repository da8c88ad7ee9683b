//! A propagation plugin as a user writes one, in a crate of its own: services that carry a tag are announced to some
//! organisations alone, whatever the export rules say. `docs/plugins.md` walks through it.
//!
//! Rules could say the same, one by one; a plugin says it once, and nobody can forget it when rules are edited.

use catalyst_control::export::{GroupInfo, GroupKind, Marks};
use catalyst_control::plugin::PropagationPlugin;
use catalyst_control::{Changes, State};
use catalyst_names::OrgId;
use catalyst_route_table::{RouteKey, Store};
use catalyst_wire::Attrs;

/// Services with the tag are for these organisations, and for one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confine {
    /// `organisation:label`.
    pub tag: String,
    /// Who may hear of the services all the same.
    pub to: Vec<OrgId>,
}

impl Confine {
    /// Whether the best route of a key carries the tag.
    fn concerns<S: Store>(&self, state: &State<S>, key: RouteKey) -> bool {
        let Some((_, route)) = state.table().best(key) else { return false };
        Attrs::read(route.attrs.as_ref()).is_ok_and(|attrs| attrs.tags.contains(&self.tag))
    }

    /// Whether a group of neighbours must not hear of it.
    fn shuts_out(&self, group: &GroupInfo) -> bool {
        match &group.kind {
            GroupKind::Internal => false,
            GroupKind::External { org, .. } => !self.to.contains(org),
        }
    }
}

impl<S: Store> PropagationPlugin<S> for Confine {
    fn name(&self) -> &'static str {
        "confine"
    }

    // It looks at what changed and at nothing else, so its cost does not grow with the table.
    fn evaluate(&self, state: &State<S>, changes: &Changes, marks: &mut Marks<'_>) {
        for change in changes.routes.iter().filter(|change| self.concerns(state, change.key)) {
            for group in marks.groups().iter().filter(|group| self.shuts_out(group)) {
                // Of several wishes for one key of one group the last counts. This plugin is added after the default
                // ones, so it has the last word; what it does not speak of stays as they decided.
                marks.withdraw(group.id, change.key);
            }
        }
    }
}
