//! How small the edge is: on disk, idle, in bulk transfer, and how soon it forwards after its start.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::Binaries;
use crate::daemon::{Daemon, wait};
use crate::org::Org;
use crate::proc;
use crate::report::{Bar, Report};

use super::{contestant, load, median};

const QUIET: Duration = Duration::from_secs(5);
const BYTES: u64 = 1_000_000_000;
const STARTS: usize = 7;

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let size = fs::metadata(&binaries.edge)?.len() as f64 / 1e6;
    report.add("edge binary, stripped", size, "MB", Bar::AtMost(4.0));
    memory(binaries, report)?;
    start(binaries, report)
}

fn memory(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let target = load::service()?;
    let pair = contestant::tunnel(binaries, target)?;
    let edge = pair.edge().context("no edge")?.pid();
    std::thread::sleep(QUIET);
    let idle = proc::memory(edge)?;
    report.add("edge, idle, data connection open: RssAnon", idle.anonymous / 1e6, "MB", Bar::AtMost(1.0));

    // The most that was seen while bytes flow.
    let done = AtomicBool::new(false);
    let (mut anonymous, mut resident) = (0f64, 0f64);
    std::thread::scope(|scope| -> Result<()> {
        let bulk = scope.spawn(|| {
            let result = load::bulk(pair.port, 4, BYTES);
            done.store(true, Ordering::Relaxed);
            result
        });
        while !done.load(Ordering::Relaxed) {
            let now = proc::memory(edge)?;
            anonymous = anonymous.max(now.anonymous);
            resident = resident.max(now.resident);
            std::thread::sleep(Duration::from_millis(10));
        }
        bulk.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the sender ended in a panic")))
    })?;
    report.add("edge, bulk through the tunnel: RssAnon, most", anonymous / 1e6, "MB", Bar::AtMost(2.0));
    report.add("edge, bulk through the tunnel: RSS, most", resident / 1e6, "MB", Bar::AtMost(8.0));
    Ok(())
}

/// From the start of the process to the first byte that came back from a service behind the tunnel.
fn start(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let port = load::free_port()?;
    let cloud = json!({
        "listen": "127.0.0.1:0",
        "peers": [{ "node": "edge-1" }],
        "services": [{ "name": "bench", "protocol": "tcp", "target": load::service()?.to_string() }],
    });
    let cloud = Daemon::start((&binaries.cloud, "up"), &org, "cloud-1", &folder.path().join("cloud"), cloud)?;
    let edge = json!({
        "peers": [{ "node": "cloud-1", "address": cloud.address()?.to_string() }],
        "expose": [{ "service": "bench.acme.example", "listen": port.to_string() }],
    });
    let home = folder.path().join("edge");
    let mut running = Daemon::start((&binaries.edge, "run"), &org, "edge-1", &home, edge)?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        running.until_up()?;
        running.signal(Signal::SIGTERM)?;
        running.until_gone()?;
        let mut admin = cloud.admin()?;
        wait("the end of the session", || {
            Ok(admin.status()?.peers.iter().all(|p| p.state != "up").then_some(()))
        })?;
        let begin = Instant::now();
        running = Daemon::start_again((&binaries.edge, "run"), &home)?;
        while !load::first_byte(port) {
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    report.add("edge, start to first forwarded byte, median", median(&times), "ms", Bar::AtMost(150.0));
    Ok(())
}
