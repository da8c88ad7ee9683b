//! Asking cargo: `cargo metadata` and `cargo tree`, read into the few fields the laws need.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repo::Repo;

/// The platforms we ship. Dependencies of other systems are nobody's concern here.
pub const PLATFORMS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A package of the dependency graph.
#[derive(Debug, Clone)]
pub struct Package {
    /// As in its Cargo.toml.
    pub name: String,
    /// As in its Cargo.toml.
    pub version: String,
    /// The SPDX expression, when there is one.
    pub license: Option<String>,
    /// Its Cargo.toml.
    pub manifest: PathBuf,
    /// Part of this workspace.
    pub member: bool,
    /// Direct dependencies as declared, optional ones too.
    pub dependencies: Vec<Dependency>,
    /// What it compiles to.
    pub targets: Vec<Target>,
}

/// A declared dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name, not the alias it is used under.
    pub name: String,
    /// Which section it stands in.
    pub kind: Kind,
}

/// The section of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[dependencies]`
    Normal,
    /// `[build-dependencies]`
    Build,
    /// `[dev-dependencies]`
    Dev,
}

/// A library, binary, test or example of a package.
#[derive(Debug, Clone)]
pub struct Target {
    /// `lib`, `bin`, `test`, `example`, `bench`, `custom-build`...
    pub kind: String,
    /// The file that is its root.
    pub root: PathBuf,
}

/// What `cargo metadata` says.
#[derive(Debug)]
pub struct Metadata {
    /// Every package that one of [`PLATFORMS`] needs, workspace members included.
    pub packages: Vec<Package>,
    /// Where cargo builds.
    pub target_directory: PathBuf,
}

impl Metadata {
    /// The packages of this workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }
}

/// A cargo that works in the checkout, with none of what an outer `cargo run` put into the environment:
/// build scripts that watch those variables would rebuild whenever we are called another way.
pub fn command(repo: &Repo) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_BIN_")
            || matches!(name.as_ref(), "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_CRATE_NAME")
        {
            command.env_remove(&key);
        }
    }
    command.current_dir(repo.root());
    command
}

/// Runs `cargo metadata` over the whole workspace.
pub fn metadata(repo: &Repo) -> Result<Metadata> {
    let mut cargo = command(repo);
    cargo.args(["metadata", "--format-version", "1"]);
    for platform in PLATFORMS {
        cargo.args(["--filter-platform", platform]);
    }
    let text = output(cargo)?;
    parse_metadata(&text).context("`cargo metadata` printed something unexpected")
}

/// `name version` of every package in the tree that these `cargo tree` arguments select, on any platform
/// we ship, without repeats and sorted.
pub fn tree(repo: &Repo, args: &[&str]) -> Result<Vec<(String, String)>> {
    let mut packages = Vec::new();
    for platform in PLATFORMS {
        let mut cargo = command(repo);
        cargo.args(["tree", "--prefix", "none", "--no-dedupe", "--format", "{p}", "--target", platform]);
        cargo.args(args);
        packages.extend(parse_tree(&output(cargo)?));
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

fn output(mut command: Command) -> Result<String> {
    let output = command.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("cargo's output is not UTF-8")
}

/// Lines of the form `serde v1.0.229` with more after them, such as a path or `(proc-macro)`.
fn parse_tree(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let version = words.next()?.strip_prefix('v')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

fn parse_metadata(text: &str) -> Result<Metadata> {
    let root: Value = serde_json::from_str(text)?;
    let members: Vec<&str> = list(&root, "workspace_members")?.iter().filter_map(Value::as_str).collect();
    let mut packages = Vec::new();
    for package in list(&root, "packages")? {
        packages.push(Package {
            name: string(package, "name")?,
            version: string(package, "version")?,
            license: package.get("license").and_then(Value::as_str).map(str::to_owned),
            manifest: PathBuf::from(string(package, "manifest_path")?),
            member: members.contains(&string(package, "id")?.as_str()),
            dependencies: list(package, "dependencies")?.iter().map(dependency).collect::<Result<_>>()?,
            targets: list(package, "targets")?.iter().map(target).collect::<Result<_>>()?,
        });
    }
    Ok(Metadata { packages, target_directory: PathBuf::from(string(&root, "target_directory")?) })
}

fn dependency(value: &Value) -> Result<Dependency> {
    let kind = match value.get("kind").and_then(Value::as_str) {
        None => Kind::Normal,
        Some("build") => Kind::Build,
        Some("dev") => Kind::Dev,
        Some(other) => bail!("unknown kind of dependency `{other}`"),
    };
    Ok(Dependency { name: string(value, "name")?, kind })
}

fn target(value: &Value) -> Result<Target> {
    let kind = list(value, "kind")?.first().and_then(Value::as_str).unwrap_or_default();
    Ok(Target { kind: kind.to_owned(), root: PathBuf::from(string(value, "src_path")?) })
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("no list `{key}`"))
}

fn string(value: &Value, key: &str) -> Result<String> {
    let text = value.get(key).and_then(Value::as_str).with_context(|| format!("no text `{key}`"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_metadata() {
        let text = r#"{"packages":[{"name":"a","version":"0.1.0","id":"path+a","license":"MIT",
            "manifest_path":"/x/a/Cargo.toml","targets":[{"kind":["lib"],"src_path":"/x/a/src/lib.rs"}],
            "dependencies":[{"name":"b","kind":null},{"name":"c","kind":"dev"}]}],
            "workspace_members":["path+a"],"target_directory":"/x/target"}"#;
        let metadata = parse_metadata(text).unwrap();
        let package = metadata.members().next().unwrap();
        assert_eq!(package.name, "a");
        assert_eq!(package.license.as_deref(), Some("MIT"));
        assert_eq!(package.dependencies[1], Dependency { name: "c".into(), kind: Kind::Dev });
        assert_eq!(package.targets[0].kind, "lib");
    }

    #[test]
    fn refuses_metadata_without_packages() {
        assert!(parse_metadata("{}").is_err());
    }

    #[test]
    fn reads_a_tree() {
        let text = "catalyst v0.1.0 (/x/node-cloud)\nserde_derive v1.0.2 (proc-macro)\n\nserde v1.0.2\n";
        let names: Vec<_> = parse_tree(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["catalyst", "serde_derive", "serde"]);
    }
}
