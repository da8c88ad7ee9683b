//! What the demo shows of routing: why a service goes the way it goes, what other rules would change, and changes as they
//! happen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::asking::{PATIENCE, REQUEST, request};
use super::fabric::{Fabric, Node};
use super::http;
use super::ports::Port;
use super::signals::Signals;
use super::wait::{Look, until};

const INVENTORY: &str = "inventory.acme.example";
const ORDERS: &str = "orders.globex.example";
const PAYROLL: &str = "payroll.globex.example";
/// The rules of acme as its file has them, and with one before them.
const TAKEN: &str = r#"{ "exports": [], "imports": [
  { "service": "orders", "from": "globex.example" }, { "service": "payroll", "from": "globex.example" }
] }"#;
const REFUSED: &str = r#"{ "exports": [], "imports": [
  { "name": "no-orders", "service": "orders", "from": "globex.example", "action": "reject" },
  { "service": "*", "from": "globex.example" }
] }"#;
/// As the node refuses to go on without a yes.
const USAGE: i32 = 2;

/// `route explain`: the winner and the step that decided, the rule that let it in or keeps it out, who hears of it and
/// why others do not.
pub fn explained(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let start = Instant::now();
    // Its node was just started again: the edge node may still be on its way back.
    until(signals, "each node explains its routes", PATIENCE, || match as_they_are(fabric) {
        Ok(()) => Look::Done(()),
        Err(error) => Look::NotYet(format!("{error:#}")),
    })?;
    // A rule that rejects is named, and takes the route away.
    apply(fabric, Node::Cloud, REFUSED)?;
    has(
        &said(fabric, Node::Cloud, &["route", "explain", ORDERS])?,
        &["! via cloud-1.globex.example: not used: rejected by 'no-orders'", "-x not to edge-1.acme.example"],
    )?;
    apply(fabric, Node::Cloud, TAKEN)?;
    until(signals, "orders answers again", PATIENCE, || {
        look(request(fabric, Port::Orders, "orders", "check-explain"))
    })?;
    Ok(start.elapsed())
}

fn as_they_are(fabric: &Fabric) -> Result<()> {
    let explain = |fabric: &Fabric, node, service: &str| said(fabric, node, &["route", "explain", service]);
    has(
        &explain(fabric, Node::Cloud, ORDERS)?,
        &[
            "* via cloud-1.globex.example: best: the only usable way",
            "org_path globex.example",
            "import rule 'imports/0'",
            "-> announced to edge-1.acme.example",
            "-x not to cloud-1.globex.example: split horizon",
        ],
    )?;
    has(
        &explain(fabric, Node::Globex, ORDERS)?,
        &["-> announced to cloud-1.acme.example (export rule 'exports/0')"],
    )?;
    has(&explain(fabric, Node::Globex, PAYROLL)?, &["-x not to cloud-1.acme.example: not exported"])?;
    has(
        &explain(fabric, Node::Cloud, INVENTORY)?,
        &[
            "* via edge-1.acme.example: best",
            "node_path edge-1",
            "-x not to cloud-1.globex.example: not exported",
        ],
    )?;
    Ok(())
}

/// `policy plan` and `policy apply`: a plan changes nothing, apply wants a yes, and a service is open for exactly as long
/// as a rule says so.
pub fn planned(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let start = Instant::now();
    let [open, closed] = [fabric.rules(true), fabric.rules(false)].map(|path| path.display().to_string());
    let plan = said(fabric, Node::Globex, &["policy", "plan", &open])?;
    has(&plan, &["newly exposed:", "payroll.globex.example -> cloud-1.acme.example  ('payroll-too')"])?;
    // There is nobody to say yes.
    let (code, asked) = fabric.say(Node::Globex, &["policy", "apply", &open])?;
    ensure!(code == USAGE && asked.contains("give --yes"), "without a yes it ended with {code}: {asked}");
    let now = said(fabric, Node::Globex, &["policy", "ls"])?;
    ensure!(!now.contains("payroll"), "a plan, or an apply without a yes, changed the rules: {now}");
    ensure!(payroll(fabric, "check-planned").is_err(), "payroll answers before the rule was applied");

    has(
        &said(fabric, Node::Globex, &["policy", "apply", &open, "--yes"])?,
        &["these rules hold now:", "payroll-too"],
    )?;
    until(signals, "payroll answers at acme", PATIENCE, || {
        look(request(fabric, Port::Payroll, "payroll", "check-applied"))
    })?;
    has(
        &said(fabric, Node::Globex, &["policy", "plan", &closed])?,
        &["hidden, and their live flows cut:", "payroll.globex.example -> cloud-1.acme.example"],
    )?;
    said(fabric, Node::Globex, &["policy", "apply", &closed, "--yes"])?;
    until(signals, "payroll is hidden again", PATIENCE, || match payroll(fabric, "check-hidden") {
        Ok(body) => Look::NotYet(format!("it answers: {body}")),
        Err(_) => Look::Done(()),
    })?;
    request(fabric, Port::Orders, "orders", "check-closed")?;
    let plan = said(fabric, Node::Globex, &["policy", "plan", &closed])?;
    has(&plan, &["nothing would change"])?;
    Ok(start.elapsed())
}

