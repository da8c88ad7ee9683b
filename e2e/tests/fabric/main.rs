//! Scenarios with real processes, one file a subject.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admin;
mod backpressure;
mod blackhole;
mod bounded;
mod checks;
mod commands;
mod data;
mod expose;
mod failover;
mod fallback;
mod hardening;
mod hostile;
mod http;
mod join;
mod join_killed;
mod limits;
mod local;
mod loss;
mod migration;
mod offline;
mod organisations;
mod programs;
mod revoked;
mod rogue;
mod routes;
mod runtime;
mod satellite;
mod services;
mod sessions;
mod stalls;
mod starting;
mod strangers;
mod udp;
mod units;
