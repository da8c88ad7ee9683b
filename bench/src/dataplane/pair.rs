//! Client, Envoy, mutual TLS, Envoy, service: what the two Envoys spend, beside a pair that was configured by hand.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result};
use catalyst_dataplane::Via;
use catalyst_names::{Protocol, ServiceName};

use crate::Binaries;
use crate::edge::load;
use crate::org::Org;
use crate::proc;
use crate::report::{Bar, Report, quantile, sorted};

use super::by_hand::Pair;
use super::envoy::Envoy;
use super::node::{Node, join, local, settled, ways};
use super::web::{Client, service};
use super::wrk::Wrk;

const TURNS: usize = 11;
const BYTES: u64 = 1_000_000_000;
/// Seconds of requests a turn.
const SECONDS: u64 = 3;
const CONNECTIONS: u64 = 16;

/// One of the two.
struct Side<'a> {
    ingress: SocketAddr,
    port: SocketAddr,
    envoys: [&'a Envoy; 2],
    request: Vec<f64>,
    rate: Vec<f64>,
    bulk: Vec<f64>,
}

impl Side<'_> {
    fn cpu(&self) -> Result<f64> {
        self.envoys.iter().map(|envoy| proc::cpu_seconds(envoy.pid())).sum()
    }

    fn turn(&mut self, host: &str, counts: bool) -> Result<()> {
        let before = self.cpu()?;
        let outcome = Wrk::new(self.ingress, host, CONNECTIONS, SECONDS).run()?;
        let between = self.cpu()?;
        load::bulk(self.port, 4, BYTES)?;
        let after = self.cpu()?;
        if outcome.errors > 0 {
            anyhow::bail!("{} of {} requests failed", outcome.errors, outcome.requests);
        }
        if counts {
            self.request.push((between - before) / outcome.requests as f64 * 1e6);
            self.rate.push(outcome.requests as f64 / SECONDS as f64);
            self.bulk.push((after - between) / (BYTES as f64 / 1e9));
        }
        Ok(())
    }
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let runtime = super::runtime()?;
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let (page, base) = (service("hello from the other end of the mesh")?, load::service()?);
    let hand = Pair::start(&binaries.envoy, &folder.path().join("hand"), &org, page, base)?;

    let home = folder.path().join("ours");
    let mut a = Node::start(&runtime, &binaries.envoy, &home, "a.acme.example", &[&org])?;
    let mut b = Node::start(&runtime, &binaries.envoy, &home, "b.acme.example", &[&org])?;
    let (web, db) = (ServiceName::parse("web.acme.example")?, ServiceName::parse("db.acme.example")?);
    join(&mut a, &mut b)?;
    local(&mut b.planner, &web, Protocol::Http, page);
    local(&mut b.planner, &db, Protocol::Tcp, base);
    let there: Via = b.via();
    a.planner.set_service(&web, ways(Protocol::Http, std::slice::from_ref(&there)));
    a.planner.set_service(&db, ways(Protocol::Tcp, &[there]));
    let port = load::free_port()?;
    a.planner.open_port(&db, port);
    b.tell()?;
    a.tell()?;
    settled(&runtime, &b.publisher)?;
    settled(&runtime, &a.publisher)?;

    let side = |ingress, port, envoys| Side {
        ingress,
        port,
        envoys,
        request: Vec::new(),
        rate: Vec::new(),
        bulk: Vec::new(),
    };
    let [near, far] = &hand.envoys;
    let mut sides =
        [side(a.home.ingress, port, [&a.envoy, &b.envoy]), side(hand.ingress, hand.port, [near, far])];
    for side in &sides {
        Client::new(side.ingress)
            .until(web.as_str(), "hello from the other end of the mesh", Instant::now())
            .with_context(|| side.envoys.map(Envoy::log).concat())?;
        load::until_forwards(side.port).with_context(|| side.envoys.map(Envoy::log).concat())?;
    }
    for turn in 0..=TURNS {
        // The first turn warms up; each begins as often as the other.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            if let Some(side) = sides.get_mut(at) {
                side.turn(web.as_str(), turn > 0)?;
            }
        }
    }
    let [ours, hand] = &sides;
    let median = |samples: &Vec<f64>| quantile(&sorted(samples.clone()), 0.5);
    let mut row = |what: &str, of: for<'a> fn(&'a Side<'_>) -> &'a Vec<f64>, unit, bar| {
        report.beside(what, median(of(ours)), unit, ("by hand", median(of(hand))), bar);
    };
    row("two Envoys: CPU a request", |side| &side.request, "us", Bar::TimesAtMost(1.05));
    row("two Envoys: requests, 16 connections", |side| &side.rate, "/s", Bar::None);
    row("two Envoys, TCP: CPU a GB", |side| &side.bulk, "s", Bar::TimesAtMost(1.05));
    Ok(())
}
