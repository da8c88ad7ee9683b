//! What `--check` asks and expects, one line a check.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::asking::{PATIENCE, REQUEST, peer_state, request};
use super::envoys;
use super::fabric::{Fabric, NODES, Node};
use super::http;
use super::joining;
use super::ports::Port;
use super::print;
use super::routing;
use super::signals::Signals;
use super::wait::{Look, until};

/// The bar for noticing that a neighbour died, on the default link profile.
const NOTICED: Duration = Duration::from_secs(3);
const INVENTORY: &str = "inventory.acme.example";
const ORDERS: &str = "orders.globex.example";
const PAYROLL: &str = "payroll.globex.example";

/// Waits until both sessions stand, both tables are whole, and what shall be reachable is.
///
/// # Errors
/// When that does not happen, with what was there instead.
pub fn ready(fabric: &mut Fabric, signals: &Signals) -> Result<()> {
    until(signals, "both sessions up and two services reachable", PATIENCE, || {
        fabric.look(Node::Cloud, |status| {
            for peer in [Node::Edge.name(), Node::Globex.name()] {
                match peer_state(status, peer) {
                    Some("up") => {}
                    other => return Err(format!("{peer} is {}", other.unwrap_or("unknown"))),
                }
            }
            match [INVENTORY, ORDERS].iter().find(|service| exposed(status, service) != Some("reachable")) {
                Some(service) => Err(format!("{service}: {}", exposed(status, service).unwrap_or("unknown"))),
                None => Ok(()),
            }
        })
    })?;
    Ok(())
}

/// Runs every check but the last. Each prints its line; gives whether all passed.
pub fn all(fabric: &mut Fabric, signals: &Signals) -> bool {
    type Check = fn(&mut Fabric, &Signals) -> Result<Duration>;
    let checks: [(&str, Check); 16] = [
        ("inventory, behind an edge node that only dials out, answers at acme's cloud node", inventory),
        ("orders, which globex exports to acme, answers at acme's cloud node", orders),
        ("payroll, which globex does not export, has no route at acme and gives no answer", payroll),
        ("orders by Host at acme's Envoy: both Envoys' logs show who asked whom", envoys::logged),
        ("acme's Envoy killed (SIGKILL): it is back, orders answers on the same port", envoys::killed),
        ("acme's node killed (SIGKILL) under load and started again: no request failed", envoys::node_killed),
        ("route explain: the step that decided, the rule by its name, who hears of it", routing::explained),
        ("payroll exposed by policy plan and apply: answers at acme, until a plan back", routing::planned),
        ("route watch: a service that comes and goes, as lines and as JSON", routing::watched),
        ("globex drained, and taken back: acme sees the mark, orders still answers", drained),
        ("edge-2 joins with a one-time token, which is of no use a second time", joining::joined),
        ("edge to edge: inventory, of edge-1, answers at edge-2", joining::across),
        (
            "the same by UDP: clock, of edge-1, answers at edge-2, and the packets are counted",
            joining::packets,
        ),
        ("edge-2 revoked: its session is cut, and it stays out", joining::revoked),
        ("edge node killed (SIGKILL): loss noticed, route not used, no answer", killed),
        ("edge node started again: inventory answers", restarted),
    ];
    let mut good = true;
    for (says, check) in checks {
        let outcome = check(fabric, signals);
        // A check that somebody interrupted says nothing.
        if signals.came() {
            return false;
        }
        good &= line(says, outcome);
    }
    good
}

/// The last check: everything stops by itself when asked, in order, and nothing is left.
pub fn ended(fabric: &mut Fabric) -> bool {
    let says = match fabric.folder.keep() {
        false => "all stopped in order: no process, port or file is left behind",
        true => "all stopped in order: no process or port is left behind; the folder stays",
    };
    line(says, stop(fabric))
}

fn line(says: &str, outcome: Result<Duration>) -> bool {
    match outcome {
        Ok(took) => print::result("ok", says, Some(took)),
        Err(error) => {
            print::result("FAIL", says, None);
            print::indented(&format!("{error:#}"));
            return false;
        }
    }
    true
}

fn inventory(fabric: &mut Fabric, _: &Signals) -> Result<Duration> {
    request(fabric, Port::Inventory, "inventory", "check-inventory")
}

fn orders(fabric: &mut Fabric, _: &Signals) -> Result<Duration> {
    request(fabric, Port::Orders, "orders", "check-orders")
}

