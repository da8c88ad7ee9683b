//! The commands that both programs share: asking a node, and checking a configuration.
//!
//! Exit codes, the same everywhere: 0 done · 1 failed · 2 wrong command line: an argument that is missing, unknown or
//! malformed · 3 wrong configuration, key or certificate · 4 no node answers, or it went while a
//! command listened · 5 the node refused, or it is another
//! user's · 6 a deadline was over.

use std::path::PathBuf;
use std::process::ExitCode;

use catalyst_config::{Build, Compiled, Config, LoadRequest, LogLevel, environment, load, schema_json};
use catalyst_names::{Protocol, ServiceLabel};
use clap::{Args, Subcommand};

mod bundle;
mod check;
mod expose;
mod join;
mod machine;
mod node;
mod peer;
mod policy;
#[cfg(feature = "mesh")]
mod watch;

use crate::admin::{Answer, Request, ServiceSpec};
use crate::client::ask;
use crate::error::{Exit, NodeError};
use crate::printed::complain;
use crate::{output, plain, printed};

pub use bundle::org_bundle;
pub use expose::ExposeCommand;
pub use join::JoinArguments;
pub use node::NodeCommand;
#[cfg(feature = "mesh")]
pub use node::request as node_request;
#[cfg(feature = "mesh")]
pub use policy::PolicyCommand;
pub use policy::{ExportCommand, ImportCommand};

/// Which program asks, and what it can serve.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// `catalyst` or `catalyst-edge`.
    pub name: &'static str,
    /// Which rules a configuration must keep.
    pub build: Build,
    /// What it can serve.
    pub compiled: Compiled,
    /// Bytes that a route table for so many routes takes.
    pub table: fn(usize) -> usize,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The configuration file [env: CATALYST_CONFIG] [default: catalyst.json]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override a key of the configuration, such as limits.routes=512; may stand several times
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The admin socket of the node to ask [default: the one that the configuration names]
    #[arg(short, long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
}

impl Common {
    /// The configuration, with the environment and the flags over it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, program: &Program) -> Result<Config, NodeError> {
        let variable = std::env::var_os("CATALYST_CONFIG").map(PathBuf::from);
        let file = self.config.clone().or(variable).unwrap_or_else(|| PathBuf::from("catalyst.json"));
        Ok(load(LoadRequest {
            file: Some(file),
            env: environment(),
            sets: self.set.clone(),
            build: program.build,
            compiled: program.compiled,
        })?)
    }

    /// The admin socket of the node to ask.
    ///
    /// # Errors
    /// The configuration that would name it is wrong.
    pub fn socket(&self, program: &Program) -> Result<PathBuf, NodeError> {
        match &self.socket {
            Some(path) => Ok(path.clone()),
            None => self.load(program).map(|c| c.admin.socket),
        }
    }
}

/// Commands that both programs have.
#[derive(Subcommand, Clone, Debug)]
pub enum Shared {
    /// Show how the node is, and the next step
    #[command(after_help = "Examples:\n  catalyst status\n  catalyst status --json | jq .peers")]
    Status,
    /// Routes: what the node knows, and which way is best
    #[command(subcommand)]
    Route(RouteCommand),
    /// Peers: neighbours and their sessions
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Services of this node
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Local ports for services
    #[command(subcommand)]
    Expose(ExposeCommand),
    /// Exports: services of this organisation that others may learn from this node
    #[command(subcommand)]
    Export(ExportCommand),
    /// Imports: services of other organisations that this node accepts
    #[command(subcommand)]
    Import(ImportCommand),
    /// The rules of exports and imports: what they do, and what others would do
    #[cfg(feature = "mesh")]
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Check what can be known before a start: configuration, files, the most memory it can take, the sandbox
    #[command(
        after_help = "Examples:\n  catalyst-edge check\n  catalyst-edge check --set limits.peers=2 --json | jq .memory_bytes"
    )]
    Check,
    /// The configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The identity of this node
    #[command(subcommand)]
    Node(NodeCommand),
}

/// `route ...`
#[derive(Subcommand, Clone, Debug)]
pub enum RouteCommand {
    /// List routes: '*' the best of each origin, '+' the next best, '!' not eligible (not imported, down, or overtaken),
    /// '?' remembered of the last run
    #[command(
        after_help = "Examples:\n  catalyst route ls\n  catalyst route ls inventory.acme.example --json"
    )]
    Ls {
        /// Only this service, by its full name
        service: Option<String>,
    },
    /// Watch routes change, as lines or as JSON, one object a line: best ways, ways that come and go, and their marks
    ///
    /// Begins with the routes that are there. Ends with Ctrl-C, after --count rows or --for a time (exit code 0), or with the
    /// node (exit code 4). A watcher that reads too slowly hears 'missed' and every route again.
    #[cfg(feature = "mesh")]
    #[command(
        after_help = "Examples:\n  catalyst route watch\n  catalyst route watch 'orders*' --for 10m\n  \
                            catalyst route watch '*.globex.example' --changes-only --json | jq -c '{what, service, via, why}'"
    )]
    Watch(watch::Watch),
    /// Explain a service: every way to it, why the best won, what keeps the others out, and who hears of it
    #[cfg(feature = "mesh")]
    #[command(after_help = "Examples:\n  catalyst route explain orders.globex.example\n  \
                            catalyst route explain orders.globex.example --peer gw.initech.example")]
    Explain {
        /// The full name of the service
        service: String,
        /// Announcements to this neighbour alone, NODE.ORG
        #[arg(long)]
        peer: Option<catalyst_names::NodeName>,
    },
}