/// `route watch`, as lines and as JSON: each shows a service that comes and goes at the edge node.
pub fn watched(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    const SERVICE: &str = "prices.acme.example";
    let start = Instant::now();
    // Ends by itself: new, best, gone, unreachable.
    let common = ["route", "watch", "prices", "--changes-only", "--count", "5"];
    let mut lines = fabric.leave(Node::Cloud, "watch", &common)?;
    let mut json = fabric.leave(Node::Cloud, "watch-json", &[&common[..], &["--json"]].concat())?;
    for log in [&lines.log, &json.log] {
        until(signals, "both watch", PATIENCE, || match std::fs::read_to_string(log) {
            Ok(text) if text.contains("synced") => Look::Done(()),
            other => Look::NotYet(format!("{other:?}")),
        })?;
    }
    let target = fabric.ports.address(Port::InventoryServer).to_string();
    said(fabric, Node::Edge, &["service", "add", "prices", "--protocol", "http", "--target", &target])?;
    until(signals, "it is in the cloud", PATIENCE, || {
        match said(fabric, Node::Cloud, &["route", "ls", SERVICE]) {
            Ok(rows) if rows.contains(SERVICE) => Look::Done(()),
            Ok(rows) => Look::NotYet(rows),
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    said(fabric, Node::Edge, &["service", "rm", "prices"])?;
    until(signals, "both have seen it come and go, and ended", PATIENCE, || {
        match (lines.ended(), json.ended()) {
            (Some(a), Some(b)) if a.success() && b.success() => Look::Done(()),
            (Some(a), Some(b)) => Look::Never(format!("they ended with {a} and {b}")),
            _ => Look::NotYet(std::fs::read_to_string(&lines.log).unwrap_or_default()),
        }
    })?;
    let seen = std::fs::read_to_string(&lines.log)?;
    has(
        &seen,
        &["  new  ", "  best  ", "(the only usable way)", "  gone  ", "(withdrawn)", "  unreachable  "],
    )?;
    ensure!(seen.matches(SERVICE).count() == 4, "it speaks of something else: {seen}");
    let rows = std::fs::read_to_string(&json.log)?;
    let rows = rows.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let rows = rows.context("a line of `route watch --json` is no JSON")?;
    let what: Vec<&str> = rows.iter().filter_map(|row| row["what"].as_str()).collect();
    ensure!(what == ["synced", "new", "best", "gone", "unreachable"], "it says {what:?}");
    ensure!(
        rows.iter().skip(1).all(|row| row["service"] == SERVICE && row["via"] == Node::Edge.name()),
        "{rows:?}"
    );
    Ok(start.elapsed())
}

/// What a command says, which must succeed.
fn said(fabric: &Fabric, node: Node, words: &[&str]) -> Result<String> {
    let (code, text) = fabric.say(node, words)?;
    ensure!(code == 0, "`{}` at {} ended with {code}: {text}", words.join(" "), node.name());
    Ok(text)
}

fn has(text: &str, words: &[&str]) -> Result<()> {
    match words.iter().find(|words| !text.contains(**words)) {
        None => Ok(()),
        Some(missing) => bail!("`{missing}` is not in:\n{text}"),
    }
}

fn apply(fabric: &Fabric, node: Node, text: &str) -> Result<()> {
    let path = fabric.folder.path().join("applied.rules.json");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let path = path.display().to_string();
    said(fabric, node, &["policy", "apply", &path, "--yes"]).map(drop)
}

/// What payroll answers at acme.
fn payroll(fabric: &Fabric, mark: &str) -> Result<Value> {
    http::get(fabric.ports.address(Port::Payroll), mark, REQUEST).map(|(body, _)| body)
}

fn look(answer: Result<Duration>) -> Look<()> {
    match answer {
        Ok(_) => Look::Done(()),
        Err(error) => Look::NotYet(format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_told_with_what_was() {
        assert!(has("one two", &["one", "two"]).is_ok());
        let error = has("one two", &["one", "three"]).unwrap_err().to_string();
        assert!(error.contains("`three`") && error.contains("one two"), "{error}");
    }
}
