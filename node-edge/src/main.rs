//! `catalyst-edge`: the edge node.

mod completions;
mod cpu;
mod shell;
mod signals;

use std::path::PathBuf;
use std::process::ExitCode;

use async_channel::bounded;
use catalyst_config::{Build, Compiled, Config};
use catalyst_node::cli::{Common, JoinArguments, Program, Shared, execute, finish, level};
use catalyst_node::confine::confine;
use catalyst_node::services::launch;
use catalyst_node::{NodeError, Prepared, Recorder, Stop, mesh, panics, printed, run};
use catalyst_reactor::OneThread;
use catalyst_route_table::{Fixed, Limits};
use clap::{Parser, Subcommand};

use crate::shell::Edge;
use crate::signals::StopSignals;

/// Routes, names, bytes of names and bytes of attributes a route: all there from the start.
type Table = Fixed<1024, 1536, 40_960, 160>;

const PROGRAM: Program = Program {
    name: "catalyst-edge",
    build: Build::Edge,
    compiled: Compiled {
        routes: 1024,
        peers: 16,
        services: 256,
        flows: 1024,
        routes_per_peer: 1024,
        expose: 64,
        window: 8 * 1024 * 1024,
        http_clients: 1024,
    },
    table: |_| size_of::<Table>(),
};

/// The edge node of Catalyst: joins the services of a small machine to the fabric. It only dials out.
#[derive(Parser)]
#[command(name = "catalyst-edge", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  catalyst-edge join cn1.AbC...                             join with a token of 'catalyst node invite edge-1'
  catalyst-edge config check                                check catalyst.json and the files it names
  catalyst-edge check                                       and the most memory it can take, and the sandbox
  catalyst-edge run                                         run the node
  catalyst-edge status                                      how it is, and the next step

Exit codes: 0 done, 1 failed, or in force but not on the disk yet, 2 wrong command line,
            3 wrong configuration, key or certificate, 4 no node answers, 5 the node refused, or it is another user's";

#[derive(Subcommand)]
enum Command {
    /// Run the node until it is told to stop (SIGTERM, or Ctrl-C)
    Run {
        /// Record every event of the core to this new file
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
    },
    /// Join an organisation with a one-time token: makes the key here, gets the certificate, writes catalyst.json
    #[command(
        after_help = "Example:\n  catalyst-edge join cn1.AbC...   # printed by 'catalyst node invite edge-1'"
    )]
    Join(JoinArguments),
    #[command(flatten)]
    Shared(Shared),
    /// Print completions for a shell
    Completions {
        /// Which one
        shell: completions::Shell,
    },
}

fn main() -> ExitCode {
    catalyst_services::entry().unwrap_or_else(commands)
}

// A frame of its own: the process that runs local services would keep as much memory as this one is large.
#[inline(never)]
fn commands() -> ExitCode {
    panics::install(PROGRAM.name);
    let arguments = Arguments::parse();
    let common = &arguments.common;
    let result = match &arguments.command {
        Command::Run { record } => up(common, record.clone()),
        Command::Join(arguments) => join(common, arguments),
        Command::Shared(command) => execute(&PROGRAM, common, command),
        Command::Completions { shell } => {
            completions::print(*shell);
            Ok(())
        }
    };
    finish(&PROGRAM, common.json, result)
}

fn join(common: &Common, arguments: &JoinArguments) -> Result<(), NodeError> {
    let runtime = runtime()?;
    let shell = Edge(runtime.clone());
    runtime.block_on(arguments.run(&shell, &PROGRAM, common, cpu::prefer_chacha()))
}

fn runtime() -> Result<OneThread, NodeError> {
    OneThread::new().map_err(|e| NodeError::Failed(format!("cannot wait for sockets: {e}")))
}

fn log(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level(config.log))
        .with_writer(|| catalyst_node::Log)
        .with_ansi(false);
    log.with_target(false).without_time().init();
}

fn up(common: &Common, record: Option<PathBuf>) -> Result<(), NodeError> {
    let config = common.load(&PROGRAM)?;
    log(&config);
    let routes = config.limits.routes as usize;
    let prepared = Prepared::new(config, PROGRAM.build.as_str(), catalyst_control::Limits::EDGE)?;
    let services = launch(&prepared.config, false)?;
    let holds = Limits { routes, names: 1536, attrs: 160 };
    let record = record.map(|path| Recorder::create(&path, &prepared.settings, holds)).transpose()?;
    let sandbox = confine(&prepared)?;
    let ((stopper, stop), runtime) = (bounded(1), runtime()?);
    let signals =
        StopSignals::new(&runtime).map_err(|e| NodeError::Failed(format!("cannot wait for signals: {e}")))?;
    runtime.block_on(async {
        let waiting = runtime.executor().spawn(async move {
            signals.stop().await;
            let _ = stopper.send(()).await;
        });
        let ready = Box::new(|socket: &str| printed::aside(&format!("ready; admin socket {socket}")));
        let (prefer_chacha, mesh) = (cpu::prefer_chacha(), mesh::Told::default());
        let stop = Stop { stop, record, prefer_chacha, ready, services, sandbox, mesh };
        let table = Box::new(Table::new(routes));
        let result = run(Edge(runtime.clone()), prepared, table, routes, stop).await;
        waiting.cancel().await;
        result
    })
}
