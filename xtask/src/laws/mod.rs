//! `cargo xtask laws`: the rules of the house, each a program that can fail.
//!
//! A law is a file here with a pure check over data, which its tests feed with a breach, and a `run` that
//! gathers the data from the checkout. A new law is a module and one line in [`LAWS`].

mod crate_graph;
mod duplicates;
pub mod edge_tree;
mod fault;
mod file_length;
mod golden_bytes;
mod licences;
mod module_circles;
mod no_runtime;
mod no_std;
mod no_unsafe;
mod one_tls;
mod pure_crates;
mod purity;
mod spdx;
mod words;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::repo::Repo;
use fault::Verdict;

/// The line in the overview.
pub const SUMMARY: &str = "check the rules of the house: crate graph, purity, licences, file length...";

/// `cargo xtask laws --help`
pub const HELP: &str = "\
cargo xtask laws [NAME...] [--list]

Checks the rules that keep the house in order, all of them or those named. Prints one line a law,
and for each breach the place and how to mend it. Exits with 1 when a law is broken.

  --list    what each law says

Examples:
  cargo xtask laws
  cargo xtask laws crate-graph purity
";

/// One rule.
struct Law {
    name: &'static str,
    says: &'static str,
    run: fn(&Repo) -> Result<Verdict>,
}

const LAWS: &[Law] = &[
    Law {
        name: "crate-graph",
        says: "a crate uses only the crates the architecture allows it",
        run: crate_graph::run,
    },
    Law {
        name: "no-runtime",
        says: "no runtime, socket, clock or randomness crate below the core",
        run: no_runtime::run,
    },
    Law {
        name: "purity",
        says: "the pure crates name no clock, thread, file, socket or hash map",
        run: purity::run,
    },
    Law { name: "one-tls", says: "ring is the only crypto provider, rustls the only TLS", run: one_tls::run },
    Law { name: "licences", says: "every dependency has a licence on the allow-list", run: licences::run },
    Law {
        name: "duplicates",
        says: "no binary holds two versions of a crate without a stated reason",
        run: duplicates::run,
    },
    Law { name: "edge-tree", says: "the edge's dependencies do not grow unnoticed", run: edge_tree::run },
    Law {
        name: "file-length",
        says: "no .rs file over 800 lines, no main.rs over 150",
        run: file_length::run,
    },
    Law {
        name: "module-circles",
        says: "modules of a crate use each other in one direction",
        run: module_circles::run,
    },
    Law { name: "golden", says: "golden bytes never change once they are recorded", run: golden_bytes::run },
    Law {
        name: "words",
        says: "no paths of one machine, no ignored tests, nothing left to do",
        run: words::run,
    },
    Law { name: "no-std", says: "the pure crates link into a binary without std", run: no_std::run },
    Law { name: "unsafe", says: "unsafe code is forbidden in every crate", run: no_unsafe::run },
];

/// `cargo xtask laws`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    if args.iter().any(|arg| arg == "--list") {
        for law in LAWS {
            println!("{:<16}{}", law.name, law.says);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut broken = 0;
    let chosen = choose(args)?;
    for law in &chosen {
        let start = Instant::now();
        let verdict = (law.run)(repo);
        let seconds = start.elapsed().as_secs_f64();
        let (mark, detail) = match &verdict {
            Ok(verdict) if verdict.faults.is_empty() => ("ok", String::new()),
            Ok(verdict) => ("FAILED", format!("  {} found", verdict.faults.len())),
            Err(error) => ("FAILED", format!("  could not be checked: {error:#}")),
        };
        println!("{mark:<8}{:<16}{seconds:6.2} s{detail}", law.name);
        let verdict = verdict.unwrap_or_default();
        verdict.notes.iter().for_each(|note| println!("  note: {note}"));
        verdict.faults.iter().for_each(|fault| println!("{fault}"));
        broken += usize::from(mark != "ok");
    }
    println!("{} laws, {broken} broken", chosen.len());
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn choose(names: &[String]) -> Result<Vec<&'static Law>> {
    if names.is_empty() {
        return Ok(LAWS.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match LAWS.iter().find(|law| law.name == name) {
            Some(law) => chosen.push(law),
            None => {
                let known: Vec<_> = LAWS.iter().map(|law| law.name).collect();
                bail!("there is no law `{name}`; the laws are: {}", known.join(", "));
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_are_chosen_by_name() {
        assert_eq!(choose(&[]).unwrap().len(), LAWS.len());
        assert_eq!(choose(&["words".to_owned()]).unwrap()[0].name, "words");
        let error = choose(&["nonsense".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("no law `nonsense`") && error.contains("crate-graph"));
    }
}
