//! Law: the edge's dependencies do not grow unnoticed. A board has little room, and each crate is code that
//! somebody must trust. `xtask/edge-tree.lock` holds their names; versions may move freely.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::fault::{Fault, Verdict};
use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "show or record the edge's dependencies";

/// `cargo xtask edge-tree --help`
pub const HELP: &str = "\
cargo xtask edge-tree [--accept]

Compares the packages that catalyst-edge is made of with xtask/edge-tree.lock.

  --accept    record the tree as it is; say in the commit why it grew

Examples:
  cargo xtask edge-tree
  cargo xtask edge-tree --accept
";

const LOCK: &str = "xtask/edge-tree.lock";

pub fn run(repo: &Repo) -> Result<Verdict> {
    let now = now(repo)?;
    let mut verdict = check(&recorded(repo)?, &now);
    verdict.notes.insert(0, format!("{} packages", now.len()));
    Ok(verdict)
}

/// `cargo xtask edge-tree`
pub fn command(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let accept = match args {
        [] => false,
        [arg] if arg == "--accept" => true,
        [arg, ..] => bail!("`{arg}` is not an argument of edge-tree; see `cargo xtask edge-tree --help`"),
    };
    let (before, now) = (recorded(repo)?, now(repo)?);
    before.iter().filter(|name| !now.contains(name)).for_each(|name| println!("gone  {name}"));
    now.iter().filter(|name| !before.contains(name)).for_each(|name| println!("new   {name}"));
    println!("{} packages, {} recorded", now.len(), before.len());
    if accept {
        let text: String = now.iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(repo.root().join(LOCK), text).with_context(|| format!("cannot write {LOCK}"))?;
    }
    Ok(if accept || now == before { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn now(repo: &Repo) -> Result<Vec<String>> {
    let tree = cargo::tree(repo, &["--package", "catalyst-edge", "--edges", "normal,no-proc-macro"])?;
    let mut names: Vec<String> = tree.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    Ok(names)
}

fn recorded(repo: &Repo) -> Result<Vec<String>> {
    if !repo.root().join(LOCK).exists() {
        return Ok(Vec::new());
    }
    Ok(repo.read(LOCK)?.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

fn check(recorded: &[String], now: &[String]) -> Verdict {
    let mut verdict = Verdict::default();
    let new: Vec<&str> = now.iter().filter(|name| !recorded.contains(name)).map(String::as_str).collect();
    if let [first, ..] = new.as_slice() {
        verdict.faults.push(Fault::new(
            LOCK,
            format!(
                "{} recorded, {} now; new in the edge's tree: {}",
                recorded.len(),
                now.len(),
                new.join(", ")
            ),
            format!(
                "see `cargo tree -e normal -p catalyst-edge -i {first}`; if it is worth its weight, \
                 `cargo xtask edge-tree --accept` and say why in the commit"
            ),
        ));
    }
    let gone: Vec<&str> = recorded.iter().filter(|name| !now.contains(name)).map(String::as_str).collect();
    if !gone.is_empty() {
        verdict
            .notes
            .push(format!("no longer needed: {}; `cargo xtask edge-tree --accept`", gone.join(", ")));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_recorded_tree_passes() {
        let verdict = check(&names(&["a", "b"]), &names(&["a", "b"]));
        assert!(verdict.faults.is_empty() && verdict.notes.is_empty());
    }

    #[test]
    fn growth_fails_and_names_the_newcomer() {
        let verdict = check(&names(&["a"]), &names(&["a", "tokio"]));
        assert_eq!(verdict.faults.len(), 1);
        assert!(verdict.faults[0].what.contains("new in the edge's tree: tokio"));
    }

    #[test]
    fn shrinking_is_a_note() {
        let verdict = check(&names(&["a", "b"]), &names(&["a"]));
        assert!(verdict.faults.is_empty());
        assert!(verdict.notes[0].contains("no longer needed: b"));
    }
}
