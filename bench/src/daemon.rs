//! A real node in a process of its own, from a configuration written for the run.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::org::Org;

/// Nothing that must come takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running node; killed when dropped.
pub struct Daemon {
    child: Child,
    folder: PathBuf,
}

/// Asks until there is an answer.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited {PATIENCE:?} in vain for {what}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Daemon {
    /// Writes `config`, completed with name, identity and state, into `folder`, and starts `binary verb` on it.
    pub fn start(
        (binary, verb): (&Path, &str),
        org: &Org,
        node: &str,
        folder: &Path,
        config: Value,
    ) -> Result<Daemon> {
        fs::create_dir_all(folder)?;
        let mut whole = json!({
            "version": 1, "org": "acme.example", "node": node, "state_dir": folder.join("state"),
            "identity": org.write(folder, node)?, "log": "warn",
            "admin": { "socket": folder.join("admin.sock") },
        });
        if let (Some(whole), Value::Object(config)) = (whole.as_object_mut(), config) {
            whole.extend(config);
        }
        fs::write(folder.join("catalyst.json"), serde_json::to_vec_pretty(&whole)?)?;
        Self::start_again((binary, verb), folder)
    }

    /// Starts a node on what [`Daemon::start`] wrote.
    pub fn start_again((binary, verb): (&Path, &str), folder: &Path) -> Result<Daemon> {
        let log = File::create(folder.join("log"))?;
        let mut child = Command::new(binary)
            .args([verb, "--config"])
            .arg(folder.join("catalyst.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let out = child.stdout.take().context("no output")?;
        let daemon = Daemon { child, folder: folder.to_owned() };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if !line.starts_with("ready") {
            bail!("{} did not start:\n{}", binary.display(), fs::read_to_string(folder.join("log"))?);
        }
        Ok(daemon)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to its admin socket.
    pub fn admin(&self) -> Result<Admin> {
        Admin::connect(&self.folder.join("admin.sock"))
    }

    /// What it logged: warnings and errors.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.join("log"))?)
    }

    /// Where it can be dialled on loopback.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.admin()?.status()?.peering.parse()?)
    }

    /// Waits until all its peers are up and have told everything.
    pub fn until_up(&self) -> Result<()> {
        let mut admin = self.admin()?;
        wait("the session", || Ok(admin.status()?.peers.iter().all(|p| p.state == "up").then_some(())))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.pid())?), signal)?)
    }

    /// Waits for the end that a signal began.
    pub fn until_gone(mut self) -> Result<()> {
        wait("the end of the process", || Ok(self.child.try_wait()?.map(drop)))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
