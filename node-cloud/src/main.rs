//! `catalyst`: the cloud node and the command line.

mod agreement;
mod drain;
mod envoy;
mod init;
mod log;
mod org;
mod runtime;
mod shell;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use catalyst_config::{Build, Compiled};
use catalyst_node::cli::{
    Common, JoinArguments, NodeCommand, Program, RouteCommand, Shared, execute, finish,
};
use catalyst_node::printed::print_of;
use catalyst_node::{NodeError, panics, replay};
use clap::{CommandFactory, Parser, Subcommand};

const PROGRAM: Program = Program {
    name: "catalyst",
    build: Build::Cloud,
    compiled: Compiled::CLOUD,
    table: |routes| {
        catalyst_route_table::Limits { routes, ..catalyst_route_table::Limits::CLOUD }.max_bytes()
    },
};

/// Catalyst joins the services of organisations, clouds and edge devices.
#[derive(Parser)]
#[command(name = "catalyst", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  catalyst init --org acme.example --node cloud-1 --address cloud.acme.example:7443
                                                        make an organisation and its first node
  catalyst up                                           run the node
  catalyst node invite edge-1                           a token with which a board joins
  catalyst status                                       how it is, and the next step

Exit codes: 0 done, 1 failed, or in force but not on the disk yet, 2 wrong command line,
            3 wrong configuration, key or certificate, 4 no node answers, 5 the node refused, or it is another user's,
            6 a deadline was over";

#[derive(Subcommand)]
enum Command {
    /// Run the node until it is told to stop (SIGTERM, or Ctrl-C)
    #[command(after_help = "Examples:\n  catalyst up\n  catalyst up --envoy /opt/envoy/envoy\n  \
                            catalyst up --envoy-mode external")]
    Up(up::Up),
    /// The Envoy that carries this node's traffic
    #[command(subcommand)]
    Envoy(envoy::EnvoyCommand),
    /// Make an organisation, its first node and a configuration
    #[command(
        after_help = "Example:\n  catalyst init --org home.example --node laptop --address laptop.lan:7443\n  \
                            catalyst up"
    )]
    Init(init::Init),
    /// The organisation: its root and the certificates of its nodes
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Agreements with other organisations
    #[command(subcommand)]
    Agreement(agreement::AgreementCommand),
    /// Join an organisation with a one-time token of the node that holds its root
    Join(JoinArguments),
    #[command(flatten)]
    Shared(Shared),
    /// Run a recording of either node through a fresh core and print the digest of its state
    #[command(after_help = "Example:\n  catalyst replay incident.jsonl")]
    Replay {
        /// What 'catalyst up --record' or 'catalyst-edge run --record' wrote
        file: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// Which one
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    catalyst_envoy::entry().or_else(catalyst_services::entry).unwrap_or_else(commands)
}

// A frame of its own: the process that runs local services would keep as much memory as this one is large.
#[inline(never)]
fn commands() -> ExitCode {
    panics::install(PROGRAM.name);
    let arguments = Arguments::parse();
    let common = &arguments.common;
    let result = match &arguments.command {
        Command::Up(command) => command.run(common),
        Command::Envoy(command) => envoy::execute(command, common),
        Command::Init(command) => command.run(common.json),
        Command::Org(command) => org::execute(command, &PROGRAM, common),
        Command::Agreement(command) => {
            agreement::execute(command, || common.load(&PROGRAM).map(|c| c.org), common.json)
        }
        Command::Join(arguments) => join(common, arguments),
        Command::Shared(Shared::Node(command @ NodeCommand::Drain { .. })) => drain::run(common, command),
        Command::Shared(command) => {
            if matches!(command, Shared::Route(RouteCommand::Watch(_))) {
                runtime::interrupt_ends();
            }
            execute(&PROGRAM, common, command)
        }
        Command::Replay { file } => replay(file, common.json),
        Command::Completions { shell } => {
            print_of(|out| clap_complete::generate(*shell, &mut Arguments::command(), PROGRAM.name, out));
            Ok(())
        }
    };
    finish(&PROGRAM, common.json, result)
}

fn join(common: &Common, arguments: &JoinArguments) -> Result<(), NodeError> {
    let runtime = runtime::small()?;
    runtime.block_on(arguments.run(&shell::Tokio::one(runtime.handle()), &PROGRAM, common, false))
}
