//! 1,000 connections that carry nothing: what they cost, local and through the tunnel.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::Binaries;
use crate::proc;
use crate::report::{Bar, Report};

use super::contestant::{self, Contestant};
use super::load;

const CONNECTIONS: usize = 1_000;
/// rathole takes 34 kB for an idle connection without encryption, which is where it is at its best.
const TENTH_OF_RATHOLE: f64 = 3_400.0;
/// Memory is read when nothing has happened for so long.
const QUIET: Duration = Duration::from_secs(3);

/// What one idle connection adds to the anonymous memory of all processes of a contestant, in bytes.
fn each(contestant: &Contestant) -> Result<f64> {
    let before = contestant.anonymous()?;
    let open = load::idle(contestant.port, CONNECTIONS).with_context(|| contestant.name)?;
    std::thread::sleep(QUIET);
    let after = contestant.anonymous()?;
    drop(open);
    Ok((after - before) / CONNECTIONS as f64)
}

/// As [`each`], for one of ours: the memory of the edge alone, before and with the connections.
fn edge_with(contestant: &Contestant) -> Result<(f64, f64, f64)> {
    let edge = contestant.edge().context("no edge")?.pid();
    let before = proc::memory(edge)?.anonymous;
    let both_before = contestant.anonymous()?;
    let open = load::idle(contestant.port, CONNECTIONS).with_context(|| contestant.name)?;
    std::thread::sleep(QUIET);
    let after = proc::memory(edge)?.anonymous;
    let both = contestant.anonymous()? - both_before;
    drop(open);
    Ok((after, (after - before) / CONNECTIONS as f64, both / CONNECTIONS as f64))
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let target = load::service()?;
    let (whole, one, _) = edge_with(&contestant::local(binaries, target)?)?;
    report.add("edge, 1,000 idle connections, local: RssAnon", whole / 1e6, "MB", Bar::AtMost(4.0));
    report.add("edge, one of them", one, "bytes", Bar::Below(2048.0));
    for other in [contestant::haproxy(target, false)?, contestant::nginx(target)?] {
        report.beside("edge, one of them", one, "bytes", (other.name, each(&other)?), Bar::None);
    }
    let (whole, one, both) = edge_with(&contestant::tunnel(binaries, target)?)?;
    report.add("edge, 1,000 idle connections, tunnelled: RssAnon", whole / 1e6, "MB", Bar::AtMost(4.0));
    report.add("edge, one of them, tunnelled", one, "bytes", Bar::Below(2048.0));
    if let Some(rathole) = &binaries.rathole {
        let other = contestant::rathole(rathole, target)?;
        let peer = (other.name, each(&other)?);
        report.beside("edge and cloud, one of them", both, "bytes", peer, Bar::None);
    }
    report.add("edge and cloud, one of them", both, "bytes", Bar::AtMost(TENTH_OF_RATHOLE));
    Ok(())
}
