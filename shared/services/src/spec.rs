//! What the configuration says of a service that is run or checked.

use crate::frame::Program;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its label.
    pub name: String,
    /// The program that is the service, if this node runs it.
    pub run: Option<Run>,
    /// How it is checked, if it is.
    pub check: Option<Check>,
}

impl Spec {
    /// The programs that it needs: of the service, and of its check.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        let check = self.check.as_ref().and_then(|check| match &check.probe {
            Probe::Exec(program) => Some(program),
            Probe::Net => None,
        });
        self.run.as_ref().map(|run| &run.program).into_iter().chain(check)
    }
}

/// A program that is kept running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The program.
    pub program: Program,
    /// Milliseconds from SIGTERM to SIGKILL.
    pub grace_ms: u32,
    /// Whether it is started again.
    pub restart: Restart,
}

/// When a program that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// However it ended.
    Always,
    /// Unless it ended with exit code 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Who makes it.
    pub probe: Probe,
    /// Milliseconds between two.
    pub interval_ms: u32,
    /// Milliseconds that one may take.
    pub timeout_ms: u32,
    /// Successes that make the service healthy again.
    pub rise: u32,
    /// Failures that make it unhealthy.
    pub fall: u32,
}

/// Who makes a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The node, over the network.
    Net,
    /// The supervisor, with this program.
    Exec(Program),
}
