//! Which process is which: a process id is used again, the id with its start time is not.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::place::write_private;

/// No such process (errno(3)).
const ESRCH: i32 = Errno::ESRCH as i32;

/// One process of this boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// In clock ticks since the machine started (proc_pid_stat(5), field 22).
    start: u64,
    boot: String,
}

impl Process {
    /// The process that has this id now, if there is one that lives.
    pub(crate) fn with(pid: u32) -> Option<Self> {
        Process::look(pid).ok().flatten()
    }

    /// The same. It fails where it cannot be seen, as inside the node's sandbox.
    fn look(pid: u32) -> io::Result<Option<Self>> {
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            // ESRCH: it ended while it was read.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => {
                return Ok(None);
            }
            read => read?,
        };
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let start = start_time(&stat);
        Ok(start.map(|start| Process { pid, start, boot: boot.trim().to_owned() }))
    }

    /// What was kept in this file; nothing if there is none, or something else.
    pub(crate) fn kept(path: &Path) -> Option<Self> {
        // A pipe in its place is not waited for.
        let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).ok()?;
        let mut text = Vec::new();
        file.take(Limits::PROCESS).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps it in this file, whole, for this user alone.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<()> {
        write_private(path, &serde_json::to_vec(self)?)
    }

    /// Whether it lives still. Where it cannot be seen: whether any process has its id.
    pub(crate) fn lives(&self) -> bool {
        match Process::look(self.pid) {
            Ok(found) => found.as_ref() == Some(self),
            Err(_) => self.id().is_some_and(|pid| kill(pid, None) != Err(Errno::ESRCH)),
        }
    }

    fn id(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().map(Pid::from_raw)
    }

    /// Ends it: asks, and kills it if it does not listen. Returns whether it is gone.
    pub(crate) fn end(&self) -> bool {
        self.signal(Signal::SIGTERM, Limits::TERM_PATIENCE)
            || self.signal(Signal::SIGKILL, Limits::KILL_PATIENCE)
    }

    /// Signals it, and waits until it is gone. One that cannot be seen is not signalled: it may be another.
    pub(crate) fn signal(&self, signal: Signal, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        if !self.lives() {
            return true;
        }
        let Some(pid) = self.id().filter(|_| Process::with(self.pid).as_ref() == Some(self)) else {
            return false;
        };
        let _ = kill(pid, signal);
        while self.lives() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Limits::LOOK);
        }
        true
    }
}

/// The start time of a living process. The second field may hold anything, brackets and spaces too.
fn start_time(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    // The state was the third field.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn names_with_brackets_do_not_confuse() {
        let fields: Vec<String> = (4..=25).map(|n| n.to_string()).collect();
        assert_eq!(start_time(&format!("42 (a) R 1 (b) S {}", fields.join(" "))), Some(22));
        assert_eq!(start_time(&format!("42 (a) Z {}", fields.join(" "))), None);
        assert_eq!(start_time("42 (a) S 1"), None);
    }

    #[test]
    fn another_process_of_the_same_id_is_another() {
        let own = Process::with(std::process::id()).unwrap();
        assert!(own.lives());
        let other = Process { start: own.start + 1, ..own.clone() };
        assert!(!other.lives());
        assert!(other.end(), "and it is not touched");
        assert!(!Process { boot: String::new(), ..own }.lives());
    }

    #[test]
    fn what_does_not_listen_is_killed() {
        let mut child =
            Command::new("sh").args(["-c", "trap '' TERM; echo; sleep 60 & wait; sleep 60"]).spawn().unwrap();
        let process = Process::with(child.id()).unwrap();
        assert!(process.signal(Signal::SIGKILL, Limits::KILL_PATIENCE));
        child.wait().unwrap();
        assert!(!process.lives());
    }

    #[test]
    fn a_process_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        assert_eq!(Process::kept(&path), None);
        let own = Process::with(std::process::id()).unwrap();
        own.keep(&path).unwrap();
        assert_eq!(Process::kept(&path), Some(own));
        fs::write(&path, "17").unwrap();
        assert_eq!(Process::kept(&path), None);
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(Process::kept(&path), None);
    }
}
