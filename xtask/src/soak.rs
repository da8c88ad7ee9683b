//! `cargo xtask soak`: nodes under load with faults; memory and descriptors must stay as they are.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "nodes under load with faults: memory and descriptors stay as they are";

/// `cargo xtask soak --help`
pub const HELP: &str = "\
cargo xtask soak [--seconds N]

Runs two cloud nodes and an edge under load, for 90 seconds or N. One cloud node is killed and started again all the
time; clients reset their connections, stand still and send garbage; services come and go. Prints how memory of the
other two nodes grows, in kB a minute, and their open descriptors before and after. Exits with 1 when memory grows or
a descriptor is left open.

Examples:
  cargo xtask soak
  cargo xtask soak --seconds 3600
";

/// The length of a run when nothing else is asked for.
pub const SECONDS: u64 = 90;

/// `cargo xtask soak`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let seconds = match words.as_slice() {
        [] => SECONDS,
        ["--seconds", number] => {
            number.parse().with_context(|| format!("`{number}` is no number of seconds"))?
        }
        _ => bail!("that is not how it is called; see `cargo xtask soak --help`"),
    };
    if seconds < 30 {
        bail!("in {seconds} seconds nothing is seen: 30 at least");
    }
    let built = cargo::metadata(repo)?.target_directory.join("ci");
    for package in ["catalyst-edge", "catalyst"] {
        let mut build = cargo::command(repo);
        build.args(["build", "--profile", "ci", "--package", package]);
        if !build.status().context("cannot run cargo")?.success() {
            bail!("{package} did not build");
        }
    }
    let mut test = cargo::command(repo);
    test.args(["test", "--profile", "ci", "--package", "catalyst-e2e", "--test", "soak", "--"]);
    test.arg("--nocapture");
    test.env("CATALYST_BIN", built.join("catalyst")).env("CATALYST_EDGE_BIN", built.join("catalyst-edge"));
    test.env("CATALYST_SOAK_SECONDS", seconds.to_string());
    let good = test.status().context("cannot run cargo")?.success();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
