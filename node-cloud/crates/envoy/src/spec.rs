//! What is run: the program, its arguments, its bootstrap.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bootstrap::{BootstrapSpec, print_bootstrap};
use crate::error::EnvoyError;
use crate::find::Found;
use crate::limits::Limits;
use crate::line::FORMAT;
use crate::place::Place;

/// An Envoy to be run.
#[derive(Clone, Debug)]
pub struct EnvoySpec {
    /// The program.
    pub found: Found,
    /// Its files and sockets.
    pub place: Place,
    /// What it knows at first.
    pub bootstrap: BootstrapSpec,
    /// Worker threads. `None`: one for each processor.
    pub concurrency: Option<u32>,
    /// Envoy's own log level, in its words: `warning` unless a fault is looked for.
    pub log_level: &'static str,
    /// How long Envoy goes on without a node: what a restarted node has to come back before its Envoy is ended.
    pub away: Duration,
}

impl EnvoySpec {
    /// With what is usual.
    #[must_use]
    pub fn new(found: Found, place: Place, bootstrap: BootstrapSpec) -> Self {
        EnvoySpec { found, place, bootstrap, concurrency: None, log_level: "warning", away: Limits::AWAY }
    }

    pub(crate) fn run(&self) -> Result<Run, EnvoyError> {
        let program = self.found.program.clone();
        let about = fs::metadata(&program).map_err(|why| EnvoyError::File { path: program.clone(), why })?;
        Ok(Run {
            build: (about.dev(), about.ino(), about.size(), about.mtime(), about.mtime_nsec()),
            program,
            place: self.place.clone(),
            bootstrap: print_bootstrap(&self.bootstrap),
            arguments: self.arguments(),
            sockets: vec![self.bootstrap.admin_socket.clone()],
            away: self.away,
        })
    }

    fn arguments(&self) -> Vec<String> {
        let mut all: Vec<String> =
            vec!["-c".to_owned(), self.place.bootstrap().to_string_lossy().into_owned()];
        all.extend(FIXED.map(str::to_owned));
        all.extend(["--log-format", FORMAT, "--log-level", self.log_level].map(str::to_owned));
        if let Some(threads) = self.concurrency {
            all.extend(["--concurrency".to_owned(), threads.to_string()]);
        }
        all
    }
}

/// What each start says.
const FIXED: [&str; 9] = [
    // A field that this Envoy does not know would be a rule that does not hold.
    "--reject-unknown-dynamic-fields",
    // What is taken away ends at once: a withdrawn grant cuts its flows.
    "--drain-time-s",
    "0",
    "--drain-strategy",
    "immediate",
    // Shared memory that two Envoys of one machine would meet in.
    "--disable-hot-restart",
    // A line of the log is one line, whatever strangers send.
    "--log-format-escaped",
    // Of the access log: who looks for a request that was just made must not wait for ten seconds.
    "--file-flush-interval-msec",
    "1000",
];

/// The same, as it goes to the keeper. Two that are equal run the same Envoy: one can be adopted for the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) program: PathBuf,
    /// Which file that is: device, inode, size, time of change.
    build: (u64, u64, u64, i64, i64),
    pub(crate) place: Place,
    pub(crate) bootstrap: String,
    pub(crate) arguments: Vec<String>,
    /// What Envoy binds and may leave behind.
    pub(crate) sockets: Vec<PathBuf>,
    pub(crate) away: Duration,
}