/// `peer ...`
#[derive(Subcommand, Clone, Debug)]
pub enum PeerCommand {
    /// List configured peers
    Ls,
    /// Add a neighbour, or change one; it is kept over restarts
    #[command(after_help = "Examples:\n  catalyst peer add cloud-2 --address cloud-2.acme.example:7443\n  \
                            catalyst peer add gw.globex.example --address gw.globex.example:7443 \\\n    \
                            --bundle globex.example.bundle.pem --agreement agreement.json")]
    Add {
        /// Its name, NODE.ORG; the organisation may be left out for a node of one's own
        name: String,
        /// Where to dial it, host:port; without it this node waits for its dial
        #[arg(short, long)]
        address: Option<String>,
        /// The trust bundle of its organisation, which they sent (not for nodes of one's own)
        #[arg(short, long, requires = "agreement")]
        bundle: Option<PathBuf>,
        /// The agreement with its organisation, of which both sides hold the same (not for nodes of one's own)
        #[arg(long, requires = "bundle")]
        agreement: Option<PathBuf>,
        /// The kind of link: lan, wan, cellular or satellite [default: the node's]
        #[arg(long)]
        profile: Option<String>,
        /// What carries the link: quic, tcp, or auto, which is QUIC, and TCP while QUIC gets no answer [default: auto]
        #[arg(long)]
        transport: Option<String>,
        /// How long it keeps this node's routes when the session is lost: 30s, 5m; an hour at most, 0s for not at all
        /// [default: by the kind of link]
        #[cfg(feature = "mesh")]
        #[arg(long)]
        restart: Option<String>,
    },
    /// Forget a neighbour; its session ends in order
    Rm {
        /// Its name, NODE.ORG
        name: String,
    },
}

/// `service ...`
#[derive(Subcommand, Clone, Debug)]
pub enum ServiceCommand {
    /// Offer a service, or change one; it is kept over restarts
    #[command(
        after_help = "Examples:\n  catalyst service add inventory --protocol http --target 127.0.0.1:8080\n  \
                      catalyst service add db --target db.internal:5432 --cost 10"
    )]
    Add {
        /// Its name: one DNS label
        name: String,
        /// Where it is: host:port
        #[arg(short, long)]
        target: String,
        /// tcp, udp, http, http:graphql or http:grpc
        #[arg(short, long, default_value = "tcp")]
        protocol: String,
        /// Lower is better
        #[arg(long, default_value_t = 0)]
        cost: u32,
        /// Share among equals
        #[arg(long, default_value_t = 100)]
        weight: u16,
        /// A tag such as acme.example:gold; may stand several times
        #[arg(long)]
        tag: Vec<String>,
        /// What neighbours do with it that have lost this node for longer than the restart time: go on as long as nothing else
        /// is there (fail_static), or not use it (fail_closed)
        #[cfg(feature = "mesh")]
        #[arg(long, default_value = "fail_static", value_parser = ["fail_static", "fail_closed"])]
        on_stale: String,
    },
    /// Offer a service no longer; that is kept over restarts
    Rm {
        /// Its name
        name: String,
    },
    /// List the services of this node
    Ls,
}

/// `config ...`
#[derive(Subcommand, Clone, Debug)]
pub enum ConfigCommand {
    /// Check the file, and the files it names; nothing is started
    #[command(after_help = "Example:\n  catalyst config check --config /etc/catalyst/catalyst.json")]
    Check,
    /// Print the JSON Schema of catalyst.json
    #[command(after_help = "Example:\n  catalyst config schema > catalyst.schema.json")]
    Schema,
}

fn spec(command: &ServiceCommand) -> Result<Request, NodeError> {
    let label = |name: &str| {
        ServiceLabel::parse(name)
            .map_err(|e| NodeError::Usage(format!("'{name}' is no name for a service: {e}")))
    };
    Ok(match command {
        ServiceCommand::Ls => Request::Services,
        ServiceCommand::Rm { name } => Request::ServiceRemove { name: label(name)? },
        ServiceCommand::Add {
            name,
            target,
            protocol,
            cost,
            weight,
            tag,
            #[cfg(feature = "mesh")]
            on_stale,
        } => Request::ServiceAdd {
            service: ServiceSpec {
                name: label(name)?,
                protocol: protocol
                    .parse::<Protocol>()
                    .map_err(|e| NodeError::Usage(format!("'{protocol}': {e}")))?,
                target: target.clone(),
                cost: *cost,
                weight: *weight,
                tags: tag.clone(),
                #[cfg(feature = "mesh")]
                fail_closed: on_stale == "fail_closed",
                #[cfg(not(feature = "mesh"))]
                fail_closed: false,
            },
        },
    })
}

