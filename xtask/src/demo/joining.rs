//! The checks of a node that joins while the others run: by token, from edge to edge, and revoked at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::asking::{PATIENCE, peer_state, request};
use super::fabric::{CLOCK, Fabric, Node};
use super::ports::Port;
use super::signals::Signals;
use super::udp;
use super::wait::{Look, until};

/// It joins and runs; somebody who found the token does not.
pub fn joined(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let start = Instant::now();
    let token = fabric.invite()?;
    let config = fabric.config(Node::Joined);
    fabric.join(&token, &config)?;
    let thief = fabric.folder.path().join("thief").join("catalyst.json");
    match fabric.join(&token, &thief) {
        Ok(()) => bail!("the token was good a second time"),
        Err(error) => ensure!(error.to_string().contains("used already"), "it said: {error:#}"),
    }
    fabric.start_joined()?;
    let name = Node::Joined.name();
    until(signals, "acme's cloud node sees it up", PATIENCE, || {
        fabric.look(Node::Cloud, |status| match peer_state(status, name) {
            Some("up") => Ok(()),
            other => Err(format!("{name} is {}", other.unwrap_or("unknown"))),
        })
    })?;
    Ok(start.elapsed())
}

/// Through the cloud node, between two that nobody can dial.
pub fn across(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let (took, _) = until(signals, "inventory answers at edge-2", PATIENCE, || {
        if let Some((name, how)) = fabric.fallen() {
            return Look::Never(format!("{name} ended with {how}"));
        }
        match request(fabric, Port::JoinedInventory, "inventory", "check-across") {
            Ok(took) => Look::Done(took),
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    Ok(took)
}

/// The same way, in datagrams.
pub fn packets(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let pid = fabric.process(CLOCK).context("clock does not run")?.pid();
    let address = fabric.ports.address(Port::JoinedClock);
    until(signals, "edge-2 knows the way to clock", PATIENCE, || {
        fabric.look(Node::Joined, |status| {
            let rows = status["expose"].as_array();
            let row = rows.and_then(|rows| rows.iter().find(|row| row["service"] == "clock.acme.example"));
            match row.and_then(|row| row["state"].as_str()) {
                Some("reachable") => Ok(()),
                other => Err(format!("it is {}", other.unwrap_or("unknown"))),
            }
        })
    })?;
    let (answer, took) = udp::ask(address, "what time is it?", PATIENCE)?;
    ensure!(
        answer.ends_with(&format!("clock, pid {pid}")),
        "the answer is not from clock, pid {pid}: {answer}"
    );
    for node in [Node::Joined, Node::Cloud, Node::Edge] {
        let udp = fabric.ask(node, &["status"])?["udp"].clone();
        let there = udp["to_services"][0].as_u64() > Some(0) && udp["from_services"][0].as_u64() > Some(0);
        ensure!(there, "{} has counted no packets: {udp}", node.name());
    }
    Ok(took)
}

/// The node itself learns why.
pub fn revoked(fabric: &mut Fabric, signals: &Signals) -> Result<Duration> {
    let start = Instant::now();
    fabric.revoke()?;
    let name = Node::Cloud.name();
    until(signals, "it is told that it was revoked", PATIENCE, || {
        fabric.look(Node::Joined, |status| {
            let row = status["peers"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
            let why = row.and_then(|row| row["last_error"].as_str()).unwrap_or_default();
            if why.contains("revoked") { Ok(()) } else { Err(format!("its last error is: {why}")) }
        })
    })?;
    let took = start.elapsed();
    if request(fabric, Port::JoinedInventory, "inventory", "check-revoked").is_ok() {
        bail!("inventory still answers at edge-2");
    }
    let status = fabric.ask(Node::Cloud, &["status"])?;
    ensure!(peer_state(&status, Node::Joined.name()).is_none(), "it is still a peer");
    Ok(took)
}
