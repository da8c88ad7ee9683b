//! The command line: which suite, which scenarios of it, and the binaries under test.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::binaries::Binaries;
use crate::report::Report;
use crate::{dataplane, edge, idle, latency, loss, routes, transit};

/// What was asked for.
pub struct Arguments {
    /// What is measured.
    pub binaries: Binaries,
    /// For programs.
    pub json: bool,
    /// In their order.
    pub scenarios: Vec<(&'static str, Scenario)>,
}

/// Appends rows to the report.
pub type Scenario = fn(&Binaries, &mut Report) -> Result<()>;

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
            ("loaded", dataplane::loaded),
            ("churn", dataplane::churn),
            ("pair", dataplane::pair),
            ("kill", dataplane::kill),
        ],
    ),
    (
        "routes",
        &[
            ("table", routes::table),
            ("million", routes::million),
            ("sessions", routes::sessions),
            ("alone", routes::alone),
        ],
    ),
    // Of the tests: quick, and with bars that hold in a build that is not optimised and on a busy machine.
    ("short", &[("routes", routes::short)]),
];

const USAGE: &str = "catalyst-bench SUITE --cloud PATH [--edge PATH] [--envoy PATH] [--bird PATH] [--rathole PATH] [--json] [SCENARIO...]";

/// Reads the command line.
pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments> {
    let suite = args.next().with_context(|| USAGE)?;
    let Some((_, all)) = SUITES.iter().find(|(name, _)| *name == suite) else {
        bail!("`{suite}` is no suite: {USAGE}");
    };
    let (mut cloud, mut edge, mut envoy, mut bird, mut rathole) = (None, None, None, None, None);
    let (mut json, mut only) = (false, Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--cloud" => cloud = args.next().map(PathBuf::from),
            "--edge" => edge = args.next().map(PathBuf::from),
            "--envoy" => envoy = args.next().map(PathBuf::from),
            "--bird" => bird = args.next().map(PathBuf::from),
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
    // A suite runs one of the two, or neither.
    let (edge, envoy) = match suite.as_str() {
        "routes" | "short" => (PathBuf::new(), PathBuf::new()),
        "dataplane" => (PathBuf::new(), envoy.with_context(|| format!("--envoy is missing: {USAGE}"))?),
        _ => (edge.with_context(|| format!("--edge is missing: {USAGE}"))?, PathBuf::new()),
    };
    let wanted = |(name, _): &&(&str, Scenario)| only.is_empty() || only.iter().any(|only| only == name);
    let scenarios = all.iter().filter(wanted).copied().collect();
    Ok(Arguments { binaries: Binaries { cloud, edge, envoy, bird, rathole }, json, scenarios })
}
