//! Many routes through one real node: in from one peer over QUIC, decided, out to another over QUIC. What counts
//! is the CPU time of that node's process; who injects and who receives is in this one.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use catalyst_control::{Effect, Event, Notice};
use catalyst_wire::FrameType;
use serde_json::json;

use crate::Binaries;
use crate::daemon::{Daemon, PATIENCE};
use crate::node::{Neighbour, Node, Seen, service};
use crate::org::Org;
use crate::proc;
use crate::report::{Bar, Report, quantile, sorted};

const FEW: usize = 10_000;
const MANY: usize = 100_000;
const RUNS: usize = 5;

/// What one run cost.
struct Cost {
    cpu_seconds: f64,
    wall_seconds: f64,
    rss: f64,
    wire_bytes: f64,
}

enum Came {
    Up,
    Service,
    Bytes(usize),
}

fn watcher(tell: std::sync::mpsc::Sender<Came>) -> impl FnMut(Seen<'_>) + Send {
    move |seen| {
        // Nobody listens when the measurement is over.
        let _ = match seen {
            Seen::Effect(Effect::Forward(f)) if !f.endpoints.is_empty() => tell.send(Came::Service),
            Seen::Effect(Effect::Notice(Notice::PeerUp(..))) => tell.send(Came::Up),
            Seen::Received(frame) if frame.first() == Some(&(FrameType::Update as u8)) => {
                tell.send(Came::Bytes(frame.len()))
            }
            _ => Ok(()),
        };
    }
}

fn up(came: &Receiver<Came>) -> Result<()> {
    while !matches!(came.recv_timeout(PATIENCE).context("no session")?, Came::Up) {}
    Ok(())
}

/// Waits until a process has done all its work: its CPU time stands still.
fn at_rest(pid: u32) -> Result<f64> {
    let mut last = proc::cpu_seconds(pid)?;
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = proc::cpu_seconds(pid)?;
        if now - last < 0.001 {
            return Ok(now);
        }
        last = now;
    }
}

fn through(binaries: &Binaries, routes: usize) -> Result<Cost> {
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let config = json!({
        "listen": "127.0.0.1:0",
        "peers": [{ "node": "source" }, { "node": "sink" }],
        "limits": { "routes": 1_000_000, "routes_per_peer": 1_000_000 },
    });
    let middle =
        Daemon::start((&binaries.cloud, "up"), &org, "middle", &folder.path().join("middle"), config)?;
    let neighbours = [Neighbour { name: "middle", address: Some(middle.address()?) }];
    let (tell, came) = channel();
    let _sink = Node::start(&org, "sink", &neighbours, Box::new(watcher(tell)))?;
    let (tell, source_came) = channel();
    let source = Node::start(&org, "source", &neighbours, Box::new(watcher(tell)))?;
    up(&came)?;
    up(&source_came)?;
    middle.until_up()?;
    let events: Vec<Event> = (0..routes)
        .map(|n| Ok(Event::ServiceUp(service(&format!("service-{n}"))?)))
        .collect::<Result<_>>()?;

    let (cpu, memory) = (at_rest(middle.pid())?, proc::memory(middle.pid())?);
    let start = Instant::now();
    source.feed(events)?;
    let (mut seen, mut bytes) = (0, 0);
    while seen < routes {
        match came.recv_timeout(PATIENCE).with_context(|| format!("only {seen} of {routes} routes came"))? {
            Came::Service => seen += 1,
            Came::Bytes(more) => bytes += more,
            Came::Up => {}
        }
    }
    let wall_seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = at_rest(middle.pid())? - cpu;
    let status = middle.admin()?.status()?;
    if status.routes.0 != routes || status.routes_refused > 0 {
        bail!("the middle holds {} of {routes} routes", status.routes.0);
    }
    if let said @ 1.. = middle.log()?.len() {
        bail!(
            "the middle had {said} bytes to complain about: {}",
            middle.log()?.lines().next().unwrap_or_default()
        );
    }
    Ok(Cost {
        cpu_seconds,
        wall_seconds,
        rss: proc::memory(middle.pid())?.resident - memory.resident,
        wire_bytes: bytes as f64,
    })
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    quantile(&sorted(costs.iter().map(of).collect()), 0.5)
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    // In turns, so that what else the machine does falls on both.
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        few.push(through(binaries, FEW)?);
        many.push(through(binaries, MANY)?);
    }
    let cpu = |costs: &[Cost]| median(costs, |c| c.cpu_seconds);
    report.add(
        "100,000 routes through one node: its CPU time, median of 5",
        cpu(&many),
        "CPU-s",
        Bar::AtMost(1.0),
    );
    let wall = median(&many, |c| c.wall_seconds);
    report.add("  from the first registration to the last route at the far peer", wall, "s", Bar::None);
    let each = |total: f64, routes: usize| total / routes as f64;
    let (small, large) = (each(cpu(&few), FEW) * 1e6, each(cpu(&many), MANY) * 1e6);
    report.add("  CPU a route, 10,000 routes", small, "us", Bar::None);
    report.add("  CPU a route, 100,000 routes", large, "us", Bar::None);
    report.add("cost a route, 100,000 to 10,000", large / small, "x", Bar::Below(1.3));
    let bytes = each(median(&many, |c| c.wire_bytes), MANY);
    report.add("UPDATE bytes a route, in bulk", bytes, "bytes", Bar::None);
    let rss = each(median(&many, |c| c.rss), MANY);
    report.add("RSS a route", rss, "bytes", Bar::None);
    Ok(())
}
