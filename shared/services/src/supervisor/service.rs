//! One program that was started: a service, or a check.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::output::Output;
use super::processes::{MARK, Table, signal};
use crate::again::{environment, spawn};
use crate::frame::{Exit, Id as Number, Program};
use crate::limits::Limits;
use crate::starter::START;

/// A program that runs, or ends.
pub(super) struct Service {
    pub(super) id: Number,
    pub(super) name: String,
    pub(super) pid: i32,
    /// Open until the program is there, or has failed to be.
    pub(super) status: Option<OwnedFd>,
    /// Its output; none of a check.
    pub(super) pipe: Option<OwnedFd>,
    pub(super) output: Output,
    pub(super) grace: Duration,
    /// Set when its first process has ended; the process is kept as a zombie until all is gone, so that no other gets its
    /// number and a signal that is meant for its group.
    pub(super) exit: Option<Exit>,
    pub(super) ending: Option<Ending>,
}

/// A service that is being ended.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    /// When SIGKILL comes.
    kill_at: Instant,
    /// When whatever is left is left.
    give_up_at: Instant,
}

/// Starts a program by way of the starter.
pub(super) fn start(
    id: Number,
    program: &Program,
    grace: Duration,
    keep_output: bool,
    now: Instant,
) -> Result<Service, String> {
    let failed = |error: io::Error| format!("the system cannot start a process: {error}");
    let (status, its_status) = io::pipe().map_err(failed)?;
    let (pipe, its_pipe) = keep_output.then(io::pipe).transpose().map_err(failed)?.unzip();
    let mut arguments: Vec<OsString> =
        vec![START.into(), std::process::id().to_string().into(), program.directory.clone().into()];
    arguments.extend(program.command.iter().map(OsString::from));
    let mut more = program.env.clone();
    more.push(format!("{MARK}={}", program.name));
    let environment = environment(more, |_| true).map_err(failed)?;
    let its_pipe = its_pipe.as_ref().map(AsFd::as_fd);
    let pid =
        spawn(arguments, &environment, [Some(its_status.as_fd()), its_pipe, its_pipe]).map_err(failed)?;
    Ok(Service {
        id,
        name: program.name.clone(),
        pid: pid.as_raw(),
        status: Some(OwnedFd::from(status)),
        pipe: pipe.map(OwnedFd::from),
        output: Output::new(now),
        grace,
        exit: None,
        ending: None,
    })
}

impl Service {
    /// Looks whether its first process has ended. Leaves the process as it is.
    pub(super) fn look(&mut self) -> Option<Exit> {
        let exit = self.peek();
        self.exit = self.exit.or(exit);
        exit
    }

    /// The same, and tells nobody.
    pub(super) fn peek(&self) -> Option<Exit> {
        if self.exit.is_some() {
            return None;
        }
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(Pid::from_raw(self.pid)), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
            Ok(_) => None,
            // Nobody else waits for it; but what cannot be waited for is not there.
            Err(nix::errno::Errno::EINTR) => None,
            Err(_) => Some(Exit::Code(-1)),
        }
    }

    /// Begins to end it and all that it started.
    pub(super) fn end(&mut self, table: Option<&Table>, known: &[i32], grace: Duration, now: Instant) {
        let sooner = now + grace;
        if let Some(ending) = &mut self.ending {
            ending.kill_at = ending.kill_at.min(sooner);
            ending.give_up_at = ending.kill_at + Limits::KILL_PATIENCE;
            return;
        }
        self.ending = Some(Ending { kill_at: sooner, give_up_at: sooner + Limits::KILL_PATIENCE });
        self.signal(table, known, Signal::SIGTERM);
    }

    /// A further look at a service that is being ended: how many of its processes are left that will not go, once that
    /// is known.
    pub(super) fn ended(&mut self, table: &Table, known: &[i32], now: Instant) -> Option<u32> {
        let ending = self.ending?;
        let others = table.of(self.pid, &self.name, known);
        let left = others.len() + usize::from(self.exit.is_none());
        if left > 0 && now < ending.give_up_at {
            if now >= ending.kill_at {
                self.signal(Some(table), known, Signal::SIGKILL);
            }
            return None;
        }
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Signals its group, and what has left it.
    fn signal(&self, table: Option<&Table>, known: &[i32], what: Signal) {
        let first = Pid::from_raw(self.pid);
        // Its own group may not be there yet; whoever has ended is as good.
        let _ = killpg(first, what);
        if self.exit.is_none() {
            let _ = nix::sys::signal::kill(first, what);
        }
        if let Some(table) = table {
            signal(&table.of(self.pid, &self.name, known), what);
        }
    }

    /// Ends it at once, for a check.
    pub(super) fn kill(&self) {
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        let _ = nix::sys::signal::kill(Pid::from_raw(self.pid), Signal::SIGKILL);
    }

    /// Lets the system forget its first process.
    pub(super) fn reap(&self) {
        let _ = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
    }

    pub(super) fn kill_at(&self) -> Option<Instant> {
        self.ending.map(|e| e.kill_at)
    }
}

/// Whether the kernel tells of processes, so that those which have left their group can be found.
pub(super) fn has_proc() -> bool {
    fs::metadata("/proc/self/stat").is_ok()
}
