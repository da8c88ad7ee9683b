//! Law: nothing below the core brings a runtime, a socket, a clock or randomness.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use super::pure_crates::PURE;
use crate::cargo;
use crate::repo::Repo;

/// Crates that do I/O, wait, or make randomness. A name matches itself and what continues it after `-` or `_`.
/// Not `libc`: on ARM the hash functions ask it which instructions the processor has.
const REFUSED: &[&str] = &[
    "tokio",
    "smol",
    "async",
    "blocking",
    "futures",
    "quinn",
    "mio",
    "polling",
    "socket2",
    "rustix",
    "nix",
    "getrandom",
    "rand",
    "fastrand",
    "ring",
    "rustls",
    "aws-lc",
    "hashbrown",
    "ahash",
    "chrono",
    "time",
    "parking_lot",
    "crossbeam",
    "rayon",
    "tracing",
    "log",
];

pub fn run(repo: &Repo) -> Result<Verdict> {
    let mut faults = Vec::new();
    for short in PURE {
        let package = format!("catalyst-{short}");
        // Proc macros run in the compiler, not in the crate.
        let tree = cargo::tree(repo, &["--package", &package, "--edges", "normal,no-proc-macro"])?;
        faults.extend(check(&package, &tree));
    }
    Ok(faults.into())
}

fn check(package: &str, tree: &[(String, String)]) -> Vec<Fault> {
    tree.iter()
        .filter(|(name, _)| REFUSED.iter().any(|refused| matches(name, refused)))
        .map(|(name, version)| {
            Fault::new(
                package,
                format!("{name} {version} is in its tree, and the core must stay free of runtimes and I/O"),
                format!("see who brings it with `cargo tree -e normal -p {package} -i {name}` and drop that"),
            )
        })
        .collect()
}

fn matches(name: &str, refused: &str) -> bool {
    name.strip_prefix(refused).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), "1.0.0".to_owned())).collect()
    }

    #[test]
    fn a_plain_tree_passes() {
        assert_eq!(check("catalyst-wire", &tree(&["catalyst-wire", "postcard", "serde", "heapless"])), []);
    }

    #[test]
    fn a_runtime_fails() {
        let faults = check("catalyst-control", &tree(&["serde", "tokio", "rand_core", "async-io"]));
        assert_eq!(faults.len(), 3);
        assert!(faults[0].what.contains("tokio 1.0.0"));
        assert!(faults[0].mend.contains("-p catalyst-control -i tokio"));
    }

    #[test]
    fn names_match_by_whole_parts() {
        assert!(matches("quinn-proto", "quinn") && !matches("timer", "time"));
    }
}
