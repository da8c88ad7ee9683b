//! Law: no binary holds two versions of a crate without a stated reason.

use std::collections::BTreeMap;

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::cargo;
use crate::repo::Repo;

/// Crates that may stand twice in a binary, and why. An entry that is no longer needed fails.
const EXCUSED: &[(&str, &str)] = &[
    ("base64", "tonic 0.14 stays on 0.22; pem uses 0.23"),
    ("getrandom", "ring 0.17 stays on 0.2; quinn's rand uses 0.4"),
];

const BINARIES: &[&str] = &["catalyst-edge", "catalyst"];

pub fn run(repo: &Repo) -> Result<Verdict> {
    let mut trees = Vec::new();
    for binary in BINARIES {
        trees.push((*binary, cargo::tree(repo, &["--package", binary, "--edges", "normal,no-proc-macro"])?));
    }
    Ok(check(&trees, EXCUSED).into())
}

fn check(trees: &[(&str, Vec<(String, String)>)], excused: &[(&str, &str)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut needed = Vec::new();
    for (binary, tree) in trees {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, version) in tree {
            versions.entry(name).or_default().push(version);
        }
        for (name, mut versions) in versions {
            versions.sort_unstable();
            versions.dedup();
            if versions.len() < 2 {
                continue;
            }
            needed.push(name);
            if excused.iter().all(|(excused, _)| *excused != name) {
                faults.push(Fault::new(
                    *binary,
                    format!("{name} is in it as {}", versions.join(" and ")),
                    format!(
                        "see `cargo tree -e normal -p {binary} -i {name}@{}`; bring the two together, or list it \
                         with the reason in xtask/src/laws/duplicates.rs",
                        versions.first().unwrap_or(&"VERSION")
                    ),
                ));
            }
        }
    }
    for (name, reason) in excused {
        if !needed.contains(name) {
            faults.push(Fault::new(
                "xtask/src/laws/duplicates.rs",
                format!("{name} is excused ({reason}) but stands only once now"),
                "remove the entry",
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(packages: &[(&str, &str)]) -> Vec<(&'static str, Vec<(String, String)>)> {
        let packages = packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned()));
        vec![("catalyst-edge", packages.collect())]
    }

    #[test]
    fn one_version_each_passes() {
        assert_eq!(check(&tree(&[("a", "1.0.0"), ("a", "1.0.0"), ("b", "2.0.0")]), &[]), []);
    }

    #[test]
    fn two_versions_fail_unless_excused() {
        let trees = tree(&[("a", "1.0.0"), ("a", "2.0.0")]);
        let faults = check(&trees, &[]);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("a is in it as 1.0.0 and 2.0.0"));
        assert_eq!(check(&trees, &[("a", "x still wants 1")]), []);
    }

    #[test]
    fn a_stale_excuse_fails() {
        let faults = check(&tree(&[("a", "1.0.0")]), &[("a", "x still wants 1")]);
        assert!(faults[0].what.contains("stands only once"));
    }
}
