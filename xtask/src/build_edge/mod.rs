//! `cargo xtask build-edge`: the edge binary as it ships, for this machine or another one.
//!
//! It differs from `cargo build --profile edge` in two things that a profile cannot say (ADR 0031):
//!
//! - Without unwind tables. The binary aborts on a panic, so nobody reads them, and most of them come with the standard
//!   library, where no flag of the compiler reaches. `node-edge/no-unwind.ld` drops them; the flags go to the last step
//!   alone, so nothing else is built anew.
//! - Names of source files begin at the package: `redb-4.4.0/src/db.rs` says as much in a panic's message as the whole
//!   path of a registry that only the machine of the build has.

mod debian;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Package};
use crate::repo::Repo;

/// The bar of the binary, in bytes: it has to fit small boards.
pub const EDGE_BINARY_MOST: u64 = 4_000_000;

/// The line in the overview.
pub const SUMMARY: &str = "build the edge binary as it ships, for this machine or with --target for a board";

/// `cargo xtask build-edge --help`
pub const HELP: &str = "\
cargo xtask build-edge [--target TRIPLE]

Builds catalyst-edge with the profile `edge` and without unwind tables, and prints its size, what is left up to the
bar, and its path.

  --target aarch64-unknown-linux-gnu    64-bit boards. Where rustup has the target, it is used; elsewhere Debian's
                                        compiler and standard library are unpacked below target/ (no root, nothing
                                        installed). Needs gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.
  --target aarch64-unknown-linux-musl   the same as one static file. Needs `rustup target add`.
  --target x86_64-unknown-linux-musl    a static file for this kind of machine. Needs `rustup target add`.

Examples:
  cargo xtask build-edge
  cargo xtask build-edge --target aarch64-unknown-linux-gnu
";

/// The board's platform that tests run under emulation.
pub const ARM: &str = "aarch64-unknown-linux-gnu";

/// Runs the programs of [`ARM`] on another machine.
pub const QEMU: &str = "qemu-aarch64-static";

/// Where Debian's cross packages put that platform's C library.
const ARM_ROOT: &str = "/usr/aarch64-linux-gnu";

/// Takes the unwind tables away; below the repository's root.
const LINKER_SCRIPT: &str = "node-edge/no-unwind.ld";

/// `cargo xtask build-edge`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let target = match words.as_slice() {
        [] => None,
        ["--target", target] => Some(*target),
        _ => bail!("that is not how it is called; see `cargo xtask build-edge --help`"),
    };
    let binary = build(repo, target)?;
    let size = std::fs::metadata(&binary).with_context(|| binary.display().to_string())?.len();
    println!("{size} bytes, {}  {}", room(size), repo.relative(&binary));
    Ok(ExitCode::SUCCESS)
}

/// What is left up to the bar.
fn room(size: u64) -> String {
    match EDGE_BINARY_MOST.checked_sub(size) {
        Some(left) => format!("{left} left of {EDGE_BINARY_MOST}"),
        None => format!("{} over the bar of {EDGE_BINARY_MOST}", size - EDGE_BINARY_MOST),
    }
}

/// Where [`build`] puts the binary.
pub fn path(target_directory: &Path, target: Option<&str>) -> PathBuf {
    match target {
        None => target_directory.join("edge/catalyst-edge"),
        Some(target) => folder(target_directory).join(target).join("edge/catalyst-edge"),
    }
}

/// Builds for other machines have a folder of their own: another compiler may do them.
fn folder(target_directory: &Path) -> PathBuf {
    target_directory.join("cross")
}

