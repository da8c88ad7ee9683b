//! Law: one TLS provider. Two would mean two sets of bugs, and a first connection that panics because rustls
//! cannot tell which one is meant.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::cargo;
use crate::repo::Repo;

/// Other providers, and other TLS stacks.
const REFUSED: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "aws-lc-fips-sys",
    "rustls-aws-lc-rs",
    "rustls-openssl",
    "rustls-rustcrypto",
    "boring",
    "boring-sys",
    "openssl",
    "openssl-sys",
    "native-tls",
    "schannel",
    "security-framework",
];

pub fn run(repo: &Repo) -> Result<Verdict> {
    let tree = cargo::tree(repo, &["--workspace", "--all-features", "--edges", "normal,build,dev"])?;
    Ok(check(&tree).into())
}

fn check(tree: &[(String, String)]) -> Vec<Fault> {
    tree.iter()
        .filter(|(name, _)| REFUSED.contains(&name.as_str()))
        .map(|(name, version)| {
            Fault::new(
                format!("{name} {version}"),
                "a second TLS or crypto provider is in the tree",
                format!("see who brings it with `cargo tree --workspace -i {name}`, turn that feature off"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), "0.30.0".to_owned())).collect()
    }

    #[test]
    fn ring_alone_passes() {
        assert_eq!(check(&tree(&["ring", "rustls", "rustls-webpki"])), []);
    }

    #[test]
    fn aws_lc_fails_and_says_how_to_find_it() {
        let faults = check(&tree(&["ring", "rustls", "aws-lc-sys"]));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].mend.contains("cargo tree --workspace -i aws-lc-sys"));
    }
}
