//! A real Envoy in a process of its own, with the arguments that a node gives it and one worker.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::web::PATIENCE;

/// A running Envoy; killed when dropped.
pub struct Envoy {
    child: Child,
    admin: PathBuf,
    log: PathBuf,
}

impl Envoy {
    /// Starts `program` on a bootstrap that names `admin` as the socket of its admin interface.
    pub fn start(program: &Path, bootstrap: &Path, admin: PathBuf, log: PathBuf) -> Result<Envoy> {
        let file = File::create(&log)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(bootstrap)
            .args(["--reject-unknown-dynamic-fields", "--disable-hot-restart", "--concurrency", "1"])
            .args(["--drain-time-s", "0", "--drain-strategy", "immediate", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Envoy { child, admin, log })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged: warnings and errors.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What the admin interface answers.
    pub fn admin(&self, path: &str) -> Result<String> {
        let mut stream = UnixStream::connect(&self.admin).context("Envoy's admin interface")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// One counter or gauge.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let answer = self.admin(&format!("/stats?filter=^{}$", name.replace('|', "%5C%7C")))?;
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.and_then(|value| value.trim().parse().ok()).with_context(|| format!("Envoy has no {name}"))
    }

    /// Bytes of heap that Envoy uses.
    pub fn allocated(&self) -> Result<f64> {
        let answer = self.admin("/memory")?;
        let line = answer.lines().find_map(|line| line.trim().strip_prefix("\"allocated\": \""));
        let Some(value) = line.and_then(|rest| rest.split('"').next()) else {
            bail!("no `allocated` in {answer}");
        };
        Ok(value.parse()?)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
