//! What a process holds, over time: memory, its slope, and open descriptors.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Memory of one process, a sample now and then.
pub struct Watch {
    pid: u32,
    begin: Instant,
    /// Seconds since the begin, and kB that are resident.
    samples: Vec<(f64, f64)>,
    /// The same for the part that is not of files: what a leak adds to.
    anonymous: Vec<(f64, f64)>,
}

impl Watch {
    pub fn new(pid: u32) -> Watch {
        Watch { pid, begin: Instant::now(), samples: Vec::new(), anonymous: Vec::new() }
    }

    pub fn sample(&mut self) {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let at = self.begin.elapsed().as_secs_f64();
        self.samples.push((at, field_kb(&text, "VmRSS:")));
        self.anonymous.push((at, field_kb(&text, "RssAnon:")));
    }

    /// kB a minute.
    pub fn slope(&self) -> f64 {
        slope(&self.samples) * 60.0
    }

    /// The same, of anonymous memory alone.
    pub fn anonymous_slope(&self) -> f64 {
        slope(&self.anonymous) * 60.0
    }

    /// Medians of the run's eighths, in kB: how it went.
    pub fn course(&self) -> Vec<(f64, f64)> {
        let middle = |samples: &[(f64, f64)]| {
            let mut values: Vec<f64> = samples.iter().map(|(_, kb)| *kb).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let eighth = self.samples.len().div_ceil(8);
        let both = self.samples.chunks(eighth).zip(self.anonymous.chunks(eighth));
        both.map(|(all, anonymous)| (middle(all), middle(anonymous))).collect()
    }

    pub fn last_kb(&self) -> f64 {
        self.samples.last().map_or(f64::NAN, |(_, kb)| *kb)
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }
}

fn field_kb(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The median of the slopes between all pairs of samples (Theil and Sen): a burst here and there does not bend it.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (index, (t0, v0)) in samples.iter().enumerate() {
        slopes.extend(
            samples[index + 1..].iter().filter(|(t1, _)| t1 > t0).map(|(t1, v1)| (v1 - v0) / (t1 - t0)),
        );
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many descriptors a process has open. Pipes are left out: some are kept for the next flows ([`KEPT_PIPES`]).
pub fn open(pid: u32) -> usize {
    let all = descriptors(pid);
    let pipes = all.iter().filter(|path| path.to_string_lossy().starts_with("pipe:")).count();
    assert!(pipes <= KEPT_PIPES, "{all:#?}");
    all.len() - pipes
}

/// Ends of the pipes that a node keeps, and of those of its runtime.
const KEPT_PIPES: usize = 2 * 8 + 4;

/// What the open descriptors of a process are: a socket, a file.
pub fn descriptors(pid: u32) -> Vec<PathBuf> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    // One may close while they are read.
    let mut found: Vec<PathBuf> = open.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    found.sort();
    found
}

#[test]
fn a_slope_is_found_beneath_bursts() {
    let mut samples: Vec<(f64, f64)> = (0..60).map(|n| (f64::from(n), 1000.0 + 2.0 * f64::from(n))).collect();
    samples[30].1 += 5000.0;
    samples[31].1 += 5000.0;
    assert!((slope(&samples) - 2.0).abs() < 0.01, "{}", slope(&samples));
    let flat: Vec<(f64, f64)> = (0..60).map(|n| (f64::from(n), 1000.0 + f64::from(n % 2) * 40.0)).collect();
    assert!(slope(&flat).abs() < 0.5, "{}", slope(&flat));
}
