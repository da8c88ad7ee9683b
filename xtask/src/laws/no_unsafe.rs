//! Law: unsafe code is forbidden in every crate: the workspace says so once, and each crate follows it.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::cargo;
use crate::repo::{Repo, SourceFile};

/// Outside the workspace: a binary without std needs its own allocator, and the fuzzer's macro exports its
/// entry point. Neither is part of what we ship.
const EXEMPT: &[&str] = &["xtask/no-std-proof", "shared/fuzz", "shared/wire/fuzz"];

pub fn run(repo: &Repo) -> Result<Verdict> {
    let root = SourceFile { path: "Cargo.toml".to_owned(), text: repo.read("Cargo.toml")? };
    let mut members = Vec::new();
    for package in cargo::metadata(repo)?.members() {
        let path = repo.relative(&package.manifest);
        members.push(SourceFile { text: repo.read(&path)?, path });
    }
    Ok(check(&root, &members).into())
}

fn check(root: &SourceFile, members: &[SourceFile]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let level = value(&root.text, "workspace.lints.rust", "unsafe_code");
    if level.as_deref() != Some("\"forbid\"") {
        faults.push(Fault::new(
            &root.path,
            "unsafe code is not forbidden",
            "[workspace.lints.rust] must say unsafe_code = \"forbid\"",
        ));
    }
    let excluded = value(&root.text, "workspace", "exclude").unwrap_or_default();
    for path in excluded.trim_matches(['[', ']']).split(',').map(|path| path.trim().trim_matches('"')) {
        if !path.is_empty() && !EXEMPT.contains(&path) {
            faults.push(Fault::new(
                &root.path,
                format!("{path} is excluded from the workspace, so that its lints do not reach it"),
                "make it a member, or add it with an ADR to xtask/src/laws/no_unsafe.rs",
            ));
        }
    }
    for member in members {
        let follows = value(&member.text, "lints", "workspace").as_deref() == Some("true")
            || value(&member.text, "", "lints.workspace").as_deref() == Some("true");
        if !follows {
            faults.push(Fault::new(
                &member.path,
                "it does not follow the workspace's lints",
                "add a section [lints] with workspace = true",
            ));
        }
    }
    faults
}

/// The value of `key = value` in a section of a TOML file. Enough for values that stand on one line.
fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut current = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = name.to_owned();
        } else if let Some((name, value)) = line.split_once('=')
            && current == section
            && name.trim() == key
        {
            let value = value.split('#').next().unwrap_or_default();
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "Cargo.toml".to_owned(), text: text.to_owned() }
    }

    const ROOT: &str =
        "[workspace]\nexclude = [\"xtask/no-std-proof\"]\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";

    #[test]
    fn a_forbidding_workspace_with_followers_passes() {
        assert_eq!(check(&file(ROOT), &[file("[package]\nname = \"a\"\n[lints]\nworkspace = true\n")]), []);
    }

    #[test]
    fn a_weaker_level_fails() {
        for root in [ROOT.replace("forbid", "deny"), ROOT.replace("unsafe_code", "# unsafe_code")] {
            assert_eq!(check(&file(&root), &[]).len(), 1, "{root}");
        }
    }

    #[test]
    fn a_crate_that_does_not_follow_fails() {
        for text in ["[package]\nname = \"a\"\n", "[lints]\nworkspace = false\n", "[x]\nworkspace = true\n"] {
            assert_eq!(check(&file(ROOT), &[file(text)]).len(), 1, "{text}");
        }
    }

    #[test]
    fn another_excluded_crate_fails() {
        let root = ROOT.replace("no-std-proof\"", "no-std-proof\", \"shared/os\"");
        assert!(check(&file(&root), &[])[0].what.contains("shared/os is excluded"));
    }
}
