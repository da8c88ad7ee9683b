//! Law: a crate uses only the crates the architecture allows it.
//!
//! The table is the arrows of ARCHITECTURE.md. It covers `[dependencies]` and `[build-dependencies]`;
//! tests may use what they like.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::cargo::{self, Kind};
use crate::repo::Repo;

/// What a crate may use of this workspace.
enum May {
    /// These.
    Use(&'static [&'static str]),
    /// Whatever it needs: the end of the line, nothing in `shared/` may use it back.
    UseAny,
}

/// Where the functions of the cloud node are: crates of their own that may use what they like of `shared/`.
const FUNCTIONS: &str = "node-cloud/crates/";
/// Who may use those: the cloud node, and what tests it. Nothing in `shared/` and not the edge.
const USERS: &[&str] = &["catalyst", "catalyst-e2e", "catalyst-bench", "xtask"];

/// Each crate of the workspace, lower ones first.
const TABLE: &[(&str, May)] = &[
    ("catalyst-names", May::Use(&[])),
    // Only with the feature `mutants`, which no product has.
    ("catalyst-mutants", May::Use(&[])),
    ("catalyst-dense", May::Use(&[])),
    ("catalyst-wire", May::Use(&["catalyst-names"])),
    (
        "catalyst-route-table",
        May::Use(&["catalyst-dense", "catalyst-mutants", "catalyst-names", "catalyst-wire"]),
    ),
    ("catalyst-policy", May::Use(&["catalyst-mutants", "catalyst-names", "catalyst-wire"])),
    ("catalyst-peering", May::Use(&["catalyst-mutants", "catalyst-names", "catalyst-wire"])),
    (
        "catalyst-control",
        May::Use(&[
            "catalyst-names",
            "catalyst-wire",
            "catalyst-route-table",
            "catalyst-policy",
            "catalyst-peering",
            "catalyst-mutants",
        ]),
    ),
    ("catalyst-identity", May::Use(&["catalyst-names"])),
    ("catalyst-http1", May::Use(&[])),
    ("catalyst-tunnel", May::Use(&["catalyst-dense", "catalyst-names", "catalyst-wire"])),
    ("catalyst-transport", May::Use(&["catalyst-wire", "catalyst-identity", "catalyst-tunnel"])),
    ("catalyst-store", May::Use(&["catalyst-names", "catalyst-wire"])),
    (
        // It adds up the limits of all crates that have some.
        "catalyst-config",
        May::Use(&[
            "catalyst-names",
            "catalyst-wire",
            "catalyst-route-table",
            "catalyst-policy",
            "catalyst-peering",
            "catalyst-control",
            "catalyst-identity",
            "catalyst-tunnel",
            "catalyst-transport",
            "catalyst-store",
        ]),
    ),
    ("catalyst-oracle", May::Use(&["catalyst-names", "catalyst-policy"])),
    (
        "catalyst-testkit",
        May::Use(&[
            "catalyst-control",
            "catalyst-mutants",
            "catalyst-names",
            "catalyst-oracle",
            "catalyst-policy",
            "catalyst-route-table",
            "catalyst-wire",
        ]),
    ),
    // Of the system, not of the node: they know none of the others.
    ("catalyst-reactor", May::Use(&[])),
    ("catalyst-sandbox", May::Use(&[])),
    ("catalyst-services", May::Use(&[])),
    (
        "catalyst-node",
        May::Use(&[
            "catalyst-names",
            "catalyst-wire",
            "catalyst-route-table",
            "catalyst-policy",
            "catalyst-peering",
            "catalyst-control",
            "catalyst-identity",
            "catalyst-tunnel",
            "catalyst-transport",
            "catalyst-store",
            "catalyst-config",
            "catalyst-http1",
            "catalyst-sandbox",
            "catalyst-services",
        ]),
    ),
    // Functions of the cloud node, each by itself.
    ("catalyst-envoy", May::Use(&["catalyst-http1", "catalyst-services"])),
    ("catalyst-xds", May::Use(&[])),
    ("catalyst-dataplane", May::Use(&["catalyst-names", "catalyst-xds"])),
    (
        "catalyst-mesh",
        May::Use(&[
            "catalyst-config",
            "catalyst-control",
            "catalyst-dataplane",
            "catalyst-envoy",
            "catalyst-identity",
            "catalyst-names",
            "catalyst-node",
            "catalyst-transport",
            "catalyst-tunnel",
            "catalyst-xds",
        ]),
    ),
    ("catalyst-edge", May::UseAny),
    ("catalyst", May::UseAny),
    // What a user writes: the core and what it is made of.
    (
        "catalyst-example-plugin",
        May::Use(&["catalyst-control", "catalyst-names", "catalyst-route-table", "catalyst-wire"]),
    ),
    ("catalyst-e2e", May::UseAny),
    ("catalyst-bench", May::UseAny),
    ("xtask", May::UseAny),
];

/// A member of the workspace, as far as this law looks.
struct Member {
    name: String,
    /// Its Cargo.toml from the root.
    manifest: String,
    /// What it uses of the workspace, tests aside.
    uses: Vec<String>,
}

