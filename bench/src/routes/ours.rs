//! A node of ours between a source and a sink.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::seen::Watch;
use super::speaker::Speaker;
use crate::daemon::Daemon;
use crate::org::Org;
use crate::proc;

/// The order of the fields is that in which they end.
pub struct Ours {
    /// Announces.
    pub source: Speaker,
    _sink: Speaker,
    /// What is measured.
    pub middle: Daemon,
    _folder: tempfile::TempDir,
}

impl Ours {
    /// Starts all three.
    pub fn start(binary: &Path, watch: Watch) -> Result<Ours> {
        let folder = tempfile::tempdir()?;
        let org = Org::new()?;
        let config = json!({
            "listen": "127.0.0.1:0",
            // Injector and sink are silent while they work: they are waited for as long as may be.
            "peers": [{ "node": "source", "profile": "satellite" }, { "node": "sink", "profile": "satellite" }],
            "limits": { "routes": 1_000_000, "routes_per_peer": 1_000_000 },
        });
        let middle = Daemon::start((binary, "up"), &org, "middle", &folder.path().join("middle"), config)?;
        let address = middle.address()?;
        let sink = Speaker::connect(&org, "sink", "", address, watch)?;
        let source = Speaker::connect(&org, "source", "", address, Box::new(|_| ()))?;
        middle.until_up()?;
        Ok(Ours { source, _sink: sink, middle, _folder: folder })
    }

    /// Whether it holds them all, and had nothing to complain about.
    pub fn check(&self, routes: usize) -> Result<()> {
        let status = self.middle.admin()?.status()?;
        if status.routes.0 != routes || status.routes_refused > 0 {
            bail!("the node holds {} of {routes} routes", status.routes.0);
        }
        // A million is all that a node serves: it says so when most of it is used.
        let log = self.middle.log()?;
        if let Some(line) = log.lines().find(|line| !line.contains("80 %")) {
            bail!("the node had something to complain about: {line}");
        }
        Ok(())
    }
}

/// Waits until a process has done all its work: its CPU time stands still.
pub fn at_rest(pid: u32) -> Result<f64> {
    below(pid, 0.001)
}

/// The same where a thousand neighbours are asked for signs of life: it works for less than a tenth of the time.
pub fn nearly_at_rest(pid: u32) -> Result<f64> {
    below(pid, 0.02)
}

fn below(pid: u32, seconds: f64) -> Result<f64> {
    let mut last = proc::cpu_seconds(pid)?;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = proc::cpu_seconds(pid)?;
        if now - last < seconds {
            return Ok(now);
        }
        last = now;
    }
}
