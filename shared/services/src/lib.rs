//! Local services: a small process that runs them, and the rules by which they are started again and judged healthy.
//!
//! ```text
//!   node: policy ── orders ──> supervisor ── starts, signals ──> services, checks
//!                <── reports ─            <── ends, output ────
//! ```
//! - [`entry`] is the way into the processes of this crate; a program calls it first of all.
//! - [`Supervisor`] starts the supervisor, before the node enters its sandbox: what a process gives up, those that it
//!   starts do not have either.
//! - The supervisor (`supervisor`) does what it is told and keeps one promise by itself: nothing that it started outlives
//!   the node.
#![forbid(unsafe_code)]

mod again;
mod apart;
mod entry;
mod error;
mod frame;
mod health;
mod launch;
mod limits;
mod policy;
mod spec;
mod starter;
mod supervisor;

pub use again::start_over;
pub use apart::Apart;
pub use entry::entry;
pub use error::ServicesError;
pub use frame::{Checked, Exit, Id, Inbox, Message, Order, Program, Report};
pub use launch::Supervisor;
pub use limits::Limits;
pub use policy::{Action, Local, Policy, Standing};
pub use spec::{Check, Probe, Restart, Run, Spec};
