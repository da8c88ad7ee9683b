//! A child process with its log. It never outlives its owner, stopped or not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::wait;

/// Where the two programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `catalyst`
    pub cloud: PathBuf,
    /// `catalyst-edge`
    pub edge: PathBuf,
}

impl Programs {
    /// From the environment.
    ///
    /// # Panics
    /// When they are not there, with the command that builds them.
    #[must_use]
    pub fn find() -> Programs {
        Programs { cloud: find("CATALYST_BIN", "catalyst"), edge: find("CATALYST_EDGE_BIN", "catalyst-edge") }
    }
}

fn find(variable: &str, package: &str) -> PathBuf {
    let help = format!(
        "these tests run the real programs. Build them with\n    cargo build --profile ci -p catalyst && cargo build \
         --profile ci -p catalyst-edge\nthen set CATALYST_BIN and CATALYST_EDGE_BIN to absolute paths, such as\n    \
         {variable}=$PWD/target/ci/{package}"
    );
    let Some(path) = std::env::var_os(variable).map(PathBuf::from) else {
        panic!("{variable} is not set; {help}");
    };
    assert!(path.is_file(), "{variable} names {}, which is no file; {help}", path.display());
    path
}

/// Runs a command to its end. It may take 20 s.
///
/// # Panics
/// When it does not start, or does not end.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let pid = Pid::from_raw(child.id().cast_signed());
    // Reading must not wait behind a child that never ends.
    let (done, ended) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = done.send(());
        output
    });
    if ended.recv_timeout(Duration::from_secs(20)).is_err() {
        let _ = signal::kill(pid, Signal::SIGKILL);
        let output = reader.join().unwrap().unwrap();
        panic!("{command:?} did not end; it said: {}", both(&output));
    }
    reader.join().unwrap().unwrap()
}

/// Stdout and stderr as text.
#[must_use]
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it prints is added to `log`.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(command: &mut Command, log: &Path) -> Process {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Process { child, log: log.to_owned() }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Has it end in order, if it can: what it started is ended by it. For a test that is over, whatever came of it.
    pub fn end_quietly(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        for signal in [Signal::SIGCONT, Signal::SIGTERM] {
            let _ = signal::kill(pid, signal);
        }
        wait::poll(wait::SOON, || self.child.try_wait().unwrap_or_default());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After `limit`, with its log.
    #[track_caller]
    pub fn join(&mut self, limit: Duration) -> ExitStatus {
        match wait::poll(limit, || self.child.try_wait().unwrap()) {
            Some(status) => status,
            None => panic!("the process did not end within {limit:?}; its log:\n{}", tail(&self.log, 40)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a file.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
