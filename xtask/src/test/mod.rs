//! `cargo xtask test`: everything a change must pass, in stages.

mod count;
mod excerpt;
mod report;
mod runner;
mod stages;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::build_edge;
use crate::cargo;
use crate::repo::Repo;
use count::Count;
use report::{Ended, Row};
use runner::{Outcome, Progress};
use stages::{Stage, Step};

/// The line in the overview.
pub const SUMMARY: &str = "everything a change must pass: format, lints, laws, tests, real processes, demo";

/// `cargo xtask test --help`
pub const HELP: &str = "\
cargo xtask test [STAGE...] [--full] [--list] [--verbose]

Runs the stages in order, or those named and what they need, and ends with a table of results and times.
For what fails the telling part of its output is shown; all of it is in target/xtask/STAGE.log. Needs no root and no network beyond
the crates and Envoy, which is fetched once. Exits with 1 when a stage fails.

  --full       the long stages too, and longer fuzzing and more random networks in the tests
  --list       what each stage proves
  --verbose    show all output as it comes

Examples:
  cargo xtask test
  cargo xtask test unit e2e
  cargo xtask test --full
";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    names: Vec<String>,
    full: bool,
    list: bool,
    verbose: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for arg in args {
            match arg.as_str() {
                "--full" => options.full = true,
                "--list" => options.list = true,
                "--verbose" | "-v" => options.verbose = true,
                flag if flag.starts_with('-') => {
                    bail!("`{flag}` is not an argument of test; see `cargo xtask test --help`")
                }
                name => options.names.push(name.to_owned()),
            }
        }
        Ok(options)
    }
}

