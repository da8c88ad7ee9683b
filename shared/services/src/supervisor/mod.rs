//! The supervisor: a small process with one thread, outside of the node's sandbox, that runs what the node orders.
//!
//! It decides nothing: what is started again, and when, is the node's affair (`policy`). But nothing that it started
//! outlives its node: the end of the socket, however it comes, ends every service and everything that a service started.

mod outbox;
mod output;
mod processes;
mod service;
mod turn;

use std::process::ExitCode;

/// Runs until the node is gone and nothing is left to end.
pub(crate) fn main() -> ExitCode {
    match turn::Supervisor::new() {
        Ok(mut supervisor) => {
            while supervisor.turn() {}
            ExitCode::SUCCESS
        }
        Err(error) => {
            // There is nobody else to tell: the standard error is that of the node.
            eprintln!("the process that runs local services cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