/// Builds, and says where the binary is.
pub fn build(repo: &Repo, target: Option<&str>) -> Result<PathBuf> {
    let cargo::Metadata { packages, target_directory } = cargo::metadata(repo)?;
    let mut command = cargo::command(repo);
    command.args(["rustc", "--locked", "--package", "catalyst-edge", "--bin", "catalyst-edge"]);
    command.args(["--profile", "edge", "--config", &short_names(&packages)]);
    if let Some(time) = build_time(repo) {
        command.env("SOURCE_DATE_EPOCH", time.to_string());
    }
    let mut linker = if bundled_lld()? { Linker::Bundled } else { Linker::Compiler };
    if let Some(target) = target {
        command.args(["--target", target, "--target-dir"]).arg(folder(&target_directory));
        linker = cross(&mut command, target, &target_directory)?;
    }
    command.arg("--").args(linker.flags(&repo.root().join(LINKER_SCRIPT)));
    if target.unwrap_or(std::env::consts::ARCH).starts_with("x86_64") {
        command.args(OUTLINE);
    }
    eprintln!("building catalyst-edge for {}", target.unwrap_or("this machine"));
    if !command.status().context("cannot run cargo")?.success() {
        bail!("catalyst-edge did not build");
    }
    if target == Some(ARM) {
        let emulated = emulated(&target_directory);
        let binary = path(&target_directory, target);
        std::fs::write(
            &emulated,
            format!("#!/bin/sh\nexec {QEMU} -L {ARM_ROOT} '{}' \"$@\"\n", binary.display()),
        )?;
        std::fs::set_permissions(&emulated, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(path(&target_directory, target))
}

/// A setting of cargo by which the compiler leaves out the folders that packages of a registry were unpacked to. Flags
/// that somebody has in the environment go before it: then the names stay long.
fn short_names(packages: &[Package]) -> String {
    let unpacked = packages.iter().filter(|package| !package.member);
    let folders: BTreeSet<&Path> =
        unpacked.filter_map(|package| package.manifest.parent()?.parent()).collect();
    let flags = folders.iter().map(|folder| {
        // A string of TOML, by its rules for basic strings: JSON's are the same but for what no path has.
        serde_json::Value::String(format!("--remap-path-prefix={}=", folder.display())).to_string()
    });
    format!("build.rustflags=[{}]", flags.collect::<Vec<_>>().join(","))
}

/// A script that runs the board's binary on this machine, as if it were it: for tests.
pub fn emulated(target_directory: &Path) -> PathBuf {
    path(target_directory, Some(ARM)).with_extension("emulated")
}

/// The time of the commit, which the node takes as the floor of its clock; not later than now, and the same for every
/// build of a commit. `None` where there is no commit.
fn build_time(repo: &Repo) -> Option<u64> {
    let log =
        Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(repo.root()).output().ok()?;
    let commit: u64 = String::from_utf8(log.stdout).ok()?.trim().parse().ok()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(commit.min(now))
}

/// Functions that are alike are kept once: Rust does not promise that two functions have two addresses. GNU's linker
/// does not know it.
const FOLD: &str = "--icf=all";

/// Long sequences of instructions that are repeated are kept once: on ARM the compiler does so by itself for small code. The
/// threshold leaves the path of packets nearly alone (ADR 0031).
const OUTLINE: [&str; 2] =
    ["-Cllvm-args=-enable-machine-outliner=always", "-Cllvm-args=-outliner-benefit-threshold=48"];

/// Who links, and so how flags for the linker are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linker {
    /// A C compiler passes them on.
    Compiler,
    /// A C compiler passes them on, to the linker that rustup's compiler brings for this kind of machine.
    Bundled,
    /// The linker that comes with Rust's static targets.
    Lld,
}

impl Linker {
    fn flags(self, script: &Path) -> Vec<String> {
        let script = script.display();
        match self {
            Linker::Compiler | Linker::Bundled => {
                // Relocations packed as RELR: a board's C library is glibc 2.36 (Debian 12) or later, or musl is in it.
                let mut flags = vec![
                    "-Clink-arg=-Wl,--no-eh-frame-hdr".to_owned(),
                    "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
                    format!("-Clink-arg=-Wl,-T,{script}"),
                ];
                if self == Linker::Bundled {
                    flags.push(format!("-Clink-arg=-Wl,{FOLD}"));
                }
                flags
            }
            Linker::Lld => vec![
                "-Clink-arg=--no-eh-frame-hdr".to_owned(),
                format!("-Clink-arg={FOLD}"),
                format!("-Clink-arg=-T{script}"),
            ],
        }
    }
}

/// Gives cargo what it needs for another platform.
fn cross(command: &mut Command, target: &str, target_directory: &Path) -> Result<Linker> {
    let variable = target.to_uppercase().replace('-', "_");
    let foreign = !target.starts_with(std::env::consts::ARCH);
    let compiler = match (target.starts_with("aarch64-"), foreign) {
        (_, false) => "cc",
        (true, true) => "aarch64-linux-gnu-gcc",
        (false, true) => bail!("no compiler is known for {target}; `cross` may do it, see cross.toml"),
    };
    if Command::new(compiler).arg("--version").output().is_err() {
        bail!(
            "{compiler} is missing; install it with \
             `apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross`"
        );
    }
    command.env(format!("CC_{}", target.replace('-', "_")), compiler);
    let installed = rustup_has(target)?;
    if target.ends_with("-musl") {
        if !installed {
            bail!("there is no standard library for {target}; get it with `rustup target add {target}`");
        }
        command.env(format!("CARGO_TARGET_{variable}_LINKER"), "rust-lld");
        return Ok(Linker::Lld);
    }
    command.env(format!("CARGO_TARGET_{variable}_LINKER"), compiler);
    if !installed {
        if target != ARM {
            bail!("there is no standard library for {target}; get it with `rustup target add {target}`");
        }
        let compiler = debian::compiler(&target_directory.join("debian-rust")).with_context(|| {
            format!(
                "rustup has no {target} (`rustup target add {target}`), and Debian's packages cannot be had"
            )
        })?;
        command.env("RUSTC", compiler);
    }
    Ok(Linker::Compiler)
}

/// Whether builds for this machine are linked by LLD: rustup's compiler does so on x86_64.
fn bundled_lld() -> Result<bool> {
    let lld = "lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld";
    Ok(std::env::consts::ARCH == "x86_64" && sysroot()?.join(lld).exists())
}

/// Whether the compiler that is in use has the standard library of a platform.
fn rustup_has(target: &str) -> Result<bool> {
    let files = std::fs::read_dir(sysroot()?.join("lib/rustlib").join(target).join("lib"));
    Ok(files.is_ok_and(|mut files| files.next().is_some()))
}

fn sysroot() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().context("cannot run rustc")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_fit_who_links() {
        let script = Path::new("/r/no-unwind.ld");
        let compiler = Linker::Compiler.flags(script);
        assert_eq!(
            compiler,
            [
                "-Clink-arg=-Wl,--no-eh-frame-hdr",
                "-Clink-arg=-Wl,-z,pack-relative-relocs",
                "-Clink-arg=-Wl,-T,/r/no-unwind.ld"
            ]
        );
        let bundled = Linker::Bundled.flags(script);
        assert_eq!((&bundled[..3], bundled[3].as_str()), (&compiler[..], "-Clink-arg=-Wl,--icf=all"));
        let lld = Linker::Lld.flags(script);
        assert_eq!(
            lld,
            ["-Clink-arg=--no-eh-frame-hdr", "-Clink-arg=--icf=all", "-Clink-arg=-T/r/no-unwind.ld"]
        );
    }

    #[test]
    fn what_is_left_is_told() {
        assert_eq!(room(3_750_000), "250000 left of 4000000");
        assert_eq!(room(4_000_000), "0 left of 4000000");
        assert_eq!(room(4_000_001), "1 over the bar of 4000000");
    }

    #[test]
    fn folders_of_registries_are_left_out_once_each_and_ours_stay() {
        let package = |manifest: &str, member| Package {
            name: String::new(),
            version: String::new(),
            license: None,
            manifest: PathBuf::from(manifest),
            member,
            dependencies: Vec::new(),
            targets: Vec::new(),
        };
        let packages = [
            package("/c/index/redb-4.4.0/Cargo.toml", false),
            package("/c/index/ring-0.17.14/Cargo.toml", false),
            package("/r/shared/node/Cargo.toml", true),
            package("/v \"x\"/time-0.3.47/Cargo.toml", false),
        ];
        let expected = r#"build.rustflags=["--remap-path-prefix=/c/index=","--remap-path-prefix=/v \"x\"="]"#;
        assert_eq!(short_names(&packages), expected);
    }

    #[test]
    fn the_linker_script_is_there() {
        assert!(Repo::find().unwrap().root().join(LINKER_SCRIPT).is_file());
    }

    #[test]
    fn builds_for_boards_do_not_disturb_others() {
        let target = Path::new("/t");
        assert_eq!(path(target, None), Path::new("/t/edge/catalyst-edge"));
        assert_eq!(
            path(target, Some(ARM)),
            Path::new("/t/cross/aarch64-unknown-linux-gnu/edge/catalyst-edge")
        );
    }
}
