//! The moment between fork and exec, as a program of its own: what a process can only do to itself.
//!
//! The starter makes a session for the service, asks the kernel to kill it when the supervisor dies, and becomes the
//! service. If it cannot, it says why on its standard input, which is a pipe to the supervisor and closes by itself when
//! the service's program is there.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stdin, execvp, getppid, setsid};

/// The first argument of a starter; then come the process id of the supervisor, the folder, and the command.
pub(crate) const START: &str = "--start-service";

pub(crate) fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    // It closes on exec, where the standard input would not.
    let Ok(status) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    // Both are refinements: without them the service runs, and the supervisor finds it by other ways.
    let _ = setsid();
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // The supervisor may have died before the kernel was asked.
    if parent != Some(getppid().as_raw()) {
        return ExitCode::FAILURE;
    }
    let folder = arguments.next().unwrap_or_default();
    let why = match start(folder, arguments) {
        Ok(never) => match never {},
        Err(why) => why,
    };
    let _ = File::from(status).write_all(why.as_bytes());
    ExitCode::from(127)
}

fn start(
    folder: OsString,
    arguments: impl Iterator<Item = OsString>,
) -> Result<std::convert::Infallible, String> {
    if !folder.is_empty() {
        std::env::set_current_dir(&folder)
            .map_err(|e| format!("the folder '{}' cannot be entered: {e}", folder.display()))?;
    }
    let failed = |e: io::Error| format!("the program cannot be started: {e}");
    let command = arguments.map(|a| CString::new(a.into_vec())).collect::<Result<Vec<_>, _>>();
    let command = command.map_err(|e| failed(e.into()))?;
    let program = command.first().ok_or("there is no program")?;
    let null = File::open("/dev/null").map_err(failed)?;
    dup2_stdin(&null).map_err(|e| failed(e.into()))?;
    // This program ignores SIGPIPE, which the service would inherit; what is handled becomes the default again on exec.
    signal_hook::flag::register(Signal::SIGPIPE as i32, Arc::new(AtomicBool::new(false))).map_err(failed)?;
    execvp(program, &command).map_err(|e| failed(e.into()))
}
