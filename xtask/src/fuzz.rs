//! `cargo xtask fuzz`: cargo-fuzz over every decoder, where a nightly compiler is.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "cargo-fuzz over what reads bytes from outside; needs a nightly compiler";

/// `cargo xtask fuzz --help`
pub const HELP: &str = "\
cargo xtask fuzz [TARGET...] [--seconds N] [--list]

Fuzzes every target for 60 seconds or N, or those named, with coverage as the guide and the address sanitizer on. Needs a
nightly compiler, cargo-fuzz and a C++ compiler; it says which of them is missing. What it finds worth keeping goes to
target/fuzz/corpus/TARGET, an input that breaks something beside it, with the command that runs it again. The ordinary
tests meet the corpora and random bytes without any of this. Exits with 1 when something broke.

Examples:
  cargo xtask fuzz
  cargo xtask fuzz core --seconds 600
";

/// How long each target runs when nothing else is asked for.
pub const SECONDS: u64 = 60;

/// Each a workspace of its own.
const FOLDERS: &[&str] = &["shared/wire/fuzz", "shared/fuzz"];

/// A target, and the folder it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    folder: &'static str,
    name: String,
}

/// `cargo xtask fuzz`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let (mut names, mut seconds) = (Vec::new(), SECONDS);
    let mut words = args.iter();
    let all = targets(repo.root())?;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => {
                all.iter().for_each(|target| println!("{:<12}{}", target.name, target.folder));
                return Ok(ExitCode::SUCCESS);
            }
            "--seconds" => {
                let number = words.next().map(|n| n.parse());
                seconds =
                    number.and_then(Result::ok).filter(|n| *n > 0).context("--seconds needs a number")?;
            }
            flag if flag.starts_with('-') => {
                bail!("`{flag}` is not an argument; see `cargo xtask fuzz --help`")
            }
            name => names.push(name),
        }
    }
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|target| target.name != **name)) {
        bail!("there is no target `{unknown}`; `cargo xtask fuzz --list` shows all");
    }
    if let Some(why) = lacking() {
        bail!("nothing can be fuzzed here: {why}");
    }
    let place = cargo::metadata(repo)?.target_directory.join("fuzz");
    let mut broken = Vec::new();
    for target in all.iter().filter(|t| names.is_empty() || names.contains(&t.name.as_str())) {
        println!("{}: {seconds} s", target.name);
        if !fuzz(repo, target, seconds, &place)? {
            broken.push(target.name.as_str());
        }
    }
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("broken: {}; the input and how to run it again stand above", broken.join(", "));
    Ok(ExitCode::FAILURE)
}

fn fuzz(repo: &Repo, target: &Target, seconds: u64, place: &Path) -> Result<bool> {
    // The first folder gets what is new; the seeds in the tree are only read.
    let (found, seeds) = (place.join("corpus").join(&target.name), seeds(repo.root(), target));
    ensure!(seeds.is_dir(), "{} has no corpus in {}", target.name, seeds.display());
    std::fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let mut command = nightly(&["fuzz", "run", "--fuzz-dir", target.folder, &target.name]);
    command.args([&found, &seeds]).arg("--").arg(format!("-max_total_time={seconds}"));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", found.display()));
    command.current_dir(repo.root()).env("CARGO_TARGET_DIR", place);
    Ok(command.status().context("cannot run cargo-fuzz")?.success())
}

fn seeds(root: &Path, target: &Target) -> PathBuf {
    root.join(target.folder).join("corpus").join(&target.name)
}

/// Every target, in the order of folders and names.
fn targets(root: &Path) -> Result<Vec<Target>> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        let path = root.join(folder).join("fuzz_targets");
        let files = std::fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let names = files.flatten().filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        all.extend(names.into_iter().map(|name| Target { folder, name }));
    }
    Ok(all)
}

/// Cargo of the nightly compiler; what this one tells its children is not for that one.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(args);
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTFLAGS", "RUSTDOC"] {
        command.env_remove(name);
    }
    command
}

/// What is missing to fuzz here, with the command that gets it.
pub fn lacking() -> Option<String> {
    let runs = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let needed = [
        (nightly(&["--version"]), "a nightly compiler", "rustup toolchain install nightly"),
        (nightly(&["fuzz", "--version"]), "cargo-fuzz", "cargo install cargo-fuzz"),
        (Command::new("c++"), "a C++ compiler", "apt-get install g++"),
    ];
    needed.into_iter().find_map(|(mut command, name, install)| {
        if command.get_program() == "c++" {
            command.arg("--version");
        }
        (!runs(&mut command)).then(|| format!("{name} is missing; `{install}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_in_its_manifest_and_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let all = targets(root).unwrap();
        assert!(all.len() >= 10, "{all:?}");
        for target in &all {
            let manifest = std::fs::read_to_string(root.join(target.folder).join("Cargo.toml")).unwrap();
            let path = format!("path = \"fuzz_targets/{}.rs\"", target.name);
            assert!(manifest.contains(&path), "{target:?} is not in its manifest");
            let seeds = std::fs::read_dir(seeds(root, target)).unwrap().count();
            assert!(seeds > 0, "{target:?} begins with nothing");
        }
        // One name, one folder of inputs.
        let mut names: Vec<_> = all.iter().map(|target| &target.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }
}
