//! SIGKILL of an Envoy or of a node under load: how many requests fail. Real nodes: one takes requests at its ingress, the
//! other two have the service `web`, and one of these has `lone` alone.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::Binaries;
use crate::daemon::wait;
use crate::org::Org;
use crate::report::{Bar, Report};

use super::real::Real;
use super::web::{Client, service};
use super::wrk::{self, Wrk};

const CONNECTIONS: u64 = 16;
/// Seconds of load; a part of it is before.
const SECONDS: u64 = 5;
const BEFORE: Duration = Duration::from_millis(1500);
const TURNS: usize = 3;

/// What is killed.
#[derive(Clone, Copy)]
enum Victim {
    Envoy,
    Node,
}

impl Victim {
    fn kill(self, node: &Real) -> Result<()> {
        let pid = match self {
            Victim::Envoy => node.envoy()?,
            Victim::Node => node.daemon.pid(),
        };
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?)
    }
}

struct World {
    _folder: tempfile::TempDir,
    ingress: SocketAddr,
    a: Real,
    b: Real,
    _c: Real,
}

fn build(binaries: &Binaries, pages: [SocketAddr; 2]) -> Result<World> {
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let offer =
        |name: &str, at: SocketAddr| json!({ "name": name, "protocol": "http", "target": at.to_string() });
    let origin = |name: &str, services: Value| {
        let config = json!({ "peers": [{ "node": "a" }], "services": services });
        Real::start(binaries, &org, name, folder.path(), config)
    };
    let b = origin("b", json!([offer("web", pages[0]), offer("lone", pages[0])]))?;
    let c = origin("c", json!([offer("web", pages[1])]))?;
    let peer = |name: &str, node: &Real| -> Result<Value> {
        Ok(json!({ "node": name, "address": node.daemon.address()?.to_string() }))
    };
    let peers = json!([peer("b", &b)?, peer("c", &c)?]);
    let a = Real::start(binaries, &org, "a", folder.path(), json!({ "peers": peers }))?;
    let ingress = a.ingress()?;
    a.daemon.until_up()?;
    let mut client = Client::new(ingress);
    client
        .until("lone.acme.example", "b", Instant::now())
        .with_context(|| a.daemon.log().unwrap_or_default())?;
    let mut seen = [false; 2];
    wait("answers of both", || {
        let (_, words) = client.ask("web.acme.example")?;
        seen = [seen[0] || words == "b", seen[1] || words == "c"];
        Ok((seen == [true; 2]).then_some(()))
    })?;
    Ok(World { _folder: folder, ingress, a, b, _c: c })
}

/// What the first Envoy says of the requests that it did not answer with 200: how often which words.
fn failures(log: &Path) -> Vec<(String, usize)> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let said = ["status", "flags", "cluster", "tries", "details"].map(|key| match &line[key] {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        });
        if said[0] != "200" {
            *all.entry(said.join(" ")).or_insert(0) += 1;
        }
    }
    all.into_iter().collect()
}

/// Requests that failed, and the milliseconds until one after the kill was answered.
fn once(binaries: &Binaries, pages: [SocketAddr; 2], host: &str, victim: Victim) -> Result<(u64, f64)> {
    let world = build(binaries, pages)?;
    let load = Wrk::new(world.ingress, host, CONNECTIONS, SECONDS).start()?;
    thread::sleep(BEFORE);
    victim.kill(&world.b)?;
    let start = Instant::now();
    let mut client = Client::new(world.ingress);
    let again = loop {
        let answer = client.ask(host);
        if matches!(answer, Ok((200, _))) || start.elapsed().as_secs() > SECONDS {
            break start.elapsed();
        }
    };
    let outcome = wrk::ended(load)?;
    eprintln!("  {host}: {} of {} failed", outcome.errors, outcome.requests);
    for (why, times) in failures(&world.a.folder.join("state/envoy/access.log")) {
        eprintln!("    {times} times {why}");
    }
    Ok((outcome.errors, again.as_secs_f64() * 1e3))
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let pages = [service("b")?, service("c")?];
    for (what, host, victim, bar) in [
        ("Envoy killed, another node has the service", "web", Victim::Envoy, Bar::AtMost(0.0)),
        ("node killed, another node has the service", "web", Victim::Node, Bar::AtMost(0.0)),
        ("node killed, its Envoy lives", "lone", Victim::Node, Bar::AtMost(CONNECTIONS as f64)),
        ("the only Envoy killed", "lone", Victim::Envoy, Bar::None),
    ] {
        let (mut failed, mut away) = (0, 0.0f64);
        for _ in 0..TURNS {
            let (errors, again) = once(binaries, pages, &format!("{host}.acme.example"), victim)?;
            failed = errors.max(failed);
            away = again.max(away);
        }
        report.add(format!("{what}: failed requests, most of {TURNS}"), failed as f64, "", bar);
        // After a node's end its Envoy answers at first, so this would say nothing of when the routes go.
        if matches!(victim, Victim::Envoy) {
            report.add(format!("{what}: until the next answer, slowest"), away, "ms", Bar::None);
        }
    }
    Ok(())
}
