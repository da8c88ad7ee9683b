//! The moment between fork and exec, as a program of its own: what a process can only do to itself.
//!
//! The starter makes a session for the service, asks the kernel to kill it when the supervisor dies, and becomes the
//! service. If it cannot, it says why on its standard input, which is a pipe to the supervisor and closes by itself when
//! the service's program is there.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getppid, setsid};

/// The first argument of a starter; then comes the process id of the supervisor, and the command.
pub(crate) const START: &str = "--start-service";

pub(crate) fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    // It closes on exec, where the standard input would not.
    let Ok(status) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    // Both are refinements: without them the service runs, and the supervisor finds it by other ways.
    let _ = setsid();
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // The supervisor may have died before the kernel was asked.
    if parent != Some(getppid().as_raw()) {
        return ExitCode::FAILURE;
    }
    let Some(program) = arguments.next() else { return ExitCode::FAILURE };
    let error = Command::new(&program).args(arguments).stdin(Stdio::null()).exec();
    let _ = File::from(status).write_all(error.to_string().as_bytes());
    ExitCode::from(127)
}
