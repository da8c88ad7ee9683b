//! A real node with its Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::Binaries;
use crate::daemon::Daemon;
use crate::edge::load::free_port;
use crate::org::Org;

/// A node with an Envoy of its own. With it goes all that it started.
pub struct Real {
    pub daemon: Daemon,
    pub folder: PathBuf,
}

/// Processes whose command line names this folder.
fn processes(folder: &Path) -> Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ends meanwhile is none.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&*folder.to_string_lossy()) {
            found.push((pid, name.trim_end().to_owned()));
        }
    }
    Ok(found)
}

impl Real {
    pub fn start(
        binaries: &Binaries,
        org: &Org,
        name: &str,
        folder: &Path,
        mut config: Value,
    ) -> Result<Real> {
        let mesh = free_port()?.to_string();
        config["listen"] = json!("127.0.0.1:0");
        config["envoy"] = json!({
            "mode": "managed", "path": binaries.envoy, "listen": mesh, "address": mesh, "workers": 1,
        });
        config["http"] = json!({ "listen": free_port()?.to_string() });
        let folder = folder.join(name);
        let daemon = Daemon::start((&binaries.cloud, "up"), org, name, &folder, config)?;
        Ok(Real { daemon, folder })
    }

    /// Where clients name a service as Host.
    pub fn ingress(&self) -> Result<SocketAddr> {
        let config: Value = serde_json::from_slice(&fs::read(self.folder.join("catalyst.json"))?)?;
        Ok(config["http"]["listen"].as_str().context("no ingress")?.parse()?)
    }

    pub fn envoy(&self) -> Result<u32> {
        let bootstrap = self.folder.join("state/envoy");
        let all = processes(&bootstrap)?;
        let envoy = all.into_iter().find(|(_, name)| name.starts_with("envoy"));
        envoy.map(|(pid, _)| pid).with_context(|| format!("no Envoy of {}", bootstrap.display()))
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // A node that ends in order takes its Envoy along; what a killed one left is ended here.
        let _ = self.daemon.signal(Signal::SIGTERM);
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && self.envoy().is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        for (pid, _) in processes(&self.folder).unwrap_or_default() {
            if let Ok(pid) = i32::try_from(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}
