//! Running this program again, as another of its processes.
//!
//! By `posix_spawn` alone: what the standard library's `Command` can do beyond it would cost the edge 30 kB.

use std::ffi::{CString, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::{Pid, execv};

/// A text as the system takes it.
fn text(bytes: Vec<u8>) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// The environment of this process without the variables that `keep` refuses, and with `more`, which come first.
pub(crate) fn environment(more: Vec<String>, keep: impl Fn(&[u8]) -> bool) -> io::Result<Vec<CString>> {
    let mut all = Vec::new();
    for (name, value) in std::env::vars_os() {
        let mut variable = name.into_vec();
        let replaced = |m: &String| m.split('=').next().map(str::as_bytes) == Some(&variable);
        if keep(&variable) && !more.iter().any(replaced) {
            variable.push(b'=');
            variable.extend(value.into_vec());
            all.push(text(variable)?);
        }
    }
    more.into_iter().try_for_each(|variable| text(variable.into_bytes()).map(|v| all.push(v)))?;
    Ok(all)
}

/// Becomes this program anew, with the arguments and the environment that it was started with. Returns why not.
pub fn start_over() -> io::Error {
    let arguments = std::env::args_os().map(|a| text(a.into_vec())).collect::<io::Result<Vec<CString>>>();
    match arguments.map(|arguments| execv(c"/proc/self/exe", &arguments)) {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => error.into(),
        Err(error) => error,
    }
}

/// Runs this program with these arguments. `files` are what it has open as its files 0 to 2, nothing being /dev/null.
/// No signal is blocked in it.
pub(crate) fn spawn(
    arguments: Vec<OsString>,
    environment: &[CString],
    files: [Option<BorrowedFd<'_>>; 3],
) -> io::Result<Pid> {
    let name = std::env::args_os().next().unwrap_or_else(|| "catalyst".into());
    let arguments = std::iter::once(name).chain(arguments).map(|a| text(a.into_vec()));
    let arguments = arguments.collect::<io::Result<Vec<CString>>>()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let mut actions = PosixSpawnFileActions::init()?;
    for (file, to) in files.iter().zip(0 as RawFd..) {
        actions.add_dup2(file.unwrap_or(null.as_fd()).as_raw_fd(), to)?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
    attributes.set_sigmask(&SigSet::empty())?;
    Ok(posix_spawn(c"/proc/self/exe", &actions, &attributes, &arguments, environment)?)
}
