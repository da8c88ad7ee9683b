//! Figures of the process, by the names that every Prometheus client library uses.

use std::fmt::Write;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// What `/proc/self/stat` says, from field 14 on (proc_pid_stat(5)).
struct Stat {
    /// In ticks: in user mode and in the kernel.
    cpu: u64,
    /// In ticks since the system started.
    started: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

fn stat(text: &str) -> Option<Stat> {
    // The name of the program may hold anything, a bracket too.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // The first of them is field 3.
    let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu: field(14)? + field(15)?,
        started: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// When the system started, in seconds since 1970.
fn booted(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Ticks as seconds, with two digits after the point.
fn seconds(ticks: u64) -> String {
    let hundredths = ticks.saturating_mul(100) / clock_ticks_per_second().max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Adds the families to a page; what the system does not tell is left out.
pub(super) fn figures(out: &mut String) {
    let mut one = |name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}"
        );
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if let Some(stat) = stat(&read("/proc/self/stat")) {
        let cpu = seconds(stat.cpu);
        one("cpu_seconds_total", "counter", "CPU time in user mode and in the kernel.", &cpu);
        let resident = stat.resident_pages.saturating_mul(page_size() as u64);
        one("resident_memory_bytes", "gauge", "Resident memory.", &resident);
        one("virtual_memory_bytes", "gauge", "Virtual memory.", &stat.virtual_bytes);
        if let Some(booted) = booted(&read("/proc/stat")) {
            let ticks = clock_ticks_per_second().max(1);
            let started = seconds(booted.saturating_mul(ticks).saturating_add(stat.started));
            one("start_time_seconds", "gauge", "When the process started, since 1970.", &started);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder itself.
        one("open_fds", "gauge", "Open file descriptors.", &open.count().saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        one("max_fds", "gauge", "The most file descriptors that may be open.", &most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_system_is_read_whatever_the_program_is_called() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 25 17 0 0 20 0 3 0 777 1000000 250 18446744073709551615 1";
        let stat = stat(line).unwrap();
        assert_eq!(
            (stat.cpu, stat.started, stat.virtual_bytes, stat.resident_pages),
            (42, 777, 1_000_000, 250)
        );
        assert_eq!(booted("cpu 1 2\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert!(stat("").is_none() && stat("7 (x) S 1").is_none() && stat("7 (x) S a b").is_none());
        assert!(booted("btime x").is_none() && booted("").is_none());
    }
}
