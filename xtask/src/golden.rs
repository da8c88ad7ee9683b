//! Golden bytes: files that stand for what a released version writes. Their digests are kept in
//! `xtask/golden.lock`, in the format of `sha256sum`, so that none changes by accident.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "record new golden byte files";

/// `cargo xtask golden --help`
pub const HELP: &str = "\
cargo xtask golden [--accept-new]

Compares every file in a folder named `golden` with its digest in xtask/golden.lock. Golden bytes stand for
what a released version writes: they never change and never vanish. A new format gets a new file.

  --accept-new    add files that are not recorded yet; changed ones are still refused

Examples:
  cargo xtask golden
  cargo xtask golden --accept-new
";

/// Path and SHA-256 in hexadecimal.
pub type Digests = BTreeMap<String, String>;

/// Where the digests stand.
pub const LOCK: &str = "xtask/golden.lock";

/// What differs between the record and the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Files without a record.
    pub new: Vec<String>,
    /// Files whose bytes differ from their record.
    pub changed: Vec<String>,
    /// Records without a file.
    pub vanished: Vec<String>,
}

/// `cargo xtask golden`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let accept = match args {
        [] => false,
        [arg] if arg == "--accept-new" => true,
        [arg, ..] => bail!("`{arg}` is not an argument of golden; see `cargo xtask golden --help`"),
    };
    let (mut recorded, found) = (recorded(repo)?, found(repo)?);
    let difference = compare(&recorded, &found);
    difference.changed.iter().for_each(|path| println!("changed   {path}"));
    difference.vanished.iter().for_each(|path| println!("vanished  {path}"));
    for path in &difference.new {
        println!("new       {path}");
        if let Some(digest) = found.get(path) {
            recorded.insert(path.clone(), digest.clone());
        }
    }
    if accept && !difference.new.is_empty() {
        std::fs::write(repo.root().join(LOCK), render(&recorded))
            .with_context(|| format!("cannot write {LOCK}"))?;
        println!("{} recorded in {LOCK}", difference.new.len());
    }
    let open =
        difference.changed.len() + difference.vanished.len() + if accept { 0 } else { difference.new.len() };
    println!("{} golden files, {open} differ from their record", found.len());
    Ok(if open == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the lock file says; nothing when there is none yet.
pub fn recorded(repo: &Repo) -> Result<Digests> {
    if !repo.root().join(LOCK).exists() {
        return Ok(Digests::new());
    }
    parse(&repo.read(LOCK)?)
}

/// The golden files of the checkout.
pub fn found(repo: &Repo) -> Result<Digests> {
    let mut digests = Digests::new();
    for path in repo.files()?.into_iter().filter(|path| is_golden(path)) {
        let bytes = std::fs::read(repo.root().join(&path)).with_context(|| format!("cannot read {path}"))?;
        digests.insert(path, hex(&Sha256::digest(&bytes)));
    }
    Ok(digests)
}

/// Sets the record beside the files.
pub fn compare(recorded: &Digests, found: &Digests) -> Difference {
    let mut difference = Difference::default();
    for (path, digest) in found {
        match recorded.get(path) {
            None => difference.new.push(path.clone()),
            Some(known) if known != digest => difference.changed.push(path.clone()),
            Some(_) => {}
        }
    }
    difference.vanished = recorded.keys().filter(|path| !found.contains_key(*path)).cloned().collect();
    difference
}

/// Everything in a folder `golden` but code and its description.
fn is_golden(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    parts.contains(&"golden") && !file.ends_with(".rs") && !file.ends_with(".md")
}

fn parse(text: &str) -> Result<Digests> {
    let mut digests = Digests::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((digest, path)) = line.split_once("  ") else {
            bail!("{LOCK}:{}: expected a digest, two spaces and a path", index + 1);
        };
        digests.insert(path.to_owned(), digest.to_owned());
    }
    Ok(digests)
}

fn render(digests: &Digests) -> String {
    digests.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(entries: &[(&str, &str)]) -> Digests {
        entries.iter().map(|(path, digest)| ((*path).to_owned(), (*digest).to_owned())).collect()
    }

    #[test]
    fn new_changed_and_vanished_are_told_apart() {
        let recorded = digests(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let found = digests(&[("a", "1"), ("b", "9"), ("d", "4")]);
        let difference = compare(&recorded, &found);
        assert_eq!(difference.new, ["d"]);
        assert_eq!(difference.changed, ["b"]);
        assert_eq!(difference.vanished, ["c"]);
    }

    #[test]
    fn the_lock_is_what_sha256sum_writes() {
        let entries = digests(&[("x/golden/a.bin", "00ff"), ("x/golden/b c.bin", "01")]);
        assert_eq!(parse(&render(&entries)).unwrap(), entries);
        assert!(parse("nonsense").is_err());
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(&Sha256::digest(b"")), empty);
    }

    #[test]
    fn golden_files_are_known_by_their_folder() {
        assert!(is_golden("shared/wire/golden/v1/open.bin"));
        assert!(!is_golden("shared/wire/tests/golden.rs"));
        assert!(!is_golden("shared/wire/golden/README.md"));
        assert!(!is_golden("golden"));
    }
}
