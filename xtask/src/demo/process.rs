//! A process that the demo started: its log, how it is asked to stop, and how it is known again.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A process id, and when that process began: the pair is never given twice before the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// Clock ticks from boot to the start, field 22 of `/proc/PID/stat`.
    pub start: u64,
}

impl Identity {
    /// That of a running process.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may hold anything; the fields after it are plain.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let start = fields.nth(18)?.parse().ok()?;
        // What has ended and waits for its parent runs no more.
        (state != "Z" && state != "X").then_some(Self { pid, start })
    }

    /// Whether that very process runs.
    pub fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends `TERM` or `KILL`, if it still runs.
    pub fn signal(self, name: &str) {
        if self.alive() {
            // The shell's own `kill`: not every system has the program.
            let mut shell = Command::new("sh");
            shell.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.pid.to_string()]);
            // It may have ended meanwhile.
            let _ = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// A child of the demo.
pub struct Process {
    /// As shown: `edge-1.acme.example`, or `inventory`.
    pub name: String,
    /// Both its outputs, added to what an earlier run of it wrote.
    pub log: PathBuf,
    child: Child,
    identity: Option<Identity>,
}

impl Process {
    /// Starts it, out of reach of the terminal's Ctrl-C: the demo stops its children in order.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let open = || File::options().create(true).append(true).open(log);
        let (out, err) = (open(), open());
        let cannot = || format!("cannot write {}", log.display());
        command.stdout(out.with_context(cannot)?).stderr(err.with_context(cannot)?);
        command.stdin(Stdio::null()).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let identity = Identity::of(child.id());
        Ok(Self { name: name.to_owned(), log: log.to_path_buf(), child, identity })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How others find it; nothing if it ended at once.
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, as a power cut would: nothing in it gets a say.
    pub fn kill(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop and waits; kills it when it does not.
    ///
    /// # Errors
    /// When it had to be killed, or ended with anything but success.
    pub fn stop(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        if let Some(status) = self.ended() {
            anyhow::bail!("{} had ended before it was asked to: {status}", self.name);
        }
        if let Some(identity) = self.identity {
            identity.signal("TERM");
        }
        while start.elapsed() < limit {
            if let Some(status) = self.ended() {
                anyhow::ensure!(status.success(), "{} ended with {status}", self.name);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
        anyhow::bail!("{} did not stop within {} s and was killed", self.name, limit.as_secs())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Process, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::start("test", command, &folder.path().join("log")).unwrap();
        (process, folder)
    }

    #[test]
    fn a_process_is_known_by_its_start_too() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.alive());
        assert!(!Identity { start: own.start + 1, ..own }.alive());
    }

    #[test]
    fn one_that_stops_in_order_is_good_and_one_that_does_not_is_killed() {
        let wait = "while [ ! -e \"$0\" ]; do sleep 0.01; done";
        let (mut good, _folder) = shell(&format!("trap 'exit 0' TERM; echo on; {wait}"));
        while std::fs::read_to_string(&good.log).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        good.stop(Duration::from_secs(10)).unwrap();
        let (mut deaf, _folder) = shell(&format!("trap '' TERM; echo on; {wait}"));
        while std::fs::read_to_string(&deaf.log).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let identity = deaf.identity().unwrap();
        assert!(deaf.stop(Duration::from_millis(50)).unwrap_err().to_string().contains("was killed"));
        assert!(!identity.alive());
    }
}
