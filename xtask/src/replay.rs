//! `cargo xtask replay`: a recording of a live node through a fresh core.

use std::path::absolute;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "run a recording of a live node again, and compare the digest of its state";

/// `cargo xtask replay --help`
pub const HELP: &str = "\
cargo xtask replay FILE

Runs what `catalyst up --record FILE` or `catalyst-edge run --record FILE` wrote through a fresh core of this source.
Prints the routes that stand at its end and the digest of the state. Where the recording says what the digest was, which
nodes of the cloud note now and then, before they stop and at their end, it must be the same. A recording that was cut, as by
SIGKILL, is replayed as far as it is whole.

Exits with 1 when the state is another or the file cannot be read, 2 when it cannot be tried, 3 when the file is damaged or
of another schema.

Examples:
  cargo xtask replay incident.jsonl
";

/// `cargo xtask replay`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let [file] = args else { bail!("name one recording; see `cargo xtask replay --help`") };
    // Cargo runs in the repository, wherever this was called.
    let file = absolute(file).with_context(|| format!("cannot find `{file}`"))?;
    let mut run = cargo::command(repo);
    run.args(["run", "--quiet", "--profile", "ci", "--package", "catalyst", "--", "replay"]).arg(file);
    let status = run.status().context("cannot run cargo")?;
    match status.code().map(u8::try_from) {
        // Cargo's own, when it cannot build: not one that `catalyst` gives.
        Some(Ok(101)) => bail!("catalyst could not be built; what is wrong stands above"),
        Some(Ok(code)) => Ok(ExitCode::from(code)),
        _ => bail!("the replay ended with {status}"),
    }
}
