//! A thousand random networks with faults against the oracle.
//!
//! `CATALYST_SIM_SEED` sets the first seed, `CATALYST_SIM_RUNS` how many.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use catalyst_testkit::{Failure, Stats, generate, run};

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not '{text}'")),
        Err(_) => default,
    }
}

#[test]
fn random_networks_agree_with_the_oracle() {
    let (first, runs) = (number("CATALYST_SIM_SEED", 1), number("CATALYST_SIM_RUNS", 1_000));
    println!("seeds {first} to {}", first + runs - 1);
    let next = AtomicU64::new(first);
    let work = || {
        let (mut failures, mut total): (Vec<Failure>, Stats) = Default::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + runs || failures.len() > 4 {
                return (failures, total);
            }
            match run(&generate(seed)) {
                Ok(stats) => {
                    total.steps += stats.steps;
                    total.frames += stats.frames;
                    total.loud += stats.loud;
                    total.connections += stats.connections;
                    total.checks += stats.checks;
                    total.routes += stats.routes;
                }
                Err(failure) => failures.push(failure),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            let (failed, stats) = handle.join().expect("a run panicked; its seed is in the output above");
            println!("{stats:?}");
            failures.extend(failed);
        }
    });
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{} runs failed:\n{}", texts.len(), texts.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 14, 159] {
        assert_eq!(run(&generate(seed)), run(&generate(seed)), "seed {seed}");
    }
}
