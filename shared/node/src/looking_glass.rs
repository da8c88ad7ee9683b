//! Why a service goes the way it goes, and what other rules would change: what the node answers to `route explain` and
//! `policy plan`.

use catalyst_names::{NodeName, ServiceName};
use catalyst_policy::Direction;
use catalyst_route_table::Store as RouteStore;

use crate::admin::{Answer, PlanAnswer};
use crate::engine::Engine;
use crate::rules::{Lists, check};

impl<S: RouteStore> Engine<S> {
    pub(crate) fn policy_plan(&self, lists: &Lists) -> Result<Answer, String> {
        check(lists, &self.facts.config)?;
        let plan = self
            .core
            .plan(&lists.exports, &lists.imports)
            .map_err(|(direction, place, why)| format!("/{}/{place}: {why}", direction.list()))?;
        let unreachable = [Direction::Export, Direction::Import]
            .into_iter()
            .flat_map(|d| catalyst_config::policy::unreachable(d, lists.list(d)))
            .collect();
        Ok(Answer::Plan(Box::new(PlanAnswer { etag: self.rules.lists().etag(), plan, unreachable })))
    }

    pub(crate) fn explain(&self, service: &str, peer: Option<&NodeName>) -> Result<Answer, String> {
        if let Some(peer) = peer
            && self.core.state().peer(peer).is_none()
        {
            return Err(format!("'{peer}' is no peer of this node; see 'peer ls'"));
        }
        if let Err(why) = ServiceName::parse(service) {
            return Err(format!("'{service}' is no full name of a service: {why}"));
        }
        let found = self.core.explain(service, peer);
        found.map(|e| Answer::Explained(Box::new(e))).ok_or_else(|| {
            format!(
                "no neighbour announces '{service}', and no service of this node has that name: 'route ls' lists what is \
                 known; ask at the node where the service lives ('catalyst export why')"
            )
        })
    }
}
