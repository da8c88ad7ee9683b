//! `cargo xtask bench`: builds what is measured as users run it, then runs `catalyst-bench`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build_edge;
use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "measure the figures of docs/benchmarks.md against their bars";

/// `cargo xtask bench --help`
pub const HELP: &str = "\
cargo xtask bench core [SCENARIO...] [--json]

Builds the edge node with the profile `edge` and the cloud node with `release`, measures, and prints what was
measured, the bar and whether it holds. All of it on loopback, with real QUIC and mutual TLS. Exits with 1 when a
bar is missed. A quiet machine gives the truest figures; a whole run takes about two minutes after the builds.

  SCENARIO    only these: latency, transit, idle, loss
  --json      for programs

Examples:
  cargo xtask bench core
  cargo xtask bench core latency --json
";

const SUITES: &[&str] = &["core"];

/// What is built, each by itself, so that no crate turns on features in another binary: package and profile.
const BUILDS: &[(&str, &str)] = &[("catalyst", "release"), ("catalyst-bench", "release")];

/// `cargo xtask bench`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let Some((suite, rest)) = args.split_first() else {
        bail!("name what to measure: {}; see `cargo xtask bench --help`", SUITES.join(", "));
    };
    if !SUITES.contains(&suite.as_str()) {
        bail!("there is no suite `{suite}`: it is one of {}", SUITES.join(", "));
    }
    for (package, profile) in BUILDS {
        eprintln!("building {package} with the profile {profile}");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.current_dir(repo.root()).args([
            "build",
            "--locked",
            "--package",
            package,
            "--profile",
            profile,
        ]);
        if !build.status().context("cannot run cargo")?.success() {
            bail!("{package} did not build");
        }
    }
    let edge = build_edge::build(repo, None)?;
    let target = cargo::metadata(repo)?.target_directory;
    let binary = |profile: &str, name: &str| -> PathBuf { target.join(profile).join(name) };
    let status = Command::new(binary("release", "catalyst-bench"))
        .arg("--cloud")
        .arg(binary("release", "catalyst"))
        .arg("--edge")
        .arg(edge)
        .args(rest)
        .status()
        .context("cannot run catalyst-bench")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)))
}
