//! Plain TCP on one host: from a port of the edge to a service of the same node, beside HAProxy and nginx.

use anyhow::Result;

use crate::Binaries;
use crate::report::{Bar, Report};

use super::{ASKING, contestant, in_turns, load, median};

const BYTES: u64 = 1_000_000_000;

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let target = load::service()?;
    let contestants = [
        contestant::local(binaries, target)?,
        contestant::haproxy(target, false)?,
        contestant::haproxy(target, true)?,
        contestant::nginx(target)?,
    ];
    let spent = in_turns(&contestants, BYTES)?;
    let Some((ours, others)) = spent.split_first() else { return Ok(()) };
    for (n, (other, contestant)) in others.iter().zip(contestants.iter().skip(1)).enumerate() {
        let bar = if n == 0 { Bar::TimesAtMost(0.6) } else { Bar::None };
        let peer = (contestant.name, median(&other.bulk));
        report.beside("local TCP: CPU a GB", median(&ours.bulk), "s", peer, bar);
    }
    for (other, contestant) in others.iter().zip(contestants.iter().skip(1)) {
        for ((asking, ours), other) in ASKING.into_iter().zip(&ours.requests).zip(&other.requests) {
            let what = format!("local TCP, {asking} connections: CPU a request");
            report.beside(what, median(&ours.cpu), "us", (contestant.name, median(&other.cpu)), Bar::None);
        }
    }
    Ok(())
}
