//! What both daemons do alike.
//!
//! A shell brings a runtime, sockets and signals ([`shell::Shell`]); everything else is here, once: the engine
//! that joins the core with the transport, the data plane of the tunnel, the state on disk, the admin API and
//! the commands that speak it.
//!
//! ```text
//!   transport ──events──> engine (owns the Core) ──effects──> transport, forwarding tables
//!   admin API ──requests─>   │  one task, never waits for a peer          │
//!                            └─ state on disk by a thread of its own      v
//!   local clients ──> expose ──> data plane <── flows of neighbours ── resolve in the tables
//! ```
pub mod admin;
mod adopt;
mod ask;
#[cfg(feature = "authority")]
pub mod authority;
#[cfg(not(feature = "authority"))]
#[path = "no_authority.rs"]
pub mod authority;
pub mod boot;
mod caller;
#[cfg(feature = "mesh")]
mod carrying;
pub mod cli;
mod client;
mod clock;
pub mod confine;
mod cut_off;
mod denied;
mod descriptors;
#[cfg(feature = "mesh")]
mod disagreement;
#[cfg(feature = "mesh")]
pub mod drain;
#[cfg(feature = "mesh")]
mod draining;
mod engine;
pub mod enrolment;
#[cfg(feature = "mesh")]
mod entering;
#[cfg(feature = "mesh")]
pub mod envoy_row;
mod error;
mod exposes;
mod exposing;
#[cfg(feature = "mesh")]
#[cfg(test)]
mod garbage;
mod gate;
#[cfg(feature = "mesh")]
mod granting;
mod http;
#[cfg(feature = "mesh")]
mod in_words;
mod issue;
pub mod join;
mod last_seen;
#[cfg(feature = "mesh")]
mod letting_in;
mod limits;
#[cfg(feature = "mesh")]
mod listing;
#[cfg(feature = "mesh")]
mod looking_glass;
mod memory;
pub mod mesh;
mod metrics;
mod output;
mod overlay;
mod own_ports;
mod packets;
pub mod panics;
pub mod peers;
mod persist;
mod plain;
mod plane;
#[cfg(feature = "mesh")]
mod plans;
mod ports;
pub mod printed;
mod record;
mod remember;
mod renewal;
mod renewing;
mod replay;
mod requests;
mod revocations;
mod rule_words;
mod rules;
mod run;
mod serve;
pub mod services;
pub mod shell;
mod sockets;
mod space;
mod splice;
mod status;
mod tables;
mod talk;
mod turns;
mod udp;
#[cfg(feature = "mesh")]
mod watch;
mod watchdog;
#[cfg(feature = "mesh")]
mod watchers;
#[cfg(feature = "mesh")]
mod watching;
mod weigh;
mod write;

pub use boot::Prepared;
#[cfg(feature = "mesh")]
pub use client::ask;
pub use engine::Engine;
pub use error::{Exit, NodeError};
pub use limits::Limits;
pub use plain::Log;
pub use record::Recorder;
pub use replay::replay;
pub use rules::{Direction, Lists, RuleSpec, Rules};
pub use run::{Stop, run};
pub use splice::{LocalSocket, SocketCall};
pub use tables::Tables;
