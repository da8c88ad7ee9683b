//! Many runs, on all cores: seeds in a row until they are through or one of them fails.

use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::generate::{Shape, generate_as};
use crate::mutant::Chosen;
use crate::net::Stats;
use crate::run::{Failure, run, run_twice};

/// Seeds that failed once, whatever it was: the first word of each line; a shape may follow it.
const FAILED_ONCE: &str = include_str!("../seeds.txt");

/// Mutants that only one network in many hundreds finds, and its seed.
const FOUND_LATE: &str = include_str!("../found.txt");

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Only this shape, or the one that each seed chooses.
    pub shape: Option<Shape>,
    /// Runs at a time.
    pub threads: usize,
    /// Give up after so many failures.
    pub enough: usize,
    /// The wrong version of the core that runs, or the right one.
    pub mutant: Chosen,
}

impl Campaign {
    /// So many seeds from this one, on every core.
    #[must_use]
    pub fn new(first: u64, seeds: u64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Campaign { first, seeds, shape: None, threads, enough: 5, mutant: Chosen::default() }
    }

    /// Runs. `progress` hears the number of runs that have ended, about once a second.
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Outcome {
        let next = AtomicU64::new(self.first);
        let (ended, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let start = Instant::now();
        let work = |teller: bool| {
            let mut outcome = Outcome::default();
            let mut told = Instant::now();
            while failed.load(Ordering::Relaxed) < self.enough as u64 {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed - self.first >= self.seeds {
                    break;
                }
                let began = Instant::now();
                match one(seed, self.shape, self.mutant) {
                    Ok(stats) => outcome.stats += stats,
                    Err(failure) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        outcome.failures.push(failure);
                    }
                }
                outcome.runs += 1;
                outcome.slowest = outcome.slowest.max((began.elapsed(), seed));
                let all = ended.fetch_add(1, Ordering::Relaxed) + 1;
                if teller && told.elapsed() >= Duration::from_secs(1) {
                    told = Instant::now();
                    progress(all);
                }
            }
            outcome
        };
        let mut sum = std::thread::scope(|scope| {
            let handles: Vec<_> =
                (0..self.threads.max(1)).map(|n| scope.spawn(move || work(n == 0))).collect();
            let mut sum = Outcome::default();
            // What a run panics with is a failure of that run; a thread itself does not panic.
            for outcome in handles.into_iter().filter_map(|handle| handle.join().ok()) {
                sum.runs += outcome.runs;
                sum.stats += outcome.stats;
                sum.failures.extend(outcome.failures);
                sum.slowest = sum.slowest.max(outcome.slowest);
            }
            sum
        });
        sum.failures.sort_by_key(|failure| failure.seed);
        sum.time = start.elapsed();
        sum
    }
}

/// What came of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs that ended, well or not.
    pub runs: u64,
    /// What they cost together.
    pub stats: Stats,
    /// Those that went wrong.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub time: Duration,
    /// The longest run and its seed.
    pub slowest: (Duration, u64),
}

/// One run. A panic is a failure of it.
///
/// # Errors
/// [`Failure`]: what went wrong, and how to make it happen again.
pub fn one(seed: u64, shape: Option<Shape>, mutant: Chosen) -> Result<Stats, Failure> {
    mutant.on_this_thread();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let plan = generate_as(seed, shape);
        // A second run with other delays, now and then: it costs as much as the first.
        if seed.is_multiple_of(8) && !plan.tight { run_twice(&plan) } else { run(&plan) }
    }));
    Chosen::default().on_this_thread();
    let again = format!(
        "{seed}{}{}",
        shape.map(|shape| format!(" --shape {}", shape.name())).unwrap_or_default(),
        mutant.argument()
    );
    let ran = ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        let shape = shape.map_or("", Shape::name).to_owned();
        Err(Failure { seed, shape, epoch: 0, what: format!("panicked: {text}"), again: String::new() })
    });
    ran.map_err(|failure| Failure { again, ..failure })
}

/// Seeds that failed once, with the shape they failed under, if it was not the seed's own.
#[must_use]
pub fn failed_once() -> Vec<(u64, Option<Shape>)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let seed = words.next()?.parse().ok()?;
        Some((seed, words.next().and_then(Shape::find)))
    };
    FAILED_ONCE.lines().filter_map(line).collect()
}

/// The seed that found a mutant before, if that was a late one.
#[must_use]
pub fn found_before(mutant: &str) -> Option<u64> {
    let line = |line: &str| {
        let (name, seed) = line.split_once(' ')?;
        (name == mutant).then(|| seed.trim().parse().ok())?
    };
    FOUND_LATE.lines().find_map(line)
}

impl AddAssign for Stats {
    fn add_assign(&mut self, more: Stats) {
        self.steps += more.steps;
        self.frames += more.frames;
        self.loud += more.loud;
        self.connections += more.connections;
        self.checks += more.checks;
        self.healed += more.healed;
        self.stale += more.stale;
        self.routes += more.routes;
        self.longest_unrest = self.longest_unrest.max(more.longest_unrest);
        self.most_frames = self.most_frames.max(more.most_frames);
        self.trace ^= more.trace;
        self.most_updates = self.most_updates.max(more.most_updates);
        self.circles += more.circles;
        self.longest_circle = self.longest_circle.max(more.longest_circle);
    }
}
