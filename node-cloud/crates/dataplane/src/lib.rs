//! What this node's Envoy is told.
//!
//! ```text
//!  local clients        neighbours            tunnel (the node process)
//!   port   ingress         mesh                 streams     http-streams
//!    │        │              │                     │              │
//!    │ CONNECT│              │                     │ CONNECT      │
//!    └──►inner│              │            inner◄───┘              │
//!          └──┴──────┬───────┴──────────────┴─────────────────────┘
//!                    │  scope of the service: who may, and where to
//!      ┌─────────────┼───────────────────┐
//!   own org      other org            nobody else: 403
//!      │             │
//!      │       grant (internal listener: with it, its flows go)
//!      └──────┬──────┘
//!    ways: in order, equals by weight, the next after a failure
//!      ┌──────┼──────────┐
//!    local   peer       node
//!   socket  its mesh   tunnel to edge nodes
//! ```
//!
//! A [`Planner`] is fed with what the node knows and drained of [`catalyst_xds::Changes`]. It does no I/O.

mod answers;
mod callers;
mod clusters;
mod door;
mod hcm;
mod headers;
mod known;
mod limits;
mod listeners;
mod log_line;
mod pending;
mod planner;
mod ports;
mod proto;
mod routes;
mod service;
mod site;
mod tls;

pub use callers::{Caller, KeyMark, key_mark};
pub use limits::Limits;
pub use planner::Planner;
pub use service::{Service, Target, Via, Way};
pub use site::{Site, names, via};
pub use tls::{Bundle, Identity};
