//! The figures of routes, short and with loose bars, for the tests: that they stay true, not how good they are. CPU time of
//! the node's process alone, which a crowded machine prolongs by a fifth or so and not by half.

use std::time::Duration;

use anyhow::{Context, Result};

use super::ours::{Ours, at_rest};
use super::seen::Sink;
use crate::Binaries;
use crate::proc;
use crate::report::{Bar, Report};

/// Routes of the large table; the small one has a tenth.
const ROUTES: usize = 20_000;
/// Single changes are made by so many at a time, now on one table and now on the other.
const BATCH: usize = 50;
const BATCHES: usize = 10;

/// A node with a table.
struct Loaded {
    ours: Ours,
    sink: Sink,
    routes: usize,
    /// Of the first routes to the last one.
    cpu_seconds: f64,
    /// Memory that came with the routes.
    resident: f64,
    changed: u32,
}

impl Loaded {
    fn start(binaries: &Binaries, routes: usize) -> Result<Loaded> {
        let (sink, watch) = Sink::new(routes);
        let mut ours = Ours::start(&binaries.cloud, watch)?;
        let pid = ours.middle.pid();
        let (cpu, memory) = (at_rest(pid)?, proc::memory(pid)?);
        ours.source.announce_all(routes)?;
        sink.until(routes)?;
        let cpu_seconds = at_rest(pid)? - cpu;
        let resident = proc::memory(pid)?.resident - memory.resident;
        ours.check(routes)?;
        sink.single();
        Ok(Loaded { ours, sink, routes, cpu_seconds, resident, changed: u32::try_from(routes)? })
    }

    /// Microseconds of CPU that one change takes, over a batch of them all over the table.
    fn changes(&mut self) -> Result<f64> {
        let before = proc::cpu_seconds(self.ours.middle.pid())?;
        for _ in 0..BATCH {
            self.changed += 1;
            let index = self.changed as usize * 7_919 % self.routes;
            self.ours.source.announce(index, self.changed)?;
            self.sink.announced(index).with_context(|| format!("change {}", self.changed))?;
        }
        Ok((proc::cpu_seconds(self.ours.middle.pid())? - before) * 1e6 / BATCH as f64)
    }

    /// CPU until all is withdrawn after the source has left for good.
    fn lose(&mut self) -> Result<f64> {
        let cpu = at_rest(self.ours.middle.pid())?;
        self.ours.source.leave()?;
        self.sink.until(0)?;
        Ok(at_rest(self.ours.middle.pid())? - cpu)
    }
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let mut large = Loaded::start(binaries, ROUTES)?;
    let mut small = Loaded::start(binaries, ROUTES / 10)?;
    // The least of each: what else the machine did is left out as far as it can be.
    let mut least = [f64::INFINITY; 2];
    for _ in 0..BATCHES {
        for (least, table) in least.iter_mut().zip([&mut small, &mut large]) {
            *least = least.min(table.changes()?);
            // Acknowledgements that are still under way belong to this one.
            std::thread::sleep(Duration::from_millis(30));
        }
    }
    let lost = large.lose()?;
    small.lose()?;
    let [few, many] = least;
    report.add("20,000 routes: CPU of the node", large.cpu_seconds, "CPU-s", Bar::AtMost(1.0));
    report.add("20,000 routes: RSS a route", large.resident / ROUTES as f64, "bytes", Bar::AtMost(1_500.0));
    report.add("20,000 routes: one change, CPU of the node", many, "us", Bar::AtMost(2_000.0));
    report.add("one change among 20,000 to one among 2,000", many / few, "x", Bar::AtMost(1.6));
    report.add("20,000 routes: neighbour lost: CPU until all is withdrawn", lost, "CPU-s", Bar::AtMost(0.6));
    Ok(())
}
