//! The node's side of its supervisor: starts it, and cleans up after it should it die.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::again::{environment, spawn};
use crate::apart::is_apart;
use crate::entry::SUPERVISE;
use crate::error::ServicesError;
use crate::frame::{Message, Order, Program};

/// Variables that are meant for the node alone, by how their names begin.
const OF_NODE: [&str; 5] = ["CATALYST_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_FD", "LISTEN_PID"];

/// A supervisor that was started.
#[derive(Debug)]
pub struct Supervisor(Pid);

impl Supervisor {
    /// Starts one that will start these programs and no others, and returns the socket on which it is spoken to. Before
    /// the node gives up anything: later the system may refuse it. What the supervisor leaves behind should it die
    /// becomes this process's own, for [`Self::sweep`].
    ///
    /// # Errors
    /// The system cannot, or the node has given up the right to start programs.
    pub fn launch(programs: &[Program]) -> Result<(Self, UnixStream), ServicesError> {
        let (supervisor, mut link) = Self::open()?;
        let orders = programs.iter().cloned().map(Order::Allow).chain([Order::Seal]);
        for order in orders {
            link.write_all(&order.encode()).map_err(ServicesError::Launch)?;
        }
        Ok((supervisor, link))
    }

    /// As [`Self::launch`], but it is still to be told what it may start ([`Order::Allow`]): for tests.
    ///
    /// # Errors
    /// As [`Self::launch`].
    #[doc(hidden)]
    pub fn open() -> Result<(Self, UnixStream), ServicesError> {
        // Without it, what a dead supervisor leaves behind goes to init.
        let _ = prctl::set_child_subreaper(true);
        let (own, its) = UnixStream::pair().map_err(ServicesError::Launch)?;
        let keep = |name: &[u8]| !OF_NODE.iter().any(|start| name.starts_with(start.as_bytes()));
        let pid = environment(Vec::new(), keep).and_then(|environment| {
            let errors = std::io::stderr();
            spawn(vec![SUPERVISE.into()], &environment, [Some(its.as_fd()), None, Some(errors.as_fd())])
        });
        Ok((Supervisor(pid.map_err(ServicesError::Launch)?), own))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.as_raw().unsigned_abs()
    }

    /// Kills the supervisor and what it left behind, as far as it can be found now; all children of this process but
    /// the one to `spare` and those that are [`crate::Apart`]. Returns whether all is gone; else it is to be called again a moment later, for processes whose
    /// parents die come up one after another.
    pub fn sweep(&mut self, spare: Option<&Supervisor>) -> bool {
        let mut gone = end(self.0);
        for child in children() {
            let spared = spare.is_some_and(|spare| child == spare.0) || is_apart(child.as_raw());
            gone &= child == self.0 || spared || end(child);
        }
        gone
    }
}

/// Kills a child. Returns whether it is gone.
fn end(child: Pid) -> bool {
    match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) => {
            let _ = kill(child, Signal::SIGKILL);
            false
        }
        // Dead, or no child of this process any more.
        _ => true,
    }
}

/// The children of this process, of all its threads.
fn children() -> Vec<Pid> {
    let mut all = Vec::new();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return all };
    for thread in threads.flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        all.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)));
    }
    all
}
