//! The stages of `cargo xtask test`, in order. A new stage is an entry in [`all`].

use std::path::Path;

use crate::build_edge;
use crate::cargo::Metadata;
use crate::envoy;

/// What a stage runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Cargo with these arguments and these variables.
    Cargo(Vec<String>, Vec<(String, String)>),
    /// This program with these arguments.
    Xtask(Vec<String>),
    /// A file that must not be larger than so many bytes.
    SizeAtMost(String, u64),
}

/// A stage: one line of the table.
#[derive(Debug, Clone)]
pub struct Stage {
    /// As given on the command line.
    pub name: &'static str,
    /// What it proves.
    pub says: &'static str,
    /// In order; the first that fails ends the stage, unless they are tests.
    pub steps: Vec<Step>,
    /// Stages whose results it uses: they are chosen with it, and if one fails this one is left out.
    pub after: &'static [&'static str],
    /// Only with `--full`, or by name.
    pub full: bool,
    /// Longer than this and it is hanging: killed, and failed.
    pub minutes: u64,
}

/// Every stage, for the crates that the workspace has.
pub fn all(metadata: &Metadata, full: bool) -> Vec<Stage> {
    let stage = |name, says, steps| Stage { name, says, steps, after: &[], full: false, minutes: 20 };
    vec![
        stage("fmt", "the sources are formatted", vec![cargo("fmt --all --check")]),
        stage("laws", "the rules of the house hold", vec![Step::Xtask(vec!["laws".to_owned()])]),
        stage(
            "clippy",
            "no warnings in any target",
            vec![cargo("clippy --workspace --all-targets --keep-going --profile ci -- --deny warnings")],
        ),
        stage("doc", "the documentation of the libraries has no broken link", vec![doc(metadata)]),
        // On a bare machine most of it is the first build of everything, beside whatever else the machine does.
        Stage { minutes: 40, ..stage("unit", "the tests of each crate", unit(metadata, full)) },
        stage(
            "sim",
            "random networks end as they must, and every wrong version of the core is found",
            sim(full),
        ),
        stage("build", "both binaries, each by itself, so that no feature leaks", build()),
        Stage {
            after: &["build"],
            minutes: 25,
            ..stage("e2e", "scenarios with real processes", vec![fetch_envoy(), e2e(metadata, full)])
        },
        Stage {
            after: &["build"],
            minutes: 20,
            ..stage("demo", "the demo's own checks; demos beside each other, and killed", demo())
        },
        Stage {
            after: &["build"],
            minutes: 20,
            ..stage("numbers", "what routes cost, short and with loose bars", numbers(metadata))
        },
        Stage {
            full: true,
            minutes: 40,
            ..stage("fuzz", "cargo-fuzz finds nothing in a minute for each decoder", fuzz())
        },
        Stage { full: true, ..stage("size", "the edge binary fits a small board", size(metadata)) },
        Stage {
            full: true,
            after: &["build"],
            ..stage(
                "arm",
                "the edge binary of 64-bit ARM, emulated, works with a native cloud node",
                arm(metadata),
            )
        },
    ]
}

fn cargo(line: &str) -> Step {
    Step::Cargo(line.split_whitespace().map(str::to_owned).collect(), Vec::new())
}

/// `cargo test` for some packages at once. They share one set of features, so the binaries stand alone.
fn tests(packages: &[String], env: Vec<(String, String)>) -> Step {
    let mut args: Vec<String> = ["test", "--profile", "ci", "--no-fail-fast"].map(str::to_owned).to_vec();
    for package in packages {
        args.extend(["--package".to_owned(), package.clone()]);
    }
    Step::Cargo(args, env)
}

/// Networks without number, then the mutants.
fn sim(full: bool) -> Vec<Step> {
    let seeds = if full { "50000" } else { "10000" };
    let xtask = |line: &str| Step::Xtask(line.split(' ').map(str::to_owned).collect());
    vec![xtask(&format!("sim --quiet --seeds {seeds}")), xtask("sim --mutants")]
}

/// With coverage as the guide; without it the tests of each crate do it all the time.
fn fuzz() -> Vec<Step> {
    vec![Step::Xtask(vec!["fuzz".to_owned()])]
}

/// The short measurement of the binary that has been built.
fn numbers(metadata: &Metadata) -> Vec<Step> {
    let mut args: Vec<String> =
        ["run", "--profile", "ci", "--package", "catalyst-bench", "--", "short", "--cloud"]
            .map(str::to_owned)
            .to_vec();
    args.push(metadata.target_directory.join("ci/catalyst").to_string_lossy().into_owned());
    vec![tests(&["catalyst-bench".to_owned()], Vec::new()), Step::Cargo(args, Vec::new())]
}

