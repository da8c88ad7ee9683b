//! `cargo xtask bench`: builds what is measured as users run it, then runs `catalyst-bench`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build_edge;
use crate::cargo;
use crate::envoy;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "measure the figures of docs/benchmarks.md against their bars";

/// `cargo xtask bench --help`
pub const HELP: &str = "\
cargo xtask bench SUITE [SCENARIO...] [--with-rathole] [--json]

Builds the edge node as it ships and the cloud node with `release`, measures, and prints what was measured, the bar
and whether it holds. All of it on loopback, with real QUIC and mutual TLS. Exits with 1 when a bar is missed. A quiet
machine gives the truest figures; a suite takes two to five minutes after the builds.

  core        the core by itself. Scenarios: latency, transit, idle, loss
  edge        the edge node, in turns with HAProxy and nginx (apt-get install haproxy nginx libnginx-mod-stream).
              Scenarios: forward, tunnel, idle, small, join
  dataplane   what a cloud node does to its Envoy and what Envoy then costs, in turns with a bare delta server and with
              a pair of Envoys configured by hand (apt-get install wrk; Envoy as by `cargo xtask envoy fetch`).
              Scenarios: change, scale, churn, pair, kill
  routes      tables of 100,000 and 1,000,000 routes through a node, in turns with BIRD 2 (apt-get install bird2; where
              it is not installed, Debian's package is fetched and unpacked into the target folder; it needs no rights).
              Scenarios: table, million, sessions, alone

  SCENARIO         only these
  --with-rathole   edge: also rathole, built from the crate registry into the target folder
  --json           for programs

Examples:
  cargo xtask bench core
  cargo xtask bench core latency --json
  cargo xtask bench edge --with-rathole
  cargo xtask bench dataplane change
";

const WITH_RATHOLE: &str = "--with-rathole";

const SUITES: &[&str] = &["core", "edge", DATAPLANE, ROUTES];

/// The suite of the cloud node alone, beside BIRD.
const ROUTES: &str = "routes";

/// The suite without the edge node, and with Envoy.
const DATAPLANE: &str = "dataplane";

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
    let target = cargo::metadata(repo)?.target_directory;
    let (flag, other) = match suite.as_str() {
        DATAPLANE => ("--envoy", envoy::fetch(&target)?),
        ROUTES => ("--bird", bird(&target)?),
        _ => ("--edge", build_edge::build(repo, None)?),
    };
    let binary = |profile: &str, name: &str| -> PathBuf { target.join(profile).join(name) };
    let rathole = if rest.iter().any(|arg| arg == WITH_RATHOLE) { Some(rathole(&target)?) } else { None };
    let status = Command::new(binary("release", "catalyst-bench"))
        .arg(suite)
        .arg("--cloud")
        .arg(binary("release", "catalyst"))
        .arg(flag)
        .arg(other)
        .args(rathole.iter().flat_map(|path| [Path::new("--rathole"), path]))
        .args(rest.iter().filter(|arg| *arg != WITH_RATHOLE))
        .status()
        .context("cannot run catalyst-bench")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)))
}

/// rathole with the newest dependencies that fit (its own lock file is years old) and no more than the Noise
/// transport; built once.
fn rathole(target: &Path) -> Result<PathBuf> {
    let root = target.join("rathole");
    let binary = root.join("bin/rathole");
    if !binary.is_file() {
        eprintln!("building rathole");
        let mut install = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        install.args(["install", "rathole", "--no-default-features", "--features", "server,client,noise"]);
        install.arg("--root").arg(&root).arg("--target-dir").arg(root.join("build"));
        if !install.status().context("cannot run cargo")?.success() {
            bail!("rathole did not build");
        }
    }
    Ok(binary)
}

/// BIRD 2 as Debian packages it: the one that is installed, or one that is only unpacked.
fn bird(target: &Path) -> Result<PathBuf> {
    let installed = Path::new("/usr/sbin/bird");
    if installed.is_file() {
        return Ok(installed.to_owned());
    }
    let root = target.join("bird");
    let binary = root.join("usr/sbin/bird");
    if !binary.is_file() {
        eprintln!("unpacking BIRD");
        std::fs::create_dir_all(&root)?;
        let run = |program: &str, args: &[&str]| -> Result<()> {
            let status = Command::new(program).current_dir(&root).args(args).status();
            match status.with_context(|| format!("cannot run {program}"))?.success() {
                true => Ok(()),
                false => bail!("{program} {} failed; install BIRD: apt-get install bird2", args.join(" ")),
            }
        };
        // The library is what BIRD needs beyond what every Debian has.
        run("apt-get", &["--quiet", "download", "bird2", "libssh-gcrypt-4"])?;
        for entry in std::fs::read_dir(&root)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "deb") {
                run("dpkg", &["--extract", &path.to_string_lossy(), "."])?;
            }
        }
    }
    Ok(binary)
}
