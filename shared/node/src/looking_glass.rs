//! Why a service goes the way it goes, and what other rules would change: what the node answers to `route explain` and
//! `policy plan`; and to `route ls`.

use std::time::Instant;

use catalyst_names::{NodeName, ServiceName};
use catalyst_policy::Direction;
use catalyst_route_table::Store as RouteStore;

use crate::admin::{Answer, PlanAnswer};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::listing::Listing;
use crate::plans::UnderWay;
use crate::rules::{Lists, check};

impl<S: RouteStore> Engine<S> {
    /// Begins a plan.
    ///
    /// # Errors
    /// What is wrong with the rules, and where.
    pub(crate) fn policy_plan(&self, lists: Lists) -> Result<UnderWay, String> {
        check(&lists, &self.facts.config)?;
        let planning = self
            .core
            .planning(&lists.exports, &lists.imports)
            .map_err(|(direction, place, why)| format!("/{}/{place}: {why}", direction.list()))?;
        let (exports, imports) = (self.core.state().exports(), self.core.state().imports());
        let mut rules = catalyst_policy::changes(exports, planning.exports());
        rules.extend(catalyst_policy::changes(imports, planning.imports()));
        Ok(UnderWay { planning, lists, rules, etag: self.rules.lists().etag() })
    }

    /// Goes on with a plan for a while; the answer when it is worked out.
    pub(crate) fn plan_on(&self, this: &mut UnderWay) -> Option<Result<Answer, String>> {
        let until = Instant::now() + Limits::PLANNING;
        let plan = loop {
            if let Some(plan) = self.core.plan_on(&mut this.planning, 1) {
                break plan;
            }
            if Instant::now() >= until {
                return None;
            }
        };
        let etag = self.rules.lists().etag();
        if etag != this.etag {
            return Some(Err(
                "the rules were changed while the plan was worked out: run 'policy plan' again".to_string(),
            ));
        }
        let unreachable = [Direction::Export, Direction::Import]
            .into_iter()
            .flat_map(|d| catalyst_config::policy::unreachable(d, this.lists.list(d)))
            .collect();
        Some(Ok(Answer::Plan(Box::new(PlanAnswer {
            etag,
            rules: std::mem::take(&mut this.rules),
            plan,
            unreachable,
        }))))
    }

    /// Goes on with a list for a while; whether it is complete.
    pub(crate) fn list_on(&self, this: &mut Listing) -> bool {
        let until = Instant::now() + Limits::PLANNING;
        loop {
            let (rows, next) = self.core.state().routes_behind(this.after, Limits::LISTED, |_| true);
            this.rows.extend(rows);
            this.after = next;
            if next.is_none() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// Closed when the rules that were changed are in force for all routes.
    pub(crate) fn judged(&mut self) -> async_channel::Receiver<()> {
        let (tell, judged) = async_channel::bounded(1);
        if self.judged.len() >= Limits::JUDGED {
            self.judged.remove(0);
        }
        self.judged.push(tell);
        judged
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
