//! Through the tunnel: from a port of the edge over QUIC to a service at the cloud node, both processes counted,
//! beside rathole's client and server with its Noise transport.

use anyhow::Result;

use crate::Binaries;
use crate::report::{Bar, Report};

use super::{ASKING, contestant, in_turns, load, median};

const BYTES: u64 = 500_000_000;

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let target = load::service()?;
    let mut contestants = vec![contestant::tunnel(binaries, target)?];
    if let Some(rathole) = &binaries.rathole {
        contestants.push(contestant::rathole(rathole, target)?);
    }
    let spent = in_turns(&contestants, BYTES)?;
    let Some((ours, others)) = spent.split_first() else { return Ok(()) };
    for (other, contestant) in others.iter().zip(contestants.iter().skip(1)) {
        let name = contestant.name;
        let peer = (name, median(&other.bulk));
        report.beside("tunnel, both nodes: CPU a GB", median(&ours.bulk), "s", peer, Bar::TimesAtMost(1.0));
        for ((asking, ours), other) in ASKING.into_iter().zip(&ours.requests).zip(&other.requests) {
            let what = format!("tunnel, {asking} connections: CPU a request, both nodes");
            report.beside(what, median(&ours.cpu), "us", (name, median(&other.cpu)), Bar::None);
            let what = format!("tunnel, {asking} connections: requests");
            let peer = (name, median(&other.rate));
            report.beside(what, median(&ours.rate), "/s", peer, Bar::TimesAtLeast(1.0));
        }
    }
    if others.is_empty() {
        report.add("tunnel, both nodes: CPU a GB", median(&ours.bulk), "s", Bar::None);
        for (asking, requests) in ASKING.into_iter().zip(&ours.requests) {
            let what = format!("tunnel, {asking} connections: CPU a request, both nodes");
            report.add(what, median(&requests.cpu), "us", Bar::None);
            let what = format!("tunnel, {asking} connections: requests");
            report.add(what, median(&requests.rate), "/s", Bar::None);
        }
    }
    Ok(())
}