pub fn run(repo: &Repo) -> Result<Verdict> {
    let metadata = cargo::metadata(repo)?;
    let names: Vec<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let members: Vec<Member> = metadata
        .members()
        .map(|package| Member {
            name: package.name.clone(),
            manifest: repo.relative(&package.manifest),
            uses: package
                .dependencies
                .iter()
                .filter(|used| used.kind != Kind::Dev && names.contains(&used.name.as_str()))
                .map(|used| used.name.clone())
                .collect(),
        })
        .collect();
    Ok(check(&members, TABLE).into())
}

fn check(members: &[Member], table: &[(&str, May)]) -> Vec<Fault> {
    const TABLE_FILE: &str = "xtask/src/laws/crate_graph.rs";
    let mut faults = Vec::new();
    for member in members {
        let may = table.iter().find(|(name, _)| *name == member.name).map(|(_, may)| may);
        let cloud_function = member.manifest.starts_with(FUNCTIONS);
        let functions = members.iter().filter(|other| other.manifest.starts_with(FUNCTIONS));
        if !cloud_function && !USERS.contains(&member.name.as_str()) {
            for used in functions.filter(|function| member.uses.contains(&function.name)) {
                faults.push(Fault::new(
                    &member.manifest,
                    format!("{} -> {} is not an edge of the crate graph", member.name, used.name),
                    format!("functions of the cloud node are used by {} alone", USERS.join(", ")),
                ));
            }
        }
        let allowed = match may {
            Some(May::UseAny) => continue,
            None if cloud_function => continue,
            Some(May::Use(allowed)) => *allowed,
            None => {
                faults.push(Fault::new(
                    &member.manifest,
                    format!("{} has no place in the crate graph", member.name),
                    format!("add it to the table in {TABLE_FILE} and to ARCHITECTURE.md, with an ADR"),
                ));
                continue;
            }
        };
        for used in member.uses.iter().filter(|used| !allowed.contains(&used.as_str())) {
            let list = if allowed.is_empty() { "no other crate".to_owned() } else { allowed.join(", ") };
            faults.push(Fault::new(
                &member.manifest,
                format!("{} -> {used} is not an edge of the crate graph", member.name),
                format!("it may use {list}; move the code, or pass what is needed as an argument"),
            ));
        }
    }
    for (name, _) in table.iter().filter(|(name, _)| members.iter().all(|member| member.name != *name)) {
        faults.push(Fault::new(
            TABLE_FILE,
            format!("{name} is not in the workspace"),
            "remove it from the table",
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, uses: &[&str]) -> Member {
        let manifest = format!("shared/{name}/Cargo.toml");
        Member { name: name.to_owned(), manifest, uses: uses.iter().map(|used| (*used).to_owned()).collect() }
    }

    const SMALL: &[(&str, May)] =
        &[("low", May::Use(&[])), ("high", May::Use(&["low"])), ("top", May::UseAny)];

    #[test]
    fn edges_of_the_table_pass() {
        let members = [member("low", &[]), member("high", &["low"]), member("top", &["low", "high"])];
        assert_eq!(check(&members, SMALL), []);
    }

    #[test]
    fn an_edge_upwards_fails_and_names_both_crates() {
        let members = [member("low", &["high"]), member("high", &[]), member("top", &[])];
        let faults = check(&members, SMALL);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, "shared/low/Cargo.toml");
        assert!(faults[0].what.contains("low -> high"));
    }

    #[test]
    fn a_crate_without_a_place_fails_and_so_does_a_place_without_a_crate() {
        let faults = check(&[member("low", &[]), member("new", &[]), member("top", &[])], SMALL);
        assert!(faults[0].what.contains("new has no place"));
        assert!(faults[1].what.contains("high is not in the workspace"));
    }

    #[test]
    fn functions_of_the_cloud_node_may_use_anything() {
        let mut function = member("catalyst-xds", &["low"]);
        function.manifest = "node-cloud/crates/xds/Cargo.toml".to_owned();
        let members = [member("low", &[]), member("high", &[]), member("top", &[]), function];
        assert_eq!(check(&members, SMALL), []);
    }

    #[test]
    fn functions_of_the_cloud_node_are_not_for_the_edge() {
        let mut function = member("catalyst-xds", &[]);
        function.manifest = "node-cloud/crates/xds/Cargo.toml".to_owned();
        let table = &[("catalyst", May::UseAny), ("catalyst-edge", May::UseAny)];
        let members =
            [member("catalyst", &["catalyst-xds"]), member("catalyst-edge", &["catalyst-xds"]), function];
        let faults = check(&members, table);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("catalyst-edge -> catalyst-xds"));
    }

    #[test]
    fn the_table_points_downwards() {
        for (index, (name, may)) in TABLE.iter().enumerate() {
            let May::Use(allowed) = may else { continue };
            for used in *allowed {
                let place = TABLE.iter().position(|(other, _)| other == used).unwrap();
                assert!(place < index, "{name} -> {used}");
            }
        }
    }
}
