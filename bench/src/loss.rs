//! A peer that dies, and one that stops in order: how long until the other side shows it, as its admin API says.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::Binaries;
use crate::daemon::{Daemon, PATIENCE};
use crate::org::Org;
use crate::report::{Bar, Report, quantile, sorted};

const RUNS: usize = 6;

struct Two {
    stays: Daemon,
    goes: Option<Daemon>,
    folder: PathBuf,
}

impl Two {
    /// Ends the one with a signal; seconds until the other shows it down and has none of its routes.
    fn lose(&mut self, binaries: &Binaries, signal: Signal) -> Result<f64> {
        let verb = (binaries.cloud.as_path(), "up");
        let goes = match self.goes.take() {
            Some(goes) => goes,
            None => Daemon::start_again(verb, &self.folder)?,
        };
        goes.until_up()?;
        self.stays.until_up()?;
        // A session in its prime: past its first keep-alives, and never at the same phase of them.
        std::thread::sleep(Duration::from_millis(700 + u64::from(goes.pid() % 7) * 90));
        let mut admin = self.stays.admin()?;
        if admin.status()?.routes.0 == 0 {
            bail!("the route of the peer that is to go has not come");
        }
        let start = Instant::now();
        goes.signal(signal)?;
        let seconds = loop {
            let status = admin.status()?;
            if status.routes.0 == 0 && status.peers.iter().all(|p| p.state == "down") {
                break start.elapsed().as_secs_f64();
            }
            if start.elapsed() > PATIENCE {
                bail!("the peer never went down");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        goes.until_gone()?;
        Ok(seconds)
    }
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let temp = tempfile::tempdir()?;
    let org = Org::new()?;
    let verb = (binaries.cloud.as_path(), "up");
    let config = json!({ "listen": "127.0.0.1:0", "peers": [{ "node": "goes" }] });
    let stays = Daemon::start(verb, &org, "stays", &temp.path().join("stays"), config)?;
    let config = json!({
        "peers": [{ "node": "stays", "address": stays.address()?.to_string() }],
        "services": [{ "name": "inventory", "protocol": "http", "target": "127.0.0.1:9" }],
    });
    let folder = temp.path().join("goes");
    let goes = Daemon::start(verb, &org, "goes", &folder, config)?;
    let mut two = Two { stays, goes: Some(goes), folder };
    for (what, signal, bar) in [
        ("peer SIGKILLed, link profile wan -> down and its routes gone, slowest of 6", Signal::SIGKILL, 3.0),
        ("peer stopped in order (SIGTERM) -> down and its routes gone, slowest of 6", Signal::SIGTERM, 0.2),
    ] {
        let runs = (0..RUNS).map(|_| two.lose(binaries, signal)).collect::<Result<Vec<_>>>()?;
        report.add(what, quantile(&sorted(runs), 1.0), "s", Bar::Below(bar));
    }
    Ok(())
}
