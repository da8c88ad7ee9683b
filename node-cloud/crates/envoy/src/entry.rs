//! The ways into this crate's own processes. A program that uses it calls [`entry`] first of all.
//!
//! ```text
//!   node ──┬── keeper in office ── starter, which becomes Envoy (exec)
//!          └── keeper in waiting
//! ```
//! All are the one binary, run again by `/proc/self/exe`; the first argument says what it is.

use std::process::ExitCode;

use crate::{keeper, starter};

/// What the process does if it is one of this crate's own; else nothing. To be called before anything else is done:
/// the processes have one thread.
#[must_use]
pub fn entry() -> Option<ExitCode> {
    let first = std::env::args_os().nth(1)?;
    if first == keeper::KEEP {
        return Some(keeper::main());
    }
    (first == starter::START).then(starter::main)
}