/// `cargo xtask test`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let metadata = cargo::metadata(repo)?;
    let stages = stages::all(&metadata, options.full);
    if options.list {
        for stage in &stages {
            println!("{:<10}{}{}", stage.name, stage.says, if stage.full { " (--full)" } else { "" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = stages::choose(&stages, &options.names, options.full).map_err(anyhow::Error::msg)?;
    need_tools(repo, &chosen)?;
    let logs = metadata.target_directory.join("xtask");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;

    let mut rows: Vec<Row> = Vec::new();
    for stage in &chosen {
        let unable = || not_here(stage, options.names.iter().any(|name| name == stage.name));
        let row = match missing(stage, &rows).map(Ended::LeftOut).or_else(unable) {
            Some(ended) => {
                Row { name: stage.name.to_owned(), ended, time: Duration::ZERO, count: Count::default() }
            }
            None => run_stage(repo, stage, &logs.join(format!("{}.log", stage.name)), options.verbose)?,
        };
        rows.push(row);
    }
    print!("{}", report::render(&rows));
    Ok(if report::good(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A stage that needs one which did not pass is left out: it would only fail again.
fn missing(stage: &Stage, rows: &[Row]) -> Option<String> {
    let broken =
        rows.iter().find(|row| stage.after.contains(&row.name.as_str()) && row.ended != Ended::Ok)?;
    Some(format!("{} did not pass", broken.name))
}

/// A stage that needs tools which only some machines have is passed over, and said to be, unless it was asked for by name.
fn not_here(stage: &Stage, named: bool) -> Option<Ended> {
    let why = (stage.name == "fuzz" && !named).then(crate::fuzz::lacking).flatten()?;
    println!("{:<10}NOT RUN: nothing is fuzzed with coverage on this machine: {why}", stage.name);
    Some(Ended::NotHere(why))
}

fn run_stage(repo: &Repo, stage: &Stage, log: &Path, verbose: bool) -> Result<Row> {
    std::fs::write(log, "").with_context(|| format!("cannot write {}", log.display()))?;
    let mut progress = Progress::start(stage.name);
    let limit = Duration::from_secs(stage.minutes * 60);
    let mut ok = true;
    let mut count = Count::default();
    let mut failed_tests = Vec::new();
    for step in &stage.steps {
        let left = limit.saturating_sub(progress.elapsed());
        let outcome = run_step(repo, step, log, left, verbose, &mut progress)?;
        ok &= outcome.ok;
        count += outcome.count;
        failed_tests.extend(outcome.failed_tests);
        if let Some(why) = outcome.why {
            println!("{}: {why}", stage.name);
        }
        // Tests of other crates still say something; a second build after a failed one does not.
        if !outcome.ok && outcome.count == Count::default() {
            break;
        }
    }
    let time = progress.elapsed();
    println!("{:<10}{:<8}{:>7.1} s", stage.name, if ok { "ok" } else { "FAILED" }, time.as_secs_f64());
    if !ok {
        if !verbose {
            let text = std::fs::read(log).unwrap_or_default();
            excerpt::of(&String::from_utf8_lossy(&text)).iter().for_each(|line| println!("  {line}"));
        }
        failed_tests.iter().for_each(|name| println!("failed: {name}"));
        println!("all of it: {}; again: cargo xtask test {}", repo.relative(log), stage.name);
    }
    let ended = if ok { Ended::Ok } else { Ended::Failed };
    Ok(Row { name: stage.name.to_owned(), ended, time, count })
}

fn run_step(
    repo: &Repo,
    step: &Step,
    log: &Path,
    limit: Duration,
    verbose: bool,
    progress: &mut Progress,
) -> Result<Outcome> {
    let mut command = match step {
        Step::Cargo(args, env) => {
            let mut command = cargo::command(repo);
            command.args(args).envs(env.iter().map(|(key, value)| (key, value)));
            command
        }
        Step::Xtask(args) => {
            let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
            command.args(args).current_dir(repo.root());
            command
        }
        Step::SizeAtMost(path, most) => return size_at_most(Path::new(path), *most),
    };
    command.env("CARGO_TERM_COLOR", "never");
    runner::run(command, log, limit, verbose, progress)
}

fn size_at_most(path: &Path, most: u64) -> Result<Outcome> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let ok = size <= most;
    let why = format!("{} has {size} bytes, {most} at most", path.display());
    Ok(Outcome { ok, why: Some(why), ..Outcome::default() })
}

/// Fails before anything is built when a tool is missing, with the command that installs it.
fn need_tools(repo: &Repo, stages: &[Stage]) -> Result<()> {
    let uses = |name: &str| stages.iter().any(|stage| stage.name == name);
    let cargo_with = |subcommand: &str| {
        let mut command = cargo::command(repo);
        command.args([subcommand, "--version"]);
        command
    };
    let mut cc = Command::new("cc");
    cc.arg("--version");
    let mut needed = vec![("a C compiler", cc, "apt-get install gcc libc6-dev")];
    if uses("fmt") {
        needed.push(("rustfmt", cargo_with("fmt"), "rustup component add rustfmt"));
    }
    if uses("clippy") {
        needed.push(("clippy", cargo_with("clippy"), "rustup component add clippy"));
    }
    let version = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version");
        command
    };
    if uses("arm") {
        let compiler = "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross";
        needed.push(("the C compiler of 64-bit ARM", version("aarch64-linux-gnu-gcc"), compiler));
        needed.push((
            "the emulator of 64-bit ARM",
            version(build_edge::QEMU),
            "apt-get install qemu-user-static",
        ));
    }
    for (name, mut command, install) in needed {
        let found = command.output().is_ok_and(|output| output.status.success());
        if !found {
            bail!("{name} is missing; install it with `{install}`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read() {
        let parsed = options(&["unit", "--full", "-v"]).unwrap();
        let want = Options { names: vec!["unit".to_owned()], full: true, list: false, verbose: true };
        assert_eq!(parsed, want);
        assert!(options(&["--ful"]).unwrap_err().to_string().contains("`--ful`"));
    }

    #[test]
    fn a_stage_is_left_out_when_what_it_needs_failed() {
        let stage =
            Stage { name: "e2e", says: "", steps: vec![], after: &["build"], full: false, minutes: 1 };
        let row =
            |ended| Row { name: "build".to_owned(), ended, time: Duration::ZERO, count: Count::default() };
        assert_eq!(missing(&stage, &[row(Ended::Ok)]), None);
        assert_eq!(missing(&stage, &[row(Ended::Failed)]).as_deref(), Some("build did not pass"));
    }

    #[test]
    fn a_file_may_not_be_larger_than_its_bar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [0; 10]).unwrap();
        assert!(size_at_most(&path, 10).unwrap().ok);
        let outcome = size_at_most(&path, 9).unwrap();
        assert!(!outcome.ok && outcome.why.unwrap().contains("10 bytes, 9 at most"));
    }
}