/// Carries out a shared command.
///
/// # Errors
/// What went wrong; its [`NodeError::exit`] is the exit code.
pub fn execute(program: &Program, common: &Common, command: &Shared) -> Result<(), NodeError> {
    let request = match command {
        Shared::Status => Request::Status,
        #[cfg(feature = "mesh")]
        Shared::Route(RouteCommand::Watch(watch)) => return watch.run(program, common),
        Shared::Route(RouteCommand::Ls { service }) => Request::Routes { service: service.clone() },
        #[cfg(feature = "mesh")]
        Shared::Route(RouteCommand::Explain { service, peer }) => {
            Request::Explain { service: service.clone(), peer: peer.clone() }
        }
        #[cfg(feature = "mesh")]
        Shared::Policy(command) => return policy::policy(program, common, command),
        Shared::Peer(command) => peer::request(program, common, command)?,
        Shared::Service(command) => spec(command)?,
        Shared::Expose(command) => expose::request(command)?,
        Shared::Export(command) => policy::export(command),
        Shared::Import(command) => policy::import(command),
        Shared::Config(ConfigCommand::Schema) => {
            output::raw(&schema_json());
            return Ok(());
        }
        Shared::Config(ConfigCommand::Check) => return check::files(program, common),
        Shared::Check => return check::all(program, common),
        Shared::Node(NodeCommand::Csr { org, node, dir }) => return node::csr(common, org, node, dir),
        Shared::Node(command) => node::request(command)?,
    };
    let asked = request.clone();
    let socket = common.socket(program)?;
    let (mut answer, unwritten) = ask(&socket, request)?;
    // A change answers with the one service; a person sees it among the others.
    if matches!(asked, Request::ServiceAdd { .. } | Request::ServiceRemove { .. })
        && let Ok((all, _)) = ask(&socket, Request::Services)
    {
        answer = all;
    }
    if common.json {
        output::json(&answer);
    } else if let (Answer::Routes(rows), Request::Routes { service: Some(name) }) = (&answer, &asked)
        && rows.is_empty()
    {
        output::line(&format!("no route for '{name}'; 'route ls' lists all services by their full names"));
    } else {
        output::text(&answer, command_verb(command));
        #[cfg(feature = "mesh")]
        peer::to_compare(&asked).iter().for_each(|text| output::line(text));
    }
    unwritten.map_or(Ok(()), Err)
}

/// What a change says before its list.
fn command_verb(command: &Shared) -> Option<String> {
    match command {
        Shared::Service(ServiceCommand::Add { name, .. }) => Some(format!("offering '{name}'")),
        Shared::Node(NodeCommand::Revoke { node, .. }) => Some(format!("'{node}' is cut off, and stays out")),
        Shared::Peer(PeerCommand::Add { name, .. }) => Some(format!("peering with '{name}'")),
        Shared::Peer(PeerCommand::Rm { name }) => Some(format!("no longer peering with '{name}'")),
        Shared::Expose(ExposeCommand::Add { service, .. }) => Some(format!("a local port for '{service}'")),
        Shared::Expose(ExposeCommand::Rm { service, .. }) => Some(format!("no local port for '{service}'")),
        Shared::Service(ServiceCommand::Rm { name }) => Some(format!("no longer offering '{name}'")),
        _ => None,
    }
}

/// The level of the log, as the shells' subscriber takes it.
#[must_use]
pub fn level(level: LogLevel) -> tracing::Level {
    match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    }
}

/// Ends a program: an error goes to stderr, in words or as JSON, and becomes its exit code.
#[must_use]
pub fn finish(program: &Program, json: bool, result: Result<(), NodeError>) -> ExitCode {
    let told = result.and_then(|()| match printed::lost() {
        None => Ok(()),
        Some(why) => Err(NodeError::Failed(format!(
            "it is done, but what it had to say could not be written to standard output: {why}"
        ))),
    });
    let Err(error) = told else { return ExitCode::from(Exit::Ok as u8) };
    if json {
        let body = serde_json::json!({ "error": error.to_string(), "exit": error.exit() as u8 });
        complain(&plain::json(&body.to_string()));
    } else if matches!(error, NodeError::Config(_)) {
        // Already laid out, one error a paragraph.
        complain(&plain::lines(&error.to_string()));
    } else {
        // Words of a peer or of an authority may be in it.
        complain(&format!("{}: {}", program.name, plain::lines(&error.to_string())));
    }
    ExitCode::from(error.exit() as u8)
}