/// What a demo checks, and the test of whole demos, which `unit` leaves out.
fn demo() -> Vec<Step> {
    let Step::Cargo(mut args, env) = tests(&["xtask".to_owned()], Vec::new()) else { return Vec::new() };
    args.extend(["--test", "demo"].map(str::to_owned));
    vec![Step::Xtask(vec!["demo".to_owned(), "--check".to_owned()]), Step::Cargo(args, env)]
}

/// What tests read to know that there is time: longer fuzzing, more random networks.
fn full_env(full: bool) -> Vec<(String, String)> {
    if full { vec![("CATALYST_TEST_FULL".to_owned(), "1".to_owned())] } else { Vec::new() }
}

/// Envoy for the tests that come next.
fn fetch_envoy() -> Step {
    Step::Xtask(vec!["envoy".to_owned(), "fetch".to_owned()])
}

/// Tells tests where Envoy is; where there is none for this processor they say so themselves.
fn with_envoy(metadata: &Metadata, mut env: Vec<(String, String)>) -> Vec<(String, String)> {
    if let Ok(path) = envoy::path(&metadata.target_directory) {
        env.push((envoy::VARIABLE.to_owned(), path.to_string_lossy().into_owned()));
    }
    env
}

/// The libraries of both nodes.
const SHARED: &str = "/shared/";
/// The functions of the cloud node.
const FUNCTIONS: &str = "/node-cloud/crates/";

/// Members below these folders.
fn members(metadata: &Metadata, folders: &[&str]) -> Vec<String> {
    let inside = |manifest: &Path| {
        let text = manifest.to_string_lossy();
        folders.iter().any(|folder| text.contains(folder))
    };
    metadata.members().filter(|member| inside(&member.manifest)).map(|member| member.name.clone()).collect()
}

/// What needs Envoy comes last: where it cannot be had, the rest has been tested.
fn unit(metadata: &Metadata, full: bool) -> Vec<Step> {
    let mut steps = vec![tests(&members(metadata, &[SHARED]), full_env(full))];
    for alone in ["catalyst-edge", "catalyst", "xtask"] {
        steps.push(tests(&[alone.to_owned()], full_env(full)));
    }
    let functions = members(metadata, &[FUNCTIONS]);
    if !functions.is_empty() {
        steps.push(fetch_envoy());
        steps.push(tests(&functions, with_envoy(metadata, full_env(full))));
    }
    steps
}

fn doc(metadata: &Metadata) -> Step {
    let mut args: Vec<String> = ["doc", "--no-deps", "--profile", "ci"].map(str::to_owned).to_vec();
    for package in members(metadata, &[SHARED, FUNCTIONS]) {
        args.extend(["--package".to_owned(), package]);
    }
    Step::Cargo(args, vec![("RUSTDOCFLAGS".to_owned(), "--deny warnings".to_owned())])
}

fn build() -> Vec<Step> {
    vec![cargo("build --profile ci --package catalyst-edge"), cargo("build --profile ci --package catalyst")]
}

fn e2e(metadata: &Metadata, full: bool) -> Step {
    let edge = metadata.target_directory.join("ci/catalyst-edge");
    e2e_with(metadata, &edge, with_envoy(metadata, full_env(full)))
}

fn e2e_with(metadata: &Metadata, edge: &Path, mut env: Vec<(String, String)>) -> Step {
    let cloud = metadata.target_directory.join("ci/catalyst");
    env.push(("CATALYST_BIN".to_owned(), cloud.to_string_lossy().into_owned()));
    env.push(("CATALYST_EDGE_BIN".to_owned(), edge.to_string_lossy().into_owned()));
    tests(&["catalyst-e2e".to_owned()], env)
}

fn size(metadata: &Metadata) -> Vec<Step> {
    let binary = build_edge::path(&metadata.target_directory, None);
    vec![
        Step::Xtask(vec!["build-edge".to_owned()]),
        Step::SizeAtMost(binary.to_string_lossy().into_owned(), build_edge::EDGE_BINARY_MOST),
    ]
}

/// Scenarios in which the emulated edge takes the native one's place. What measures memory or time says nothing there.
const EMULATED: &[&str] = &["data::", "join::", "organisations::", "routes::", "services::", "sessions::"];

