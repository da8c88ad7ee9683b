//! Law: the pure crates link into a binary without std, and that binary runs.
//!
//! Reading sources can be fooled; a linker cannot. `xtask/no-std-proof` brings its own allocator and panic
//! handler, so a crate below it that uses std brings a second one and does not compile. What the binary
//! still asks of the C library must be on a short list, so that no clock or socket comes in that way.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::fault::{Fault, Verdict};
use crate::cargo;
use crate::repo::Repo;

const PROOF: &str = "xtask/no-std-proof";

/// What a binary may ask of the C library: copying memory, starting and ending.
const SYMBOLS: &[&str] = &[
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
    "strlen",
    "abort",
    "getauxval",
    "__libc_start_main",
    "__cxa_finalize",
    "__gmon_start__",
    "__stack_chk_fail",
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
];

pub fn run(repo: &Repo) -> Result<Verdict> {
    let lock = format!("{PROOF}/Cargo.lock");
    let before = repo.read(&lock).unwrap_or_default();
    let target = cargo::metadata(repo)?.target_directory.join("no-std-proof");
    let mut verdict = prove(cargo::command(repo), &repo.root().join(PROOF), &target)?;
    if before != repo.read(&lock).unwrap_or_default() {
        verdict.notes.push(format!("{lock} has changed: commit it"));
    }
    Ok(verdict)
}

/// Builds, looks at and runs the crate in `folder`.
fn prove(cargo: Command, folder: &Path, target: &Path) -> Result<Verdict> {
    let binary = match build(cargo, folder, target)? {
        Ok(binary) => binary,
        Err(errors) => {
            let mend = "if a crate below uses std, turn that feature off or pass in what it needs; else mend src/calls.rs";
            return Ok(vec![Fault::new(PROOF, format!("it does not link:\n{errors}"), mend)].into());
        }
    };
    let size = std::fs::metadata(&binary)?.len();
    let mut faults = check_symbols(&symbols(&binary)?);
    let status =
        Command::new(&binary).status().with_context(|| format!("cannot run {}", binary.display()))?;
    if !status.success() {
        faults.push(Fault::new(
            format!("{PROOF}/src/calls.rs"),
            format!("it links, but ends with {status}"),
            "the exit code is the number of the call in main.rs that failed",
        ));
    }
    Ok(Verdict { faults, notes: vec![format!("the pure crates link without std: {size} bytes")] })
}

/// The binary, or what the compiler said.
fn build(mut cargo: Command, folder: &Path, target: &Path) -> Result<Result<PathBuf, String>> {
    cargo
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TERM_COLOR", "never");
    let output = cargo.output().context("cannot run cargo")?;
    if output.status.success() {
        return Ok(Ok(target.join("release/no-std-proof")));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let errors = text.lines().filter(|line| !line.trim().is_empty()).take(20);
    Ok(Err(errors.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")))
}

/// What the binary wants from shared libraries, without versions.
fn symbols(binary: &Path) -> Result<Vec<String>> {
    let output = Command::new("nm")
        .args(["--dynamic", "--undefined-only", "--format=posix"])
        .arg(binary)
        .output()
        .context("cannot run nm; install it with `apt-get install binutils`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let name = |line: &str| line.split([' ', '@']).next().unwrap_or_default().to_owned();
    Ok(text.lines().map(name).filter(|name| !name.is_empty()).collect())
}

fn check_symbols(symbols: &[String]) -> Vec<Fault> {
    symbols
        .iter()
        .filter(|symbol| !SYMBOLS.contains(&symbol.as_str()))
        .map(|symbol| {
            Fault::new(
                PROOF,
                format!("something below the core calls `{symbol}` of the C library"),
                "pass what it gives as an argument, or take the crate out that calls it",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small proof crate with one library below it, which `library` is the text of.
    fn prove_with(library: &str) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let proof = Repo::find().unwrap().root().join(PROOF);
        for shared in ["src/bare.rs", "build.rs"] {
            write(shared, &std::fs::read_to_string(proof.join(shared)).unwrap());
        }
        write(
            "Cargo.toml",
            "[workspace]\n[package]\nname = \"no-std-proof\"\nedition = \"2024\"\n\
             [dependencies]\npure = { path = \"pure\" }\n\
             [profile.release]\nopt-level = 3\nlto = \"fat\"\npanic = \"abort\"\n",
        );
        write(
            "src/main.rs",
            "#![no_std]\n#![no_main]\nmod bare;\n\
             #[unsafe(no_mangle)]\nextern \"C\" fn main() -> i32 { pure::answer() }\n",
        );
        write("pure/Cargo.toml", "[package]\nname = \"pure\"\nedition = \"2024\"\n");
        write("pure/src/lib.rs", library);
        let cargo = cargo::command(&Repo::find().unwrap());
        prove(cargo, folder.path(), &folder.path().join("target")).unwrap()
    }

    #[test]
    fn a_library_without_std_passes() {
        let verdict = prove_with("#![no_std]\npub fn answer() -> i32 { 0 }");
        assert_eq!(verdict.faults, []);
        assert!(verdict.notes[0].ends_with("bytes"));
    }

    #[test]
    fn a_library_with_std_does_not_link() {
        let verdict =
            prove_with("pub fn answer() -> i32 { std::time::Instant::now().elapsed().as_secs() as i32 }");
        assert_eq!(verdict.faults.len(), 1);
        assert!(verdict.faults[0].what.contains("panic_impl"), "{}", verdict.faults[0]);
    }

    #[test]
    fn a_clock_by_way_of_the_c_library_fails() {
        let library = "#![no_std]\nunsafe extern \"C\" { safe fn clock() -> i64; }\n\
                       pub fn answer() -> i32 { i32::from(clock() < 0) }";
        let verdict = prove_with(library);
        assert_eq!(verdict.faults.len(), 1);
        assert!(verdict.faults[0].what.contains("`clock`"));
    }

    #[test]
    fn a_call_that_goes_wrong_fails() {
        let verdict = prove_with("#![no_std]\npub fn answer() -> i32 { 3 }");
        assert_eq!(verdict.faults.len(), 1);
        assert!(verdict.faults[0].what.contains("exit status: 3"));
    }
}
