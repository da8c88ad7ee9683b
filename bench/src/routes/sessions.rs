//! A thousand sessions, each interested in 50 of 100,000 services: how soon a change is with all that want it, and what a
//! session takes besides its QUIC connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::bare;
use super::one_thread::OneThread;
use super::ours::nearly_at_rest;
use super::seen::Seen;
use super::speaker::{Speaker, service};
use crate::Binaries;
use crate::daemon::{Daemon, wait};
use crate::org::Org;
use crate::proc::{self, Times};
use crate::report::{Bar, Report, quantile, sorted};

const SESSIONS: usize = 1_000;
const SERVICES: usize = 100_000;
/// Of each session; the first is wanted by all.
const WANTED: usize = 50;
const CHANGES: usize = 40;

/// Where the time of a change goes, in seconds. Parts of it run beside each other.
#[derive(Clone, Copy, Default)]
struct Shares {
    node: Times,
    /// This process, which is all the thousand neighbours.
    neighbours: Times,
    stolen: f64,
}

impl Shares {
    fn now(node: u32) -> Result<Shares> {
        let neighbours = proc::times(std::process::id())?;
        Ok(Shares { node: proc::times(node)?, neighbours, stolen: proc::stolen()? })
    }

    fn since(self, before: Shares) -> Shares {
        let less = |a: Times, b: Times| Times { ran: a.ran - b.ran, waited: a.waited - b.waited };
        Shares {
            node: less(self.node, before.node),
            neighbours: less(self.neighbours, before.neighbours),
            stolen: self.stolen - before.stolen,
        }
    }

    fn named(self) -> [(&'static str, f64); 5] {
        [
            ("the node ran", self.node.ran),
            ("the node waited for a CPU", self.node.waited),
            ("the neighbours, all in one process, ran", self.neighbours.ran),
            ("the neighbours waited for a CPU", self.neighbours.waited),
            ("taken by the host, of all CPUs", self.stolen),
        ]
    }
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    // Control and data, as a neighbour has them that carries traffic.
    let bare = bare::memory(2 * SESSIONS)? / SESSIONS as f64;
    let (folder, org) = (tempfile::tempdir()?, Org::new()?);
    let names: Vec<String> = (0..SESSIONS).map(|n| format!("n{n}")).collect();
    // Signs of life of a thousand are not what is measured: they come seldom.
    let mut peers: Vec<_> =
        names.iter().map(|name| json!({ "node": name, "profile": "satellite" })).collect();
    peers.push(json!({ "node": "source", "profile": "satellite" }));
    let config = json!({
        "listen": "127.0.0.1:0",
        "peers": peers,
        "limits": { "peers": SESSIONS + 1, "routes": SERVICES, "routes_per_peer": SERVICES },
    });
    let node = Daemon::start((&binaries.cloud, "up"), &org, "middle", &folder.path().join("middle"), config)?;
    let (at, pid) = (node.address()?, node.pid());
    let mut source = Speaker::connect(&org, "source", "", at, Box::new(|_| ()))?;
    source.announce_all(SERVICES)?;
    let mut admin = node.admin()?;
    wait("the table", || Ok((admin.status()?.routes.0 == SERVICES).then_some(())))?;
    let before = proc::memory(pid)?.resident;
    let (first, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // A thousand threads would wait for each other.
    let thread = OneThread::start()?;
    let mut crowd = Vec::with_capacity(SESSIONS);
    for (n, name) in names.iter().enumerate() {
        let (first, all) = (first.clone(), all.clone());
        let watch = Box::new(move |seen: Seen| {
            all.fetch_add(1, Ordering::Relaxed);
            if seen.index == 0 {
                first.fetch_add(1, Ordering::Release);
            }
        });
        let own = (1..WANTED).map(|k| service(1 + (n * WANTED + k) % (SERVICES - 1)));
        let wanted = std::iter::once(service(0)).chain(own).collect();
        crowd
            .push(Speaker::interested(&thread, &org, name, at, wanted, watch).with_context(|| name.clone())?);
    }
    let come = || all.load(Ordering::Relaxed);
    wait("all tables", || Ok((all.load(Ordering::Relaxed) >= SESSIONS * WANTED).then_some(())))
        .with_context(|| format!("{} of {} routes came", come(), SESSIONS * WANTED))?;
    // What the handshakes took for a moment is back when the node has nothing left to do.
    nearly_at_rest(pid)?;
    let session = (proc::memory(pid)?.resident - before) / SESSIONS as f64;
    let told = all.load(Ordering::Relaxed);
    if told != SESSIONS * WANTED {
        bail!("{told} routes came to {SESSIONS} sessions that want {WANTED} each");
    }
    let mut took = Vec::with_capacity(CHANGES);
    let mut worst = Shares::default();
    for turn in 0..CHANGES {
        let until = first.load(Ordering::Acquire) + SESSIONS;
        let before = Shares::now(pid)?;
        let start = Instant::now();
        source.announce(0, u32::try_from(SERVICES + turn)?)?;
        while first.load(Ordering::Acquire) < until {
            if start.elapsed() > Duration::from_secs(30) {
                bail!("change {turn} did not come to everybody");
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let ms = start.elapsed().as_secs_f64() * 1e3;
        if took.iter().all(|other| *other < ms) {
            worst = Shares::now(pid)?.since(before);
        }
        took.push(ms);
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = sorted(took);
    let what = "1,000 sessions, 50 of 100,000 services each";
    report.add(format!("{what}: a change with all that want it, p50"), quantile(&took, 0.5), "ms", Bar::None);
    let slowest = took.last().copied().unwrap_or_default();
    report.add(format!("{what}: the same, slowest of {CHANGES}"), slowest, "ms", Bar::AtMost(100.0));
    for (share, seconds) in worst.named() {
        report.add(format!("  of the slowest: {share}"), seconds * 1e3, "ms", Bar::None);
    }
    report.add(format!("{what}: memory a session"), session, "bytes", Bar::None);
    report.add("  two bare QUIC connections", bare, "bytes", Bar::None);
    report.add(format!("{what}: memory above these"), session - bare, "bytes", Bar::AtMost(16_000.0));
    Ok(())
}
