//! The moment between fork and exec, as a program of its own: asks the kernel to kill this process when the keeper dies,
//! and becomes Envoy.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// The first argument of a starter; then come the process id of the keeper, the program, and its arguments.
pub(crate) const START: &str = "--start-envoy";

pub(crate) fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    // Without it a keeper that is killed leaves an Envoy behind, which the next keeper ends.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // The keeper may have died before the kernel was asked.
    if parent != Some(getppid().as_raw()) {
        return ExitCode::FAILURE;
    }
    let Some(program) = arguments.next() else { return ExitCode::FAILURE };
    let why = Command::new(program).args(arguments).exec();
    // In the form of Envoy's own lines.
    eprintln!("critical main the program cannot be started: {why}");
    ExitCode::from(127)
}
