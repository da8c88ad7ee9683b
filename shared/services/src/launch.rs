//! The node's side of its supervisor: starts it, and cleans up after it should it die.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::entry::SUPERVISE;
use crate::error::ServicesError;

/// A supervisor that was started.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
}

impl Supervisor {
    /// Starts one, and returns the socket on which it is spoken to. Before the node gives up anything: later the system
    /// may refuse it. What the supervisor leaves behind should it die becomes this process's own, for [`Self::sweep`].
    ///
    /// # Errors
    /// The system cannot, or the node has given up the right to start programs.
    pub fn launch() -> Result<(Self, UnixStream), ServicesError> {
        // Without it, what a dead supervisor leaves behind goes to init.
        let _ = prctl::set_child_subreaper(true);
        let (own, its) = UnixStream::pair().map_err(ServicesError::Launch)?;
        let mut command = Command::new("/proc/self/exe");
        let name = std::env::args_os().next().unwrap_or_else(|| "catalyst".into());
        command.arg0(name).arg(SUPERVISE).stdin(Stdio::from(OwnedFd::from(its))).stdout(Stdio::null());
        for (name, _) in std::env::vars_os() {
            // What is meant for the node alone.
            let of_node = ["CATALYST_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_FD", "LISTEN_PID"];
            if of_node.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
                command.env_remove(name);
            }
        }
        let child = command.spawn().map_err(ServicesError::Launch)?;
        Ok((Supervisor { child }, own))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the supervisor and what it left behind, as far as it can be found now. Returns whether all is gone; else it
    /// is to be called again a moment later, for processes whose parents die come up one after another.
    pub fn sweep(&mut self) -> bool {
        let _ = self.child.kill();
        let dead = matches!(self.child.try_wait(), Ok(Some(_)) | Err(_));
        let children = children();
        for child in &children {
            let pid = Pid::from_raw(*child);
            if pid.as_raw().unsigned_abs() != self.child.id() {
                // It may have ended meanwhile.
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
        dead && children.is_empty()
    }
}

/// The children of this process, of all its threads.
fn children() -> Vec<i32> {
    let mut all = Vec::new();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return all };
    for thread in threads.flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        all.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    all
}