fn payroll(fabric: &mut Fabric, _: &Signals) -> Result<Duration> {
    // It runs and globex offers it: what keeps it from acme is that it is not exported.
    http::get(fabric.ports.address(Port::PayrollServer), "direct", REQUEST)
        .context("payroll does not answer even its own organisation")?;
    ensure!(!routes(fabric, Node::Globex, PAYROLL)?.is_empty(), "globex itself has no route of payroll");
    let found = routes(fabric, Node::Cloud, PAYROLL)?;
    ensure!(found.is_empty(), "acme has a route of it: {}", Value::from(found));
    let start = Instant::now();
    let mark = "check-payroll";
    if let Ok((body, _)) = http::get(fabric.ports.address(Port::Payroll), mark, REQUEST) {
        bail!("it answered: {body}");
    }
    let took = start.elapsed();
    ensure!(took < REQUEST, "it neither answered nor ended the connection within {} s", REQUEST.as_secs());
    let log = fabric.process("payroll").map(|process| process.log.clone()).context("payroll does not run")?;
    let log = std::fs::read_to_string(log)?;
    ensure!(log.contains("direct") && !log.contains(mark), "the request reached payroll:\n{log}");
    Ok(took)
}

/// There is no other way to orders, so it is used all the same.
fn drained(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let start = Instant::now();
    for marked in [true, false] {
        fabric.drain(Node::Globex, marked)?;
        until(signals, "acme sees it", PATIENCE, || match routes(fabric, Node::Cloud, ORDERS) {
            Ok(found) if found.iter().any(|row| (row["draining"] == true) == marked) => Look::Done(()),
            Ok(found) => Look::NotYet(Value::from(found).to_string()),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })?;
        request(fabric, Port::Orders, "orders", "check-drained")?;
    }
    Ok(start.elapsed())
}

fn killed(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let edge = Node::Edge.name();
    fabric.process(edge).context("it does not run")?.kill();
    fabric.forget(edge);
    let (_, noticed) = until(signals, "acme's cloud node sees it down", NOTICED, || {
        fabric.look(Node::Cloud, |status| match peer_state(status, edge) {
            Some("down") => Ok(()),
            other => Err(format!("{edge} is {}", other.unwrap_or("unknown"))),
        })
    })?;
    // The route stays for the restart time, but nothing can lead there.
    until(signals, "its route is not used", NOTICED.saturating_sub(noticed), || {
        match routes(fabric, Node::Cloud, INVENTORY) {
            Ok(found) if found.iter().all(|row| row["standing"] == "ineligible") => Look::Done(()),
            Ok(found) => Look::NotYet(Value::from(found).to_string()),
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    if let Ok((body, _)) = http::get(fabric.ports.address(Port::Inventory), "check-dead", REQUEST) {
        bail!("something still answers: {body}");
    }
    Ok(noticed)
}

fn restarted(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let start = Instant::now();
    fabric.start_node(Node::Edge)?;
    until(signals, "inventory answers again", PATIENCE, || {
        if let Some((name, how)) = fabric.fallen() {
            return Look::Never(format!("{name} ended with {how}"));
        }
        match request(fabric, Port::Inventory, "inventory", "check-again") {
            Ok(_) => Look::Done(()),
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    Ok(start.elapsed())
}

fn stop(fabric: &mut Fabric) -> Result<Duration> {
    let start = Instant::now();
    let processes = fabric.folder.processes();
    let stopped = fabric.stop()?;
    let took = start.elapsed();
    if let Some((_, name)) = processes.iter().find(|(identity, _)| identity.alive()) {
        bail!("{name} still runs");
    }
    if let Some(address) = fabric.ports.busy() {
        bail!("{address} is still in use");
    }
    // A node that was killed, and not started again before somebody ended the demo, could not remove its own.
    let in_order = NODES.iter().filter(|node| stopped.iter().any(|name| name == node.name()));
    for socket in in_order.map(|node| fabric.socket(*node)) {
        ensure!(!socket.exists(), "the admin socket {} is left", socket.display());
    }
    fabric.folder.remove()?;
    let path = fabric.folder.path();
    ensure!(fabric.folder.keep() || !path.exists(), "{} is left", path.display());
    Ok(took)
}

fn exposed<'a>(status: &'a Value, service: &str) -> Option<&'a str> {
    let row = status.get("expose")?.as_array()?.iter().find(|row| row["service"] == service)?;
    row.get("state")?.as_str()
}

fn routes(fabric: &Fabric, node: Node, service: &str) -> Result<Vec<Value>> {
    let answer = fabric.ask(node, &["route", "ls"])?;
    let rows = answer.as_array().context("`route ls --json` is no list")?;
    Ok(rows.iter().filter(|row| row["service"] == service).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_are_read_from_status() {
        let status = json!({
            "peers": [{ "name": "a.x", "state": "up" }, { "name": "b.x", "state": "down" }],
            "expose": [{ "service": "s.x", "state": "reachable" }],
        });
        assert_eq!(peer_state(&status, "b.x"), Some("down"));
        assert_eq!(peer_state(&status, "c.x"), None);
        assert_eq!(exposed(&status, "s.x"), Some("reachable"));
        assert_eq!(exposed(&json!({}), "s.x"), None);
    }
}
