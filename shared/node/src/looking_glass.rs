//! Why a service goes the way it goes, and what other rules would change: what the node answers to `route explain` and
//! `policy plan`; and to `route ls`.

use std::time::Instant;

use catalyst_control::explain::{Explanation, OriginRow};
use catalyst_control::view::RouteRow;
use catalyst_names::{NodeName, ServiceName};
use catalyst_policy::Direction;
use catalyst_route_table::Store as RouteStore;

use crate::admin::{Answer, PlanAnswer};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::listing::Listing;
use crate::plans::UnderWay;
use crate::rules::{Lists, check};

/// The best way to an origin.
fn way(row: Option<&OriginRow>) -> Option<&RouteRow> {
    row.and_then(|row| row.candidates.first()).map(|way| &way.route)
}

/// Marks the origins that have so many ways before them that they carry no traffic. Whoever joins ways takes each neighbour for
/// one.
fn limit_ways(explained: &mut Explanation, most: usize, joins: bool) {
    let mut used: Vec<String> = Vec::new();
    for row in explained.origins.iter_mut().filter(|row| row.standing != "unusable") {
        let via = way(Some(row)).map_or(String::new(), |way| way.via.clone());
        if joins && used.contains(&via) {
            continue;
        }
        row.beyond = used.len() >= most;
        if !row.beyond {
            used.push(via);
        }
    }
    explained.ways_at_most = Some(most);
}

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
        let mut found = self.core.explain(service, peer);
        if let Some(explained) = &mut found {
            let udp = way(explained.origins.first()).is_some_and(|way| way.protocol == "udp");
            match self.tables.mesh().get().filter(|_| !udp) {
                Some(mesh) => limit_ways(explained, mesh.ways(), true),
                None => limit_ways(explained, self.tables.most_endpoints(), false),
            }
        }
        found.map(|e| Answer::Explained(Box::new(e))).ok_or_else(|| {
            format!(
                "no neighbour announces '{service}', and no service of this node has that name: 'route ls' lists what is \
                 known; ask at the node where the service lives ('catalyst export why')"
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::in_words;

    /// Origins that are equal, each by this neighbour, and one that cannot be used.
    fn explained(vias: &[&str]) -> Explanation {
        let origin = |(n, via): (usize, &&str)| {
            serde_json::json!({ "origin": format!("o{n}"), "standing": if n == 0 { "first" } else { "equal" },
                "announced": [], "candidates": [{ "service": "s.acme.example", "origin": format!("o{n}"),
                    "protocol": "tcp", "via": via, "standing": "best", "org_path": [], "node_path": [],
                    "local_pref": 400, "cost": 0, "weight": 100, "tags": [], "healthy": true, "ranked_cost": 0,
                    "why": "best: the only usable way" }] })
        };
        let mut origins: Vec<_> = vias.iter().enumerate().map(origin).collect();
        origins.push(serde_json::json!({ "origin": "none", "standing": "unusable", "candidates": [], "announced": [] }));
        serde_json::from_value(serde_json::json!({ "service": "s.acme.example", "origins": origins }))
            .unwrap()
    }

    fn beyond(vias: &[&str], most: usize, joins: bool) -> Vec<bool> {
        let mut explained = explained(vias);
        limit_ways(&mut explained, most, joins);
        assert_eq!(explained.ways_at_most, Some(most));
        explained.origins.iter().map(|row| row.beyond).collect()
    }

    #[test]
    fn what_is_beyond_the_ways_that_carry_traffic_is_marked() {
        assert_eq!(beyond(&["a", "b", "c"], 3, false), [false; 4]);
        assert_eq!(beyond(&["a", "b", "c"], 2, false), [false, false, true, false]);
        // One neighbour is one way for whoever joins them, however many origins lie behind it.
        assert_eq!(beyond(&["a", "a", "b", "c", "a"], 2, true), [false, false, false, true, false, false]);
        assert_eq!(beyond(&["a", "a", "b"], 2, false), [false, false, true, false]);
    }

    #[test]
    fn it_is_said() {
        let mut explained = explained(&["a", "b", "c"]);
        limit_ways(&mut explained, 2, false);
        let lines = in_words::explained(&explained);
        assert_eq!(
            lines[0],
            "s.acme.example: 2 ways at most carry traffic; 1 more of the usable ones get none"
        );
        assert!(lines.contains(&"origin o1: equal to the one before: they share by weight".to_string()));
        assert!(lines.contains(&"origin o2: equal to the one before, but gets no traffic".to_string()));
        limit_ways(&mut explained, 3, false);
        assert_eq!(in_words::explained(&explained)[0], "s.acme.example");
    }
}
