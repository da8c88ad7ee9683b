//! `catalyst-bench`: measures the numbers of `docs/benchmarks.md`. `cargo xtask bench` builds what it needs and
//! runs it.
//!
//! One file a scenario, each a function that appends rows to the report; a row holds what was measured and the bar
//! that it is held against. Figures are CPU time, bytes and ratios, as far as one can: wall time on a busy machine
//! says little.

mod admin;
mod daemon;
mod idle;
mod latency;
mod loss;
mod node;
mod org;
mod proc;
mod report;
mod transit;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use report::Report;

/// The binaries under test, as `cargo xtask bench` built them.
struct Binaries {
    cloud: PathBuf,
    edge: PathBuf,
}

struct Arguments {
    binaries: Binaries,
    json: bool,
    only: Vec<String>,
}

type Scenario = fn(&Binaries, &mut Report) -> Result<()>;

const SCENARIOS: &[(&str, Scenario)] =
    &[("latency", latency::run), ("transit", transit::run), ("idle", idle::run), ("loss", loss::run)];

const USAGE: &str = "catalyst-bench --cloud PATH --edge PATH [--json] [SCENARIO...]";

fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments> {
    let (mut cloud, mut edge, mut json, mut only) = (None, None, false, Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--cloud" => cloud = args.next().map(PathBuf::from),
            "--edge" => edge = args.next().map(PathBuf::from),
            "--json" => json = true,
            name if SCENARIOS.iter().any(|(known, _)| *known == name) => only.push(arg),
            other => {
                let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
                bail!("`{other}` is not an argument: {USAGE}; scenarios are {}", names.join(", "))
            }
        }
    }
    let cloud = cloud.with_context(|| format!("--cloud is missing: {USAGE}"))?;
    let edge = edge.with_context(|| format!("--edge is missing: {USAGE}"))?;
    Ok(Arguments { binaries: Binaries { cloud, edge }, json, only })
}

fn measure() -> Result<bool> {
    let arguments = parse(std::env::args().skip(1))?;
    let mut report = Report::default();
    for (name, scenario) in SCENARIOS {
        if arguments.only.is_empty() || arguments.only.iter().any(|only| only == name) {
            eprintln!("measuring: {name}");
            scenario(&arguments.binaries, &mut report).with_context(|| format!("scenario {name}"))?;
        }
    }
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(report.passed())
}

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        // A figure missed its bar.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("catalyst-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}
