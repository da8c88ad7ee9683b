//! The keeper: a small process with one thread, outside of the node's sandbox, whose child is Envoy.
//!
//! | file | subject |
//! |---|---|
//! | `waiting` | how a keeper gets into office: at most one of a place is |
//! | `office` | what it does there |
//! | `child` | Envoy as a child process |
//! | `guests` | connections to its socket |
//! | `output` | how much of what Envoy writes is told |

mod child;
mod guests;
mod office;
mod output;
mod waiting;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use crate::error::EnvoyError;
use crate::line::printable;
use crate::spec::Run;

/// The first argument of a keeper. Its standard input is a socket to the node that started it: a line that says what is
/// to be run, then nothing; and the way back for why it cannot.
pub(crate) const KEEP: &str = "--keep-envoy";

pub(crate) fn main() -> ExitCode {
    let Ok(link) = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::FAILURE;
    };
    // A session of its own: Ctrl-C is for the node, which then stops Envoy in order.
    let _ = nix::unistd::setsid();
    match keep(&link) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = (&link).write_all(printable(&why.to_string()).as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn keep(link: &UnixStream) -> Result<(), EnvoyError> {
    let run: Run = waiting::read_run(link)?;
    let Some(lock) = waiting::wait(&run, link)? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(EnvoyError::Keeper)?;
    let ended = runtime.block_on(office::hold(run));
    // Only now may another take over.
    drop(lock);
    ended
}
