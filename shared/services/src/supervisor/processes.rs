//! Which processes are of a service: those of its session and group, those that they started, and those whose parents
//! have died, which come up as children of the supervisor and are known by a variable of their environment.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// The variable that tells a service its name, and the supervisor whose a process is.
pub(super) const MARK: &str = "CATALYST_SERVICE";

/// A line of the system's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    dead: bool,
}

/// The table as it is now; empty where there is no /proc.
pub(super) struct Table(Vec<Process>);

impl Table {
    /// What is known where there is no /proc.
    pub(super) fn empty() -> Self {
        Table(Vec::new())
    }

    pub(super) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Table(pids.filter_map(|pid| parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect())
    }

    /// Living processes of the service, but for its first one. `known` are first processes of services and checks.
    pub(super) fn of(&self, first: i32, name: &str, known: &[i32]) -> Vec<i32> {
        let own = std::process::id().cast_signed();
        let mark = format!("{MARK}={name}");
        let mut found: Vec<i32> = vec![first];
        let theirs = |p: &Process| {
            p.session == first || p.group == first || (p.parent == own && !p.dead && marked(p.pid, &mark))
        };
        found.extend(self.others(known).filter(|p| theirs(p)).map(|p| p.pid));
        // Children of what was found, and theirs.
        loop {
            let before = found.len();
            for process in self.others(known) {
                if found.contains(&process.parent) && !found.contains(&process.pid) {
                    found.push(process.pid);
                }
            }
            if found.len() == before {
                break;
            }
        }
        let alive = |pid: &i32| *pid != first && self.0.iter().any(|p| p.pid == *pid && !p.dead);
        found.retain(alive);
        found
    }

    /// Living children of the supervisor that are of nobody.
    pub(super) fn adopted(&self, known: &[i32]) -> Vec<i32> {
        let own = std::process::id().cast_signed();
        self.others(known).filter(|p| p.parent == own && !p.dead).map(|p| p.pid).collect()
    }

    /// Takes the exit codes of dead children that are nobody's first process.
    pub(super) fn reap(&self, known: &[i32]) {
        let own = std::process::id().cast_signed();
        for process in self.others(known).filter(|p| p.parent == own && p.dead) {
            let _ = waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG));
        }
    }

    fn others<'a>(&'a self, known: &'a [i32]) -> impl Iterator<Item = &'a Process> {
        let own = std::process::id().cast_signed();
        self.0.iter().filter(move |p| p.pid != own && !known.contains(&p.pid))
    }
}

/// Signals each; one that has ended meanwhile is as good.
pub(super) fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// `/proc/PID/stat`, whose second field may hold anything, brackets too (proc_pid_stat(5)).
fn parse(stat: &str) -> Option<Process> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    let mut number = || fields.next()?.parse().ok();
    Some(Process { pid, dead, parent: number()?, group: number()?, session: number()? })
}

/// Looks at an environment that is empty: for a moment it is, while a process becomes another program (`execve`). Who was
/// not known for that would outlive its service. One that has none at all costs so many looks.
const LOOKS: usize = 32;

fn marked(pid: i32, mark: &str) -> bool {
    for _ in 0..LOOKS {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        if !environment.is_empty() {
            return environment.split(|b| *b == 0).any(|variable| variable == mark.as_bytes());
        }
        std::thread::yield_now();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_confuse() {
        let process = parse("42 (a) R 1 (b) S 7 8 9 0 -1").unwrap();
        assert_eq!(process, Process { pid: 42, parent: 7, group: 8, session: 9, dead: false });
        assert!(parse("43 (x) Z 1 2 3").unwrap().dead);
        assert_eq!(parse("44 (x) S 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn children_of_children_are_of_the_service() {
        let process = |pid, parent, group, session, dead| Process { pid, parent, group, session, dead };
        let table = Table(vec![
            process(1_000_010, 2, 1_000_010, 1_000_010, true),
            process(1_000_011, 1_000_010, 1_000_010, 1_000_010, false),
            // A session of its own, below one that is of the service.
            process(1_000_012, 1_000_011, 1_000_012, 1_000_012, false),
            process(1_000_013, 1_000_012, 1_000_013, 1_000_013, false),
            // Another service's.
            process(1_000_020, 2, 1_000_020, 1_000_020, false),
            process(1_000_021, 1_000_020, 1_000_020, 1_000_020, false),
        ]);
        let known = [1_000_010, 1_000_020];
        assert_eq!(table.of(1_000_010, "s", &known), [1_000_011, 1_000_012, 1_000_013]);
    }
}
