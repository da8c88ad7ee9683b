//! What the system knows of a process: `/proc/PID`.

use std::fs;

use anyhow::{Context, Result};

/// CPU time of a process so far, user and system, in seconds. Summed over its threads from the scheduler, in
/// nanoseconds; a thread that has ended is missing, so a process is compared only while it keeps its threads.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    Ok(times(pid)?.ran)
}

/// What the scheduler knows of all threads of a process so far, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// On a CPU.
    pub ran: f64,
    /// Ready, and waiting for one.
    pub waited: f64,
}

/// Reads the threads' `schedstat`; those of threads that have ended are missing.
pub fn times(pid: u32) -> Result<Times> {
    let (mut ran, mut waited) = (0u64, 0u64);
    let tasks = format!("/proc/{pid}/task");
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        let path = task?.path().join("schedstat");
        // A thread that ends meanwhile is none.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let mut words = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || words.next().context("a short schedstat");
        ran += next()??;
        waited += next()??;
    }
    Ok(Times { ran: ran as f64 / 1e9, waited: waited as f64 / 1e9 })
}

/// What the host of a virtual machine took of all CPUs so far, in seconds; it is counted in hundredths.
pub fn stolen() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let steal = text.split_whitespace().nth(8).context("no steal in /proc/stat")?;
    Ok(steal.parse::<f64>()? / 100.0)
}

/// CPU time of this thread so far, in seconds; up to some milliseconds old.
pub fn own_cpu_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("an empty schedstat")?;
    Ok(first.parse::<u64>()? as f64 / 1e9)
}

/// Memory and threads of a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes that are resident; most of a small process is clean pages of its own binary and libc.
    pub resident: f64,
    /// Bytes that only this process has and nothing but swap could take back.
    pub anonymous: f64,
    /// Threads.
    pub threads: f64,
}

/// Reads `/proc/PID/status`.
pub fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
        let word = line.split_whitespace().next().context(name.to_owned())?;
        Ok(word.parse()?)
    };
    Ok(Memory {
        resident: field("VmRSS:")? * 1024.0,
        anonymous: field("RssAnon:")? * 1024.0,
        threads: field("Threads:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.resident > memory.anonymous && memory.anonymous > 0.0 && memory.threads >= 1.0);
        assert!(cpu_seconds(pid).unwrap() > 0.0 && times(pid).unwrap().waited > 0.0);
        assert!(stolen().unwrap() >= 0.0);
        // A thread's time is counted at its ticks.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while own_cpu_seconds().unwrap() == 0.0 {
            assert!(std::time::Instant::now() < end);
        }
    }
}
