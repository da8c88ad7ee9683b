//! The node's side: starts the keepers before the node enters its sandbox, then tells how Envoy is, and stops it.
//!
//! | file | subject |
//! |---|---|
//! | `launch` | the keepers as processes |
//! | `link` | the connection to the keeper in office |
//! | `task` | what is done about it all |

mod launch;
mod link;
mod task;

use std::time::SystemTime;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use launch::{Launched, launch};

use crate::line::{Level, LogLine};

/// How Envoy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being started, or does not answer on its admin socket yet.
    Starting,
    /// It runs and answers. Whether it has its configuration, [`crate::Admin::ready`] says.
    Running {
        /// Its process.
        pid: u32,
        /// Since when it runs. Before this node started: it was found again.
        since: SystemTime,
        /// How often it was started again.
        restarts: u64,
        /// As it says itself.
        version: String,
    },
    /// It ended, and is started again.
    Backoff {
        /// How it ended, with the last error that it told.
        why: String,
        /// When.
        until: SystemTime,
    },
    /// There is none, and there will be none until somebody does something.
    Missing {
        /// The reason, and what to do.
        why: String,
    },
}

/// How it ended when it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Asked,
    /// It did not listen in time, and was killed.
    Killed,
    /// There was none any more.
    NotThere,
}

/// Watches over an Envoy: [`Supervisor::start`].
pub struct Supervisor;

impl Supervisor {
    /// Goes on from [`launch`], inside a tokio runtime. `log` hears each line that Envoy writes; [`log_line`] is one.
    #[must_use]
    pub fn start(launched: Launched, log: impl FnMut(LogLine) + Send + 'static) -> Handle {
        let (sender, state) = watch::channel(State::Starting);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(task::Task::new(launched, sender, Box::new(log)).run(stopped));
        Handle { state, running: Some((stop, task)) }
    }
}

/// An Envoy that is watched over. If it is dropped, Envoy goes on until this process ends and for a while after.
#[derive(Debug)]
pub struct Handle {
    state: watch::Receiver<State>,
    running: Option<(oneshot::Sender<()>, JoinHandle<Ended>)>,
}

impl Handle {
    /// Where there is no Envoy to watch over: its state says why, and stays so.
    #[must_use]
    pub fn missing(why: impl ToString) -> Self {
        let state = watch::channel(State::Missing { why: why.to_string() }).1;
        Handle { state, running: None }
    }

    /// How Envoy is, now and whenever it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Ends Envoy and its keepers, within [`crate::Limits::STOP_PATIENCE`]. Its ports are free afterwards.
    pub async fn stop(self) -> Ended {
        let Some((stop, task)) = self.running else { return Ended::NotThere };
        let _ = stop.send(());
        task.await.unwrap_or(Ended::NotThere)
    }
}

/// Puts a line of Envoy into the log of the node.
pub fn log_line(line: LogLine) {
    let LogLine { level, logger, text } = line;
    match level {
        Level::Error => tracing::error!(logger, "envoy: {text}"),
        Level::Warn => tracing::warn!(logger, "envoy: {text}"),
        Level::Info => tracing::info!(logger, "envoy: {text}"),
        Level::Debug => tracing::debug!(logger, "envoy: {text}"),
    }
}
