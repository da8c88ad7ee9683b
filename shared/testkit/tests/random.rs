//! Some hundred random networks with faults against the oracle; `cargo xtask sim` runs thousands.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use catalyst_testkit::{Campaign, Chosen, failed_once, generate, one, run};

#[test]
fn random_networks_agree_with_the_oracle() {
    let outcome = Campaign::new(1, 300).run(|_| {});
    let texts: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{} runs failed:\n{}", texts.len(), texts.join("\n"));
    assert_eq!(outcome.runs, 300);
    assert!(outcome.stats.checks > 1_000, "{:?}", outcome.stats);
}

#[test]
fn seeds_that_failed_once_do_not_fail_again() {
    for (seed, shape) in failed_once() {
        one(seed, shape, Chosen::default()).unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 14, 159] {
        assert_eq!(run(&generate(seed)), run(&generate(seed)), "seed {seed}");
    }
}
