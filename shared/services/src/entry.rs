//! The ways into this crate's own processes. A program that uses it calls [`entry`] first of all.
//!
//! ```text
//!   node ── supervisor ──┬── starter, which becomes a service (exec)
//!                        └── starter, which becomes a check
//! ```
//! All are the one binary, run again by `/proc/self/exe`; the first argument says what it is.

use std::process::ExitCode;

use crate::starter;
use crate::supervisor;

/// The first argument of the supervisor.
pub(crate) const SUPERVISE: &str = "--supervise-services";

/// What the process does if it is one of this crate's own; else nothing. To be called before anything else is done: the
/// processes are to be small, and must have one thread.
#[must_use]
pub fn entry() -> Option<ExitCode> {
    let first = std::env::args_os().nth(1)?;
    if first == SUPERVISE {
        return Some(supervisor::main());
    }
    (first == starter::START).then(starter::main)
}
