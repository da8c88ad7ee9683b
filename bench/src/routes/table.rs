//! A table of unique routes: its way through, what it takes to hold it, one change on top of it, and the loss of the
//! neighbour that it came from.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::bird::Bird;
use super::ours::{Ours, at_rest};
use super::seen::Sink;
use super::{bgp, relay};
use crate::Binaries;
use crate::proc;
use crate::report::{Bar, Report, quantile, sorted};

/// Single changes in a round.
const CHANGES: usize = 300;

/// What one round cost.
#[derive(Debug, Default)]
struct Cost {
    cpu_seconds: f64,
    wall_seconds: f64,
    /// Memory that came with the routes.
    resident: f64,
    /// Of single changes, in microseconds.
    changes: Vec<f64>,
    /// The same, of the node's CPU alone.
    change_cpu: f64,
    loss_cpu_seconds: f64,
    loss_wall_seconds: f64,
}

/// Whoever is measured, and who stands at its two sides.
trait Contest {
    fn pid(&self) -> u32;
    fn announce_all(&mut self, routes: usize) -> Result<std::time::Instant>;
    fn announce(&mut self, index: usize, cost: u32) -> Result<()>;
    /// When that left; to be asked when it has come.
    fn sent(&self) -> Result<std::time::Instant>;
    fn leave(&mut self) -> Result<std::time::Instant>;
    /// Whether it holds what it should.
    fn check(&self, routes: usize) -> Result<()>;
}

impl Contest for Ours {
    fn pid(&self) -> u32 {
        self.middle.pid()
    }
    fn announce_all(&mut self, routes: usize) -> Result<std::time::Instant> {
        self.source.announce_all(routes)
    }
    fn announce(&mut self, index: usize, cost: u32) -> Result<()> {
        self.source.announce(index, cost)
    }
    fn sent(&self) -> Result<std::time::Instant> {
        self.source.sent()
    }
    fn leave(&mut self) -> Result<std::time::Instant> {
        self.source.leave()
    }
    fn check(&self, routes: usize) -> Result<()> {
        Ours::check(self, routes)
    }
}

/// BIRD.
struct Theirs {
    source: bgp::Speaker,
    _sink: bgp::Speaker,
    bird: Bird,
}

impl Theirs {
    fn start(binary: &Path, watch: super::seen::Watch) -> Result<Theirs> {
        let bird = Bird::start(binary)?;
        let (source, sink) = bird.speakers(watch)?;
        Ok(Theirs { source, _sink: sink, bird })
    }
}

impl Contest for Theirs {
    fn pid(&self) -> u32 {
        self.bird.pid()
    }
    fn announce_all(&mut self, routes: usize) -> Result<std::time::Instant> {
        self.source.announce_all(routes)
    }
    fn announce(&mut self, index: usize, cost: u32) -> Result<()> {
        self.source.announce(index, cost)
    }
    fn sent(&self) -> Result<std::time::Instant> {
        self.source.sent()
    }
    fn leave(&mut self) -> Result<std::time::Instant> {
        self.source.leave()
    }
    fn check(&self, _routes: usize) -> Result<()> {
        Ok(())
    }
}

fn round(contest: &mut dyn Contest, sink: &Sink, routes: usize) -> Result<Cost> {
    let pid = contest.pid();
    let (cpu, memory) = (at_rest(pid)?, proc::memory(pid)?);
    let start = contest.announce_all(routes)?;
    let end = sink.until(routes)?;
    let filled = at_rest(pid)?;
    let mut cost = Cost {
        cpu_seconds: filled - cpu,
        wall_seconds: (end - start).as_secs_f64(),
        resident: proc::memory(pid)?.resident - memory.resident,
        ..Cost::default()
    };
    contest.check(routes)?;
    let before = at_rest(pid)?;
    sink.single();
    for turn in 0..CHANGES {
        // All over the table.
        let index = turn.wrapping_mul(7_919_993) % routes;
        let changed = u32::try_from(routes + turn)?;
        contest.announce(index, changed)?;
        let came = sink.announced(index).with_context(|| format!("change {turn}"))?;
        cost.changes.push((came - contest.sent()?).as_secs_f64() * 1e6);
        std::thread::sleep(Duration::from_millis(2));
    }
    let cpu = at_rest(pid)?;
    cost.change_cpu = (cpu - before) * 1e6 / CHANGES as f64;
    let start = contest.leave()?;
    let end = sink.until(0)?;
    cost.loss_cpu_seconds = at_rest(pid)? - cpu;
    cost.loss_wall_seconds = (end - start).as_secs_f64();
    Ok(cost)
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    quantile(&sorted(costs.iter().map(of).collect()), 0.5)
}

fn change(costs: &[Cost], share: f64) -> f64 {
    quantile(&sorted(costs.iter().flat_map(|c| c.changes.iter().copied()).collect()), share)
}

const BIRD: &str = "BIRD";

fn measure(
    binaries: &Binaries,
    report: &mut Report,
    (routes, rounds, name): (usize, usize, &str),
    (cpu_bar, bytes_bar, loss_bar): (Bar, Bar, Bar),
) -> Result<()> {
    let bird = binaries.bird.as_deref().context("--bird is missing")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, so that what else the machine does falls on both.
    for _ in 0..rounds {
        let (sink, watch) = Sink::new(routes);
        theirs.push(round(&mut Theirs::start(bird, watch)?, &sink, routes).context("BIRD")?);
        let (sink, watch) = Sink::new(routes);
        ours.push(round(&mut Ours::start(&binaries.cloud, watch)?, &sink, routes).context("ours")?);
    }
    let bare = relay::changes(rounds * CHANGES, Sink::new(1))?;
    let mut row = |what: &str, unit, of: &dyn Fn(&[Cost]) -> f64, bar| {
        report.beside(format!("{name}: {what}"), of(&ours), unit, (BIRD, of(&theirs)), bar);
    };
    row("CPU of the node", "CPU-s", &|c| median(c, |c| c.cpu_seconds), cpu_bar);
    row("  first sent -> last at the far side", "s", &|c| median(c, |c| c.wall_seconds), Bar::None);
    row("RSS a route", "bytes", &|c| median(c, |c| c.resident) / routes as f64, bytes_bar);
    row("one change, p50", "us", &|c| change(c, 0.5), Bar::AtMost(150.0));
    row("one change, p99", "us", &|c| change(c, 0.99), Bar::AtMost(1000.0));
    row("one change, CPU of the node", "us", &|c| median(c, |c| c.change_cpu), Bar::None);
    row(
        "neighbour lost: CPU until all is withdrawn",
        "CPU-s",
        &|c| median(c, |c| c.loss_cpu_seconds),
        loss_bar,
    );
    row("  lost -> last withdrawal at the far side", "s", &|c| median(c, |c| c.loss_wall_seconds), Bar::None);
    for (share, us) in ["p50", "p99"].into_iter().zip(bare) {
        let what = format!("{name}:   one change over two bare sessions, no node between, {share}");
        report.add(what, us, "us", Bar::None);
    }
    Ok(())
}

/// 100,000 routes.
pub fn table(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let bars = (Bar::AtMost(0.5), Bar::None, Bar::AtMost(0.3));
    measure(binaries, report, (100_000, 5, "100,000 routes"), bars)
}

/// 1,000,000 routes.
pub fn million(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let bars = (Bar::AtMost(10.0), Bar::AtMost(500.0), Bar::None);
    measure(binaries, report, (1_000_000, 1, "1,000,000 routes"), bars)
}
