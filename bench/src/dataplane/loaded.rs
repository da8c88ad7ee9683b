//! A real node that hears of 10,000 services of a neighbour: what the process takes, with all that a node has besides its
//! planner.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use crate::Binaries;
use crate::daemon::wait;
use crate::edge::load::free_port;
use crate::org::Org;
use crate::proc;
use crate::report::{Bar, Report};
use crate::routes::Speaker;

use super::real::Real;
use super::web::Client;

const SERVICES: usize = 10_000;

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let config =
        json!({ "peers": [{ "node": "source" }], "limits": { "routes": 20_000, "routes_per_peer": 20_000 } });
    let node = Real::start(binaries, &org, "middle", folder.path(), config)?;
    let mut client = Client::new(node.ingress()?);
    let at = |index: usize| format!("service-{index}.acme.example");
    wait("the ingress", || Ok(client.ask(&at(0)).ok().filter(|answer| answer.0 == 404)))?;
    let empty = proc::memory(node.daemon.pid())?;
    // Nobody is at this mesh port: that Envoy tries it shows that it knows the service.
    let mesh = free_port()?.to_string();
    let mut source = Speaker::connect(&org, "source", &mesh, node.daemon.address()?, Box::new(|_| ()))?;
    let start = Instant::now();
    source.announce_all(SERVICES)?;
    wait("the last service", || Ok(client.ask(&at(SERVICES - 1)).ok().filter(|answer| answer.0 == 503)))?;
    let loaded = start.elapsed().as_secs_f64();
    let full = proc::memory(node.daemon.pid())?;
    let what = "a real node, 10,000 services of a neighbour";
    report.add(format!("{what}: told -> Envoy tries the last one"), loaded, "s", Bar::AtMost(10.0));
    let megabytes = |bytes: f64| bytes / 1e6;
    report.add(format!("{what}: RSS"), megabytes(full.resident), "MB", Bar::AtMost(60.0));
    report.add(format!("{what}: of it anonymous"), megabytes(full.anonymous), "MB", Bar::None);
    report.add("the same node before: RSS", megabytes(empty.resident), "MB", Bar::None);
    Ok(())
}
