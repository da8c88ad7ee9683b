//! Explanations and plans as lines of text. They are read at night, by somebody who was woken.

use catalyst_control::explain::{CandidateRow, Explanation, OriginRow};
use catalyst_control::observe::WatchRow;
use catalyst_control::plan::{Exposure, Plan};
use catalyst_policy::{Change, Direction, RuleChange};

use crate::admin::{InterestRow, PlanAnswer};
use crate::rule_words::details;

/// A row of a watch: time (UTC), what, service, neighbour, why.
pub(crate) fn watched(row: &WatchRow) -> String {
    let ms = row.at % 86_400_000;
    let time =
        format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let of_watch = match (row.what.as_str(), row.count) {
        ("synced", Some(count)) => Some(format!("{count} route(s); what changes follows")),
        ("synced", None) => Some("what changes follows".to_string()),
        ("missed", count) => Some(format!("{} change(s): {}", count.unwrap_or(0), row.why)),
        ("end", _) => Some(row.why.clone()),
        _ => None,
    };
    match of_watch {
        Some(text) => format!("{time}  {:<11}  {text}", row.what),
        None => format!(
            "{time}  {:<11}  {}  origin {}  via {}  ({})",
            row.what, row.service, row.origin, row.via, row.why
        ),
    }
}

/// What a node asks for.
pub(crate) fn interest(row: &InterestRow) -> String {
    let more = row.count.saturating_sub(row.patterns.len());
    match (row.awaited, row.count, more) {
        (true, ..) => "what it has not said yet".to_string(),
        (_, 0, _) => "nothing ('interest' is empty)".to_string(),
        (_, _, 0) => row.patterns.join(", "),
        _ => format!("{} and {more} more", row.patterns.join(", ")),
    }
}

fn list(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_string() } else { texts.join(" ") }
}

fn candidate(row: &CandidateRow, out: &mut Vec<String>) {
    let mark = match row.route.standing.as_str() {
        "best" => "*",
        "next" => "+",
        "ineligible" => "!",
        _ => " ",
    };
    out.push(format!("  {mark} via {}: {}", row.route.via, row.why));
    let mut facts = vec![
        format!("local_pref {}", row.route.local_pref),
        format!("org_path {}", list(&row.route.org_path)),
        format!("cost {}", row.ranked_cost),
    ];
    if !row.route.node_path.is_empty() {
        facts.push(format!("node_path {}", list(&row.route.node_path)));
    }
    facts.push(format!("weight {}", row.route.weight));
    if !row.route.stale.is_empty() {
        facts.push(row.route.stale.clone());
    }
    if row.route.flapping {
        facts.push("flapping".to_string());
    }
    if row.ranked_cost != row.route.cost {
        facts.push(format!("came with cost {}", row.route.cost));
    }
    if row.route.draining {
        facts.push("draining".to_string());
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
    out.push(format!("      {}", facts.join(", ")));
}

fn origin(row: &OriginRow, out: &mut Vec<String>) {
    let why = match row.standing.as_str() {
        "first" => "used first".to_string(),
        "equal" if row.beyond => "equal to the one before, but gets no traffic".to_string(),
        "equal" => "equal to the one before: they share by weight".to_string(),
        "later" => format!("used when those before it fail ({})", row.why),
        _ => "not usable".to_string(),
    };
    out.push(format!("origin {}: {why}", row.origin));
    row.candidates.iter().for_each(|row| candidate(row, out));
    for heard in &row.announced {
        let rule =
            if heard.rule.is_empty() { String::new() } else { format!(" (export rule '{}')", heard.rule) };
        if heard.announced {
            out.push(format!("  -> announced to {}{rule}", heard.peer));
        } else {
            out.push(format!("  -x not to {}: {}", heard.peer, heard.why));
        }
    }
}

/// An explanation, line by line.
pub(crate) fn explained(explained: &Explanation) -> Vec<String> {
    let beyond = explained.origins.iter().filter(|row| row.beyond).count();
    let mut out = vec![match explained.ways_at_most.filter(|_| beyond > 0) {
        Some(most) => format!(
            "{}: {most} ways at most carry traffic; {beyond} more of the usable ones get none",
            explained.service
        ),
        None => explained.service.clone(),
    }];
    explained.origins.iter().for_each(|row| origin(row, &mut out));
    out
}

fn exposures(head: &str, rows: &[Exposure], out: &mut Vec<String>) {
    if rows.is_empty() {
        return;
    }
    out.push(head.to_string());
    for row in rows {
        let rule = if row.rule.is_empty() { String::new() } else { format!("  ('{}')", row.rule) };
        out.push(format!("  {} -> {}{rule}", row.service, row.to));
    }
}

fn names(head: &str, names: &[String], out: &mut Vec<String>) {
    if !names.is_empty() {
        out.push(head.to_string());
        out.extend(names.iter().map(|name| format!("  {name}")));
    }
}

/// A rule that would not be as it is.
fn rule_change(row: &RuleChange) -> String {
    let what = match row.what {
        Change::Added => "added",
        Change::Dropped => "dropped",
        Change::Changed => "changed",
        Change::Moved => "moved",
    };
    let way = if row.list == Direction::Export { "to" } else { "from" };
    let (list, rule) = (row.list.as_str(), &row.rule);
    format!("  {what:<8} {list} '{}': {} {way} {}, {}", row.name, rule.service, rule.neighbour, details(rule))
}

/// A plan, line by line.
pub(crate) fn plan(answer: &PlanAnswer) -> Vec<String> {
    let plan = &answer.plan;
    let mut lines = Vec::new();
    let out = &mut lines;
    if !answer.rules.is_empty() {
        out.push("rules:".to_string());
        out.extend(answer.rules.iter().map(rule_change));
    }
    if *plan == Plan::default() {
        out.push("nothing would change for the routes that there are now".to_string());
        if answer.rules.iter().any(|row| row.what == Change::Added) {
            let hint = "(a rule for a service that is not there, or that roles hold back, changes none: 'route explain SERVICE')";
            out.push(hint.to_string());
        }
    }
    exposures("newly exposed:", &plan.exposed, out);
    exposures("hidden, and their live flows cut:", &plan.hidden, out);
    exposures("announced with other attributes, or by another way:", &plan.altered, out);
    names("usable from here, newly:", &plan.gained, out);
    names("no longer usable from here:", &plan.lost, out);
    if !plan.moved.is_empty() {
        out.push("reached by another neighbour:".to_string());
        for row in &plan.moved {
            out.push(format!("  {} ({}): {} -> {}", row.service, row.origin, row.from, row.to));
        }
    }
    if !plan.ranked.is_empty() {
        out.push("ranked differently (local_pref, cost):".to_string());
        for row in &plan.ranked {
            let ((a, b), (c, d)) = (row.from, row.to);
            out.push(format!("  {} via {}: {a}, {b} -> {c}, {d}", row.service, row.via));
        }
    }
    names("beyond a limit:", &plan.over_limit, out);
    names("rules that would never decide:", &answer.unreachable, out);
    if plan.left_out > 0 {
        out.push(format!("and {} rows more", plan.left_out));
    }
    lines
}