fn arm(metadata: &Metadata) -> Vec<Step> {
    let emulated = build_edge::emulated(&metadata.target_directory);
    let Step::Cargo(mut args, env) = e2e_with(metadata, &emulated, with_envoy(metadata, Vec::new())) else {
        return Vec::new();
    };
    args.extend(["--test", "fabric", "--"].map(str::to_owned));
    args.extend(EMULATED.iter().map(|module| (*module).to_owned()));
    let build = ["build-edge", "--target", build_edge::ARM].map(str::to_owned).to_vec();
    vec![Step::Xtask(build), fetch_envoy(), Step::Cargo(args, env)]
}

/// The stages to run: those named and what they need, or all of the ordinary ones.
///
/// # Errors
/// Says which name is unknown, and which there are.
pub fn choose(stages: &[Stage], names: &[String], full: bool) -> Result<Vec<Stage>, String> {
    for name in names {
        if stages.iter().all(|stage| stage.name != name) {
            let known: Vec<_> = stages.iter().map(|stage| stage.name).collect();
            return Err(format!("there is no stage `{name}`; the stages are: {}", known.join(", ")));
        }
    }
    let named = |name: &str| names.iter().any(|wanted| wanted == name);
    let needed = |name: &str| stages.iter().any(|stage| named(stage.name) && stage.after.contains(&name));
    let wanted = |stage: &&Stage| {
        if names.is_empty() { full || !stage.full } else { named(stage.name) || needed(stage.name) }
    };
    Ok(stages.iter().filter(wanted).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Package;

    fn metadata() -> Metadata {
        let package = |name: &str, manifest: &str| Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            manifest: manifest.into(),
            member: true,
            dependencies: Vec::new(),
            targets: Vec::new(),
        };
        Metadata {
            packages: vec![
                package("catalyst-names", "/r/shared/names/Cargo.toml"),
                package("catalyst", "/r/node-cloud/Cargo.toml"),
                package("catalyst-envoy", "/r/node-cloud/crates/envoy/Cargo.toml"),
            ],
            target_directory: "/r/target".into(),
        }
    }

    fn names(stages: &[Stage]) -> Vec<&str> {
        stages.iter().map(|stage| stage.name).collect()
    }

    #[test]
    fn full_adds_stages() {
        let stages = all(&metadata(), false);
        let ordinary = choose(&stages, &[], false).unwrap();
        assert!(names(&ordinary).contains(&"e2e") && !names(&ordinary).contains(&"size"));
        assert_eq!(choose(&stages, &[], true).unwrap().len(), stages.len());
    }

    #[test]
    fn a_named_stage_brings_what_it_needs_in_order() {
        let stages = all(&metadata(), false);
        let chosen = choose(&stages, &["e2e".to_owned()], false).unwrap();
        assert_eq!(names(&chosen), ["build", "e2e"]);
        assert_eq!(names(&choose(&stages, &["size".to_owned()], false).unwrap()), ["size"]);
    }

    #[test]
    fn an_unknown_stage_is_refused() {
        let error = choose(&all(&metadata(), false), &["nonsense".to_owned()], false).unwrap_err();
        assert!(error.contains("no stage `nonsense`") && error.contains("clippy"));
    }

    #[test]
    fn binaries_are_built_and_tested_alone() {
        let stages = all(&metadata(), false);
        for stage in stages.iter().filter(|stage| matches!(stage.name, "unit" | "build")) {
            for step in &stage.steps {
                let Step::Cargo(args, _) = step else { continue };
                let packages: Vec<_> =
                    args.windows(2).filter(|pair| pair[0] == "--package").map(|pair| &pair[1]).collect();
                assert!(packages.len() == 1 || !packages.iter().any(|name| *name == "catalyst"), "{args:?}");
                assert!(!args.contains(&"--workspace".to_owned()));
            }
        }
    }

    #[test]
    fn tests_with_envoy_are_told_where_it_is_after_it_was_fetched() {
        for stage in all(&metadata(), true) {
            for (index, step) in stage.steps.iter().enumerate() {
                let Step::Cargo(args, env) = step else { continue };
                let told = env.iter().any(|(name, _)| name == envoy::VARIABLE);
                let uses = args.iter().any(|arg| arg == "catalyst-envoy" || arg == "catalyst-e2e");
                if uses && args.first().is_some_and(|arg| arg == "test") {
                    assert!(told, "{}", stage.name);
                    assert_eq!(stage.steps[index - 1], fetch_envoy(), "{}", stage.name);
                }
            }
        }
    }

    #[test]
    fn a_stage_comes_after_what_it_needs() {
        let stages = all(&metadata(), true);
        for (index, stage) in stages.iter().enumerate() {
            for needed in stage.after {
                assert!(stages[..index].iter().any(|earlier| earlier.name == *needed), "{}", stage.name);
            }
        }
    }
}
