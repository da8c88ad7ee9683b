//! The Envoys of the cloud nodes: what their logs show, and what happens when one is killed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::asking::{PATIENCE, REQUEST, peer_state};
use super::fabric::{Fabric, Node};
use super::http;
use super::ports::Port;
use super::process::Identity;
use super::signals::Signals;
use super::wait::{Look, until};

const ORDERS: &str = "orders.globex.example";
/// Between two requests of the load, and how long it goes on after the node is back.
const PACE: Duration = Duration::from_millis(5);
const AFTER: Duration = Duration::from_millis(300);

fn folder(fabric: &Fabric, node: Node) -> PathBuf {
    fabric.socket(node).with_file_name("envoy")
}

fn orders(fabric: &Fabric, mark: &str) -> Result<Duration> {
    http::get_at(fabric.ports.address(Port::Ingress), ORDERS, mark, REQUEST).map(|(_, took)| took)
}

/// One request by Host; then a line in each access log names the caller, and where the request went.
pub fn logged(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let took = orders(fabric, "check-logs")?;
    for (node, cluster) in [
        (Node::Cloud, "peer|cloud-1.globex.example"),
        (Node::Globex, "grant|orders.globex.example|acme.example|local"),
    ] {
        let log = folder(fabric, node).join("access.log");
        until(signals, "the request in both access logs", PATIENCE, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let asked = "spiffe://acme.example/node/cloud-1";
            let shows = |line: &str| [asked, cluster, ORDERS].iter().all(|word| line.contains(word));
            match text.lines().any(shows) {
                true => Look::Done(()),
                false => Look::NotYet(format!("{}: {text}", log.display())),
            }
        })?;
    }
    Ok(took)
}

/// The process of a node's Envoy.
fn envoy(fabric: &Fabric, node: Node) -> Result<Identity> {
    let path = folder(fabric, node).join("envoy.pid");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let pid = serde_json::from_str::<Value>(&text)?["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.and_then(Identity::of).with_context(|| format!("no process runs as {} says: {text}", path.display()))
}

/// SIGKILL of Envoy: another one takes its place, on the same ports.
pub fn killed(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let old = envoy(fabric, Node::Cloud)?;
    let start = Instant::now();
    old.signal("KILL");
    until(signals, "orders answers again", PATIENCE, || match orders(fabric, "check-envoy") {
        Ok(_) => Look::Done(()),
        Err(error) => Look::NotYet(format!("{error:#}")),
    })?;
    let took = start.elapsed();
    let new = envoy(fabric, Node::Cloud)?;
    ensure!(new != old, "it is {old:?} still");
    Ok(took)
}

/// SIGKILL of the node: Envoy goes on without it, and the next run takes it over.
pub fn node_killed(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let before = envoy(fabric, Node::Cloud)?;
    let ingress = fabric.ports.address(Port::Ingress);
    let over = Arc::new(AtomicBool::new(false));
    let ends = over.clone();
    let load = thread::spawn(move || {
        let (mut sent, mut failed) = (0_u32, Vec::new());
        while !ends.load(Ordering::Relaxed) {
            sent += 1;
            if let Err(error) = http::get_at(ingress, ORDERS, "check-load", REQUEST) {
                failed.push(format!("{error:#}"));
            }
            thread::sleep(PACE);
        }
        (sent, failed)
    });
    let start = Instant::now();
    let restarted = again(fabric, signals);
    let took = start.elapsed();
    thread::sleep(AFTER);
    over.store(true, Ordering::Relaxed);
    let (sent, failed) = load.join().map_err(|_| anyhow::anyhow!("the load ended unexpectedly"))?;
    restarted?;
    ensure!(failed.is_empty(), "{} of {sent} requests failed: {}", failed.len(), failed[0]);
    let after = envoy(fabric, Node::Cloud)?;
    ensure!(after == before, "Envoy was {before:?} and is {after:?}");
    Ok(took)
}

fn again(fabric: &mut Fabric, signals: &Signals) -> Result<()> {
    let name = Node::Cloud.name();
    fabric.process(name).context("it does not run")?.kill();
    fabric.forget(name);
    fabric.start_node(Node::Cloud)?;
    until(signals, "both sessions of the node up again", PATIENCE, || {
        fabric.look(Node::Cloud, |status| {
            match [Node::Edge, Node::Globex].iter().find(|n| peer_state(status, n.name()) != Some("up")) {
                Some(node) => Err(format!("{} is not up", node.name())),
                None => Ok(()),
            }
        })
    })?;
    Ok(())
}
