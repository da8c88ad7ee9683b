//! Law: every dependency has a licence on the allow-list.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use super::spdx;
use crate::cargo;
use crate::repo::Repo;

/// Permissive licences that ask for no more than a notice. Keep in step with deny.toml.
const ALLOWED: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "BSL-1.0",
    "Zlib",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
];

/// A package and what it says about its licence.
struct Licensed {
    name: String,
    version: String,
    license: Option<String>,
}

pub fn run(repo: &Repo) -> Result<Verdict> {
    let metadata = cargo::metadata(repo)?;
    let packages: Vec<Licensed> = metadata
        .packages
        .into_iter()
        .map(|package| Licensed { name: package.name, version: package.version, license: package.license })
        .collect();
    Ok(Verdict { faults: check(&packages), notes: vec![format!("{} packages", packages.len())] })
}

fn check(packages: &[Licensed]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for package in packages {
        let what = match &package.license {
            None => "it names no licence".to_owned(),
            Some(text) => match spdx::satisfied(text, |name| ALLOWED.contains(&name)) {
                Ok(true) => continue,
                Ok(false) => format!("its licence is `{text}`, which is not on the allow-list"),
                Err(why) => format!("its licence `{text}` cannot be read: {why}"),
            },
        };
        faults.push(Fault::new(
            format!("{} {}", package.name, package.version),
            what,
            "use another library, or argue for the licence in an ADR and add it to xtask/src/laws/licences.rs",
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(license: Option<&str>) -> Vec<Fault> {
        let package = Licensed {
            name: "some".to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
        };
        check(&[package])
    }

    #[test]
    fn permissive_licences_pass() {
        assert_eq!(faults(Some("MIT OR Apache-2.0")), []);
        assert_eq!(faults(Some("(MIT OR Apache-2.0) AND Unicode-3.0")), []);
        assert_eq!(faults(Some("GPL-3.0 OR MIT")), []);
    }

    #[test]
    fn copyleft_unknown_missing_and_garbled_fail() {
        for license in [Some("GPL-3.0-only"), Some("MIT AND AGPL-3.0"), Some("Our-Own"), None, Some("MIT OR")]
        {
            let found = faults(license);
            assert_eq!(found.len(), 1, "{license:?}");
            assert_eq!(found[0].place, "some 1.0.0");
        }
    }
}
