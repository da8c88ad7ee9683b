//! Runs one seed again and tells everything that happens.
//!
//! `cargo run -p catalyst-testkit --example replay -- --seed 4711`

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use catalyst_testkit::{generate, run_observed};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seed = match (args.next().as_deref(), args.next().and_then(|text| text.parse().ok()), args.next()) {
        (Some("--seed"), Some(seed), None) => seed,
        _ => {
            eprintln!("usage: replay --seed NUMBER");
            return ExitCode::from(2);
        }
    };
    let plan = generate(seed);
    println!("{}", plan.shape);
    for (place, node) in plan.nodes.iter().enumerate() {
        let services: Vec<&str> = node.services.iter().map(|s| s.label.as_str()).collect();
        println!("node {place}: {} with {services:?}, {:?}", node.name, node.store);
    }
    for (place, link) in plan.links.iter().enumerate() {
        let [a, b] = link.ends.map(|n| plan.nodes[n].name.to_string());
        println!(
            "link {place}: {a} and {b}, dials {:?}, delay {:?}, window {}",
            link.dials, link.delay, link.window
        );
    }
    let mut out = BufWriter::new(stdout());
    let observer = move |at: u64, text: &str| {
        // A closed pipe is no reason to stop.
        let _ = writeln!(out, "{at:>8} {text}");
        let _ = out.flush();
    };
    match run_observed(&plan, Some(Box::new(observer))) {
        Ok(stats) => {
            println!("passed: {stats:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
