//! Why a service goes the way it goes, and what other rules would change: asked by `route explain`, `policy plan`. What is
//! printed here is read at night, by somebody who was woken.

use catalyst_control::explain::{CandidateRow, Explanation, OriginRow};
use catalyst_control::plan::{Exposure, Plan};
use catalyst_names::{NodeName, ServiceName};
use catalyst_policy::Direction;
use catalyst_route_table::Store as RouteStore;

use crate::admin::{Answer, PlanAnswer};
use crate::engine::Engine;
use crate::output::line;
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

fn list(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_string() } else { texts.join(" ") }
}

fn candidate(row: &CandidateRow) {
    let mark = match row.route.standing.as_str() {
        "best" => "*",
        "next" => "+",
        "ineligible" => "!",
        _ => " ",
    };
    line(&format!("  {mark} via {}: {}", row.route.via, row.why));
    let mut facts = vec![
        format!("local_pref {}", row.route.local_pref),
        format!("org_path {}", list(&row.route.org_path)),
        format!("cost {}", row.ranked_cost),
    ];
    if !row.route.node_path.is_empty() {
        facts.push(format!("node_path {}", list(&row.route.node_path)));
    }
    facts.push(format!("weight {}", row.route.weight));
    if row.ranked_cost != row.route.cost {
        facts.push(format!("came with cost {}", row.route.cost));
    }
    if !row.route.tags.is_empty() {
        facts.push(format!("tags {}", list(&row.route.tags)));
    }
    if let Some(mark) = &row.only_to_customer {
        facts.push(format!("only-to-customer set by {mark}"));
    }
    if !row.rule.is_empty() {
        facts.push(format!("import rule '{}'", row.rule));
    }
    line(&format!("      {}", facts.join(", ")));
}

fn origin(row: &OriginRow) {
    let why = match row.standing.as_str() {
        "first" => "used first".to_string(),
        "equal" => "equal to the one before: they share by weight".to_string(),
        "later" => format!("used when those before it fail ({})", row.why),
        _ => "not usable".to_string(),
    };
    line(&format!("origin {}: {why}", row.origin));
    row.candidates.iter().for_each(candidate);
    for heard in &row.announced {
        let rule =
            if heard.rule.is_empty() { String::new() } else { format!(" (export rule '{}')", heard.rule) };
        if heard.announced {
            line(&format!("  -> announced to {}{rule}", heard.peer));
        } else {
            line(&format!("  -x not to {}: {}", heard.peer, heard.why));
        }
    }
}

/// An explanation in words.
pub(crate) fn explained(explained: &Explanation) {
    line(&explained.service);
    explained.origins.iter().for_each(origin);
}

fn exposures(head: &str, rows: &[Exposure]) {
    if rows.is_empty() {
        return;
    }
    line(head);
    for row in rows {
        let rule = if row.rule.is_empty() { String::new() } else { format!("  ('{}')", row.rule) };
        line(&format!("  {} -> {}{rule}", row.service, row.to));
    }
}

/// A plan in words.
pub(crate) fn plan(answer: &PlanAnswer) {
    let plan = &answer.plan;
    if *plan == Plan::default() {
        line("nothing would change for the routes that there are now");
    }
    exposures("newly exposed:", &plan.exposed);
    exposures("hidden, and their live flows cut:", &plan.hidden);
    exposures("announced with other attributes, or by another way:", &plan.altered);
    let names = |head: &str, names: &[String]| {
        if !names.is_empty() {
            line(head);
            names.iter().for_each(|name| line(&format!("  {name}")));
        }
    };
    names("usable from here, newly:", &plan.gained);
    names("no longer usable from here:", &plan.lost);
    if !plan.moved.is_empty() {
        line("reached by another neighbour:");
        for row in &plan.moved {
            line(&format!("  {} ({}): {} -> {}", row.service, row.origin, row.from, row.to));
        }
    }
    if !plan.ranked.is_empty() {
        line("ranked differently (local_pref, cost):");
        for row in &plan.ranked {
            let ((a, b), (c, d)) = (row.from, row.to);
            line(&format!("  {} via {}: {a}, {b} -> {c}, {d}", row.service, row.via));
        }
    }
    names("beyond a limit:", &plan.over_limit);
    names("rules that would never decide:", &answer.unreachable);
    if plan.left_out > 0 {
        line(&format!("and {} rows more", plan.left_out));
    }
}
