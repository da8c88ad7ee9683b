//! `catalyst-bench`: measures the numbers of `docs/benchmarks.md`. `cargo xtask bench` builds what it needs and
//! runs it.
//!
//! One file a scenario, each a function that appends rows to the report; a row holds what was measured and the bar
//! that it is held against. Figures are CPU time, bytes and ratios, as far as one can: wall time on a busy machine
//! says little.

mod admin;
mod arguments;
mod binaries;
mod daemon;
mod dataplane;
mod edge;
mod idle;
mod latency;
mod link;
mod loss;
mod node;
mod org;
mod proc;
mod report;
mod routes;
mod transit;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use report::Report;

use arguments::parse;
pub use binaries::Binaries;

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
    let part: Option<fn(&Path) -> Result<ExitCode>> = match args.next().as_deref() {
        Some(dataplane::SERVER) => Some(dataplane::server),
        Some(routes::SERVER) => Some(routes::server),
        _ => None,
    };
    if let (Some(part), Some(folder)) = (part, args.next()) {
        // A part of a measurement, in a process of its own.
        return part(folder.as_ref()).unwrap_or_else(|error| {
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
