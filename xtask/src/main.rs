//! `cargo xtask`: what a contributor runs. Tests, the laws of the house, benchmarks and the demo.
//!
//! One file a subject. A new subcommand is a module and one line in [`COMMANDS`].

mod bench;
mod build_edge;
mod cargo;
mod demo;
mod envoy;
mod fuzz;
mod golden;
mod laws;
mod module_tree;
mod replay;
mod repo;
mod rust_source;
mod rust_tokens;
mod sim;
mod soak;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};
use repo::Repo;

/// One subcommand: its name, a line for the overview, its help, and what it does.
struct Command {
    name: &'static str,
    summary: &'static str,
    help: &'static str,
    run: fn(&Repo, &[String]) -> Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    Command { name: "test", summary: test::SUMMARY, help: test::HELP, run: test::run },
    Command { name: "laws", summary: laws::SUMMARY, help: laws::HELP, run: laws::run },
    Command { name: "golden", summary: golden::SUMMARY, help: golden::HELP, run: golden::run },
    Command {
        name: "edge-tree",
        summary: laws::edge_tree::SUMMARY,
        help: laws::edge_tree::HELP,
        run: laws::edge_tree::command,
    },
    Command {
        name: "build-edge",
        summary: build_edge::SUMMARY,
        help: build_edge::HELP,
        run: build_edge::run,
    },
    Command { name: "envoy", summary: envoy::SUMMARY, help: envoy::HELP, run: envoy::run },
    Command { name: "bench", summary: bench::SUMMARY, help: bench::HELP, run: bench::run },
    Command { name: "sim", summary: sim::SUMMARY, help: sim::HELP, run: sim::run },
    Command { name: "fuzz", summary: fuzz::SUMMARY, help: fuzz::HELP, run: fuzz::run },
    Command { name: "replay", summary: replay::SUMMARY, help: replay::HELP, run: replay::run },
    Command { name: "soak", summary: soak::SUMMARY, help: soak::HELP, run: soak::run },
    Command { name: "demo", summary: demo::SUMMARY, help: demo::HELP, run: demo::run },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let (name, rest) = match args {
        [] => ("help", args),
        [first, rest @ ..] => (first.as_str(), rest),
    };
    if matches!(name, "help" | "--help" | "-h") {
        match rest.first().and_then(|topic| find(topic)) {
            Some(command) => print!("{}", command.help),
            None => print!("{}", overview()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(command) = find(name) else {
        bail!("there is no command `{name}`\n\n{}", overview());
    };
    if rest.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help" || arg == "-h") {
        print!("{}", command.help);
        return Ok(ExitCode::SUCCESS);
    }
    (command.run)(&Repo::find()?, rest)
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

fn overview() -> String {
    let mut text = String::from("cargo xtask COMMAND [ARGUMENTS]\n\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<12}{}\n", command.name, command.summary));
    }
    text.push_str(
        "\n`cargo xtask COMMAND --help` says more.\n\nExamples:\n  \
         cargo xtask test           everything a change must pass\n  \
         cargo xtask test unit      one stage\n  \
         cargo xtask laws purity    one law\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_help_with_an_example() {
        for command in COMMANDS {
            assert!(command.help.contains("Examples:"), "{}", command.name);
            assert!(command.help.contains(&format!("cargo xtask {}", command.name)), "{}", command.name);
            assert!(overview().contains(command.summary));
        }
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_overview() {
        let error = dispatch(&["nonsense".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no command `nonsense`") && error.contains("cargo xtask COMMAND"));
    }
}
