//! `cargo xtask sim`: random networks of the real core against an independent solver.
//!
//! The simulator is `shared/testkit`; this builds it and hands the arguments on.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "random networks with faults against an independent solver";

/// `cargo xtask sim --help`
pub const HELP: &str = "\
cargo xtask sim [--seeds N] [--first-seed M] [--shape NAME] [--quiet]
cargo xtask sim --seed S [--shape NAME] [--mutant NAME] [--quiet]
cargo xtask sim --mutants [--mutant NAME] [--seeds N] [--first-seed M]

Runs simulated networks of the real core and the real codec, with faults, on all cores; after each of its epochs a
network must come to rest in exactly the state that an independent solver gives. One seed is one network, event for
event, on every machine. Exits with 1 when a run fails, and prints the line that replays it. See docs/simulator.md.

  --seeds N        so many networks, 10,000 if nothing else is said
  --first-seed M   from this seed on, 1 if nothing else is said
  --seed S         one network, and everything that happens in it
  --shape NAME     networks of this shape only
  --mutants        each wrong version of the core until a check finds it; one that none finds is an error
  --mutant NAME    with this wrong version; with --mutants that one alone
  --quiet          no progress; with --seed only the result

Examples:
  cargo xtask sim
  cargo xtask sim --seeds 100000 --first-seed 10001
  cargo xtask sim --seed 4711
  cargo xtask sim --mutants
";

/// `cargo xtask sim`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let mut run = cargo::command(repo);
    run.args(["run", "--quiet", "--profile", "ci", "--package", "catalyst-testkit", "--example", "sim"]);
    if args.iter().any(|arg| arg.starts_with("--mutant")) {
        run.args(["--features", "mutants"]);
    }
    let status = run.arg("--").args(args).status().context("cannot run cargo")?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1) => Ok(ExitCode::FAILURE),
        _ => bail!("the simulator did not run: {status}"),
    }
}
