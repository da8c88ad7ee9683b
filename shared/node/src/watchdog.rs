//! What a service manager is told (`sd_notify`): ready, stopping, and that the loop still turns.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Feeds the watchdog of a service manager, if there is one. Only a whole turn of the engine's loop feeds it: a loop that
/// hangs is restarted.
#[derive(Debug)]
pub(crate) struct Watchdog {
    every: Option<Duration>,
    fed: Instant,
}

impl Watchdog {
    /// Says that the node is ready, and learns how often it must be fed.
    pub(crate) fn ready() -> Self {
        tell(&[NotifyState::Ready]);
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Watchdog { every, fed: Instant::now() }
    }

    /// When the loop must have turned.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.every.map(|every| self.fed + every)
    }

    /// The loop has turned.
    pub(crate) fn turned(&mut self) {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            tell(&[NotifyState::Watchdog]);
            self.fed = Instant::now();
        }
    }
}

/// Says that the node is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
