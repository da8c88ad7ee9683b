//! `catalyst-bench`: measures the numbers of `docs/benchmarks.md`. `cargo xtask bench` builds what it needs and
//! runs it.
//!
//! One file a scenario, each a function that appends rows to the report; a row holds what was measured and the bar
//! that it is held against. Figures are CPU time, bytes and ratios, as far as one can: wall time on a busy machine
//! says little.

mod admin;
mod daemon;
mod dataplane;
mod edge;
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
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use report::Report;

/// The binaries under test, as `cargo xtask bench` built them.
struct Binaries {
    cloud: PathBuf,
    edge: PathBuf,
    /// The Envoy that the suite `dataplane` runs.
    envoy: PathBuf,
    /// Only when asked for: nobody packages it.
    rathole: Option<PathBuf>,
}

struct Arguments {
    binaries: Binaries,
    json: bool,
    scenarios: Vec<(&'static str, Scenario)>,
}

type Scenario = fn(&Binaries, &mut Report) -> Result<()>;

/// Suites with their scenarios.
const SUITES: &[(&str, &[(&str, Scenario)])] = &[
    (
        "core",
        &[("latency", latency::run), ("transit", transit::run), ("idle", idle::run), ("loss", loss::run)],
    ),
    (
        "edge",
        &[
            ("forward", edge::forward),
            ("tunnel", edge::tunnel),
            ("idle", edge::idle),
            ("small", edge::small),
            ("join", edge::join),
        ],
    ),
    (
        "dataplane",
        &[
            ("change", dataplane::change),
            ("scale", dataplane::scale),
            ("churn", dataplane::churn),
            ("pair", dataplane::pair),
            ("kill", dataplane::kill),
        ],
    ),
];

const USAGE: &str =
    "catalyst-bench SUITE --cloud PATH [--edge PATH] [--envoy PATH] [--rathole PATH] [--json] [SCENARIO...]";

fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments> {
    let suite = args.next().with_context(|| USAGE)?;
    let Some((_, all)) = SUITES.iter().find(|(name, _)| *name == suite) else {
        bail!("`{suite}` is no suite: {USAGE}");
    };
    let (mut cloud, mut edge, mut envoy, mut rathole) = (None, None, None, None);
    let (mut json, mut only) = (false, Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--cloud" => cloud = args.next().map(PathBuf::from),
            "--edge" => edge = args.next().map(PathBuf::from),
            "--envoy" => envoy = args.next().map(PathBuf::from),
            "--rathole" => rathole = args.next().map(PathBuf::from),
            "--json" => json = true,
            name if all.iter().any(|(known, _)| *known == name) => only.push(arg),
            other => {
                let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
                bail!("`{other}` is not an argument: {USAGE}; scenarios are {}", names.join(", "))
            }
        }
    }
    let cloud = cloud.with_context(|| format!("--cloud is missing: {USAGE}"))?;
    // Each suite runs one of the two.
    let (edge, envoy) = match suite.as_str() {
        "dataplane" => (PathBuf::new(), envoy.with_context(|| format!("--envoy is missing: {USAGE}"))?),
        _ => (edge.with_context(|| format!("--edge is missing: {USAGE}"))?, PathBuf::new()),
    };
    let wanted = |(name, _): &&(&str, Scenario)| only.is_empty() || only.iter().any(|only| only == name);
    let scenarios = all.iter().filter(wanted).copied().collect();
    Ok(Arguments { binaries: Binaries { cloud, edge, envoy, rathole }, json, scenarios })
}

fn measure() -> Result<bool> {
    let arguments = parse(std::env::args().skip(1))?;
    let mut report = Report::default();
    // Thousands of connections: as many descriptors as this user may have, for what is started here too.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    for (name, scenario) in &arguments.scenarios {
        eprintln!("measuring: {name}");
        scenario(&arguments.binaries, &mut report).with_context(|| format!("scenario {name}"))?;
    }
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(report.passed())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if let (Some(dataplane::SERVER), Some(folder)) = (args.next().as_deref(), args.next()) {
        // A part of a measurement, in a process of its own.
        return dataplane::server(folder.as_ref()).unwrap_or_else(|error| {
            println!("{error:#}");
            ExitCode::from(2)
        });
    }
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
