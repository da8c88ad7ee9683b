//! Envoy, the program: found, given its bootstrap, kept running, asked how it is. What it is told by xDS is another
//! crate's.
//!
//! ```text
//!   node: Supervisor ── orders ──> keeper ── starts, ends ──> Envoy
//!                    <── reports ─        <── ends, output ──
//!         Admin ──────────────────── asks ──────────────────> Envoy
//! ```
//! The keeper is a small process of its own, outside of the node's sandbox: Envoy outlives a node that is killed, for a
//! while, and is found again by the next one; it never outlives its keeper.
//!
//! | file | subject |
//! |---|---|
//! | `pinned` | the version that is tested, and where it comes from |
//! | `find` | which program is run, and whether it will do |
//! | `bootstrap` | what it knows before the node tells it anything |
//! | `place` | the files and sockets that Envoy and node share |
//! | `spec` | what is run: program, arguments, bootstrap |
//! | `supervisor` | the node's side: starts the keepers, tells how Envoy is, stops it |
//! | `message` | what node and keeper say to each other |
//! | `keeper` | the keeper's side; `entry` is the way into it |
//! | `starter` | between fork and exec |
//! | `process` | which process is which |
//! | `backoff` | how long to wait before the next start |
//! | `line` | what Envoy writes |
//! | `admin` | asking Envoy how it is |
//! | `limits` | capacities and times |
#![forbid(unsafe_code)]

mod admin;
mod backoff;
mod bootstrap;
mod entry;
mod error;
mod find;
mod keeper;
mod limits;
mod line;
mod message;
mod pinned;
mod place;
mod process;
mod spec;
mod starter;
mod supervisor;

pub use admin::{Admin, Answer, Certificate, CertificateDetails, ServerInfo, Stats};
pub use bootstrap::{BootstrapSpec, bootstrap, print_bootstrap};
pub use entry::entry;
pub use error::EnvoyError;
pub use find::{Found, VARIABLE, Version, find};
pub use limits::Limits;
pub use line::{Level, LogLine};
pub use pinned::{Pinned, pinned};
pub use place::Place;
pub use spec::EnvoySpec;
pub use supervisor::{Ended, Handle, Launched, State, Supervisor, launch, log_line};
