//! The core and the forwarding table alone, on one thread and without sessions of QUIC: what a change costs in them, and
//! what of it are the digests.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use catalyst_control::{Core, Event, Now, PeerConfig, SessionId, Settings};
use catalyst_node::Tables;
use catalyst_route_table::Heap;
use catalyst_tunnel::Limits as TunnelLimits;
use catalyst_wire::{Capabilities, small};

use super::speaker::{Entries, open_with};
use crate::Binaries;
use crate::org::Org;
use crate::proc::own_cpu_seconds;
use crate::report::{Bar, Report, quantile, sorted};

const SOURCE: SessionId = SessionId(1);
const SINK: SessionId = SessionId(2);
/// Single changes, all over the table.
const CHANGES: usize = 20_000;
/// The time does not go on.
const NOW: u64 = 1;

struct Alone {
    core: Core<Heap>,
    tables: Tables,
    org: Org,
}

impl Alone {
    /// With a source and a sink that compare digests, or do not.
    fn new(compare: bool) -> Result<Alone> {
        let org = Org::new()?;
        let own = org.name("middle")?;
        let settings = Settings {
            name: own.clone(),
            incarnation: 1,
            border_secret: [7; 32],
            limits: catalyst_control::Limits {
                routes_per_peer: 1_000_000,
                ..catalyst_control::Limits::CLOUD
            },
            mesh_address: String::new(),
            stale_max_ms: 0,
            flap: Default::default(),
        };
        let most = catalyst_route_table::Limits::CLOUD;
        let core = Core::new(settings, Heap::new(most)).map_err(|refusal| anyhow!("{refusal}"))?;
        let room = TunnelLimits { services: 1_000_000, ..TunnelLimits::CLOUD };
        let mut alone = Alone { core, tables: Tables::new(own, room, 64 << 20, 1), org };
        let can = if compare { Capabilities::REFRESH } else { 0 };
        for (session, name) in [(SOURCE, "source"), (SINK, "sink")] {
            let name = alone.org.name(name)?;
            let peer = PeerConfig { name: name.clone(), agreement: None, hold_ms: 2_500, restart_ms: 0 };
            let hello = open_with(&name, "", can)?;
            let mut end = [0; 16];
            let end = small::write_end_of_rib(&mut end).map_err(|e| anyhow!("{e}"))?;
            alone.handle(&Event::PeerConfigured(Box::new(peer)));
            alone.handle(&Event::SessionUp { session, peer: name, dialled: false });
            alone.handle(&Event::Writable { session, bytes: usize::MAX / 2 });
            alone.handle(&Event::PeerFrame { session, frame: hello.to_vec() });
            alone.handle(&Event::PeerFrame { session, frame: end.to_vec() });
        }
        Ok(alone)
    }

    /// What an engine does with an event, until nothing is left to be done of it; how many bytes went to the sink.
    fn handle(&mut self, event: &Event) -> usize {
        let mut sent = self.step(event);
        // Long walks go in pieces, each of which is due at once.
        while self.core.next_deadline().is_some_and(|due| due <= NOW) {
            sent += self.step(&Event::Tick);
        }
        sent
    }

    fn step(&mut self, event: &Event) -> usize {
        self.core.handle(event, Now::mono(NOW));
        while let Some(effect) = self.core.poll_effect() {
            if let catalyst_control::Effect::Forward(forward) = effect {
                // Room is enough for all.
                let _ = self.tables.set_forward(&forward);
            }
        }
        let mut sent = 0;
        while let Some((session, frame)) = self.core.poll_transmit() {
            sent += if session == SINK { frame.len() } else { 0 };
        }
        sent
    }

    fn update(&mut self, routes: std::ops::Range<usize>) -> Result<usize> {
        let name = self.org.name("source")?;
        let mut sent = 0;
        for frame in Entries::new(&name, routes, None) {
            sent += self.handle(&Event::PeerFrame { session: SOURCE, frame: frame? });
        }
        Ok(sent)
    }
}

/// What it took.
struct Took {
    /// CPU seconds until all routes have come and gone on to the sink.
    all: f64,
    /// Microseconds of single changes, sorted.
    changes: Vec<f64>,
    /// CPU seconds until all are withdrawn after the source is no longer a neighbour.
    lost: f64,
}

fn measure(routes: usize, compare: bool) -> Result<Took> {
    let mut alone = Alone::new(compare)?;
    let start = own_cpu_seconds()?;
    let sent = alone.update(0..routes)?;
    let all = own_cpu_seconds()? - start;
    ensure!(sent > routes * 30, "only {sent} bytes went to the sink");
    let name = alone.org.name("source")?;
    let mut changes = Vec::with_capacity(CHANGES);
    for turn in 0..CHANGES {
        let index = turn.wrapping_mul(7_919_993) % routes;
        let cost = u32::try_from(routes + turn)?;
        let frame = Entries::new(&name, index..index + 1, Some(cost)).next().context("no frame")??;
        let event = Event::PeerFrame { session: SOURCE, frame };
        let start = Instant::now();
        let sent = alone.handle(&event);
        changes.push(start.elapsed().as_secs_f64() * 1e6);
        ensure!(sent > 0, "a change did not go to the sink");
    }
    let start = own_cpu_seconds()?;
    let sent = alone.handle(&Event::PeerRemoved(name));
    let lost = own_cpu_seconds()? - start;
    ensure!(sent > routes * 10, "only {sent} bytes of withdrawals went to the sink");
    Ok(Took { all, changes: sorted(changes), lost })
}

/// Measures.
pub fn run(_binaries: &Binaries, report: &mut Report) -> Result<()> {
    for (routes, name) in [(2_000, "2,000"), (100_000, "100,000"), (1_000_000, "1,000,000")] {
        for (compare, how) in [(false, "no digests"), (true, "digests")] {
            let took = measure(routes, compare)?;
            let mut row = |what: &str, value, unit| {
                report.add(format!("core alone, {name} routes, {how}: {what}"), value, unit, Bar::None);
            };
            row("CPU of all", took.all, "CPU-s");
            row("one change, p50", quantile(&took.changes, 0.5), "us");
            row("neighbour gone: CPU until all is withdrawn", took.lost, "CPU-s");
        }
    }
    Ok(())
}
