//! How a local service is run and checked, as the nodes use it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A program that the node starts and keeps running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// `NAME=VALUE`, beside the variables of the node.
    pub env: Variables,
    /// Where it runs.
    pub directory: PathBuf,
    /// When it is started again.
    pub restart: Restart,
    /// Milliseconds from SIGTERM to SIGKILL.
    pub stop_grace_ms: u32,
}

/// Environment variables, each `NAME=VALUE`. The values may be secrets: only the names are ever shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(pub Vec<String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().filter_map(|v| v.split('=').next())).finish()
    }
}

/// When a program that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// Unless it ended with exit code 0.
    OnFailure,
    /// Not at all.
    Never,
}

impl Restart {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        }
    }
}

impl FromStr for Restart {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "always" => Ok(Restart::Always),
            "on-failure" => Ok(Restart::OnFailure),
            "never" => Ok(Restart::Never),
            _ => Err(()),
        }
    }
}

/// How the node finds out whether a service works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is tried.
    pub kind: CheckKind,
    /// Milliseconds between two checks.
    pub interval_ms: u32,
    /// Milliseconds that one may take.
    pub timeout_ms: u32,
    /// Successes that make it healthy again.
    pub rise: u32,
    /// Failures that make it unhealthy.
    pub fall: u32,
}

/// What a check tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A connection to the target.
    Tcp,
    /// A GET at the target; 2xx and 3xx are good.
    Http {
        /// Begins with a slash.
        path: String,
    },
    /// A program; exit code 0 is good.
    Exec {
        /// The program and its arguments; never empty.
        command: Vec<String>,
        /// Of the service's `run`.
        env: Variables,
        /// Of the service's `run`, else the folder of the file.
        directory: PathBuf,
    },
}
