//! What a service manager is told (`sd_notify(3)`): ready, how the node is, stopping, and that the loop still turns.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The least time between two lines about how the node is.
const QUIET: Duration = Duration::from_secs(1);

/// Feeds the watchdog of a service manager, if there is one, and tells it how the node is. Only a whole turn of the
/// engine's loop does either: a loop that hangs is restarted.
#[derive(Debug)]
pub(crate) struct Watchdog {
    feeding: Feeding,
    /// `None` where there is no service manager.
    status: Option<Said>,
}

impl Watchdog {
    /// Says that the node is ready, and learns how often it must be fed.
    pub(crate) fn ready() -> Self {
        tell(&[NotifyState::Ready]);
        let now = Instant::now();
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        let managed = std::env::var_os("NOTIFY_SOCKET").is_some();
        Watchdog { feeding: Feeding { every, fed: now }, status: managed.then(Said::default) }
    }

    /// When the loop must have turned.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.feeding.due().into_iter().chain(self.status.as_ref().and_then(Said::due)).min()
    }

    /// The loop has turned. `words` says how the node is, if it is wanted.
    pub(crate) fn turned(&mut self, words: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.feeding.turned(now) {
            tell(&[NotifyState::Watchdog]);
        }
        if let Some(line) = self.status.as_mut().and_then(|said| said.turned(now, words)) {
            tell(&[NotifyState::Status(line)]);
        }
    }
}

/// When the watchdog is fed: by a turn, if half of its time has passed.
#[derive(Debug)]
struct Feeding {
    every: Option<Duration>,
    fed: Instant,
}

impl Feeding {
    fn due(&self) -> Option<Instant> {
        self.every.map(|every| self.fed + every)
    }

    fn turned(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.fed = now;
        }
        due
    }
}

/// The line that was said last. A burst of changes makes one line, and its end is never left unsaid.
#[derive(Debug, Default)]
struct Said {
    line: String,
    at: Option<Instant>,
    /// A turn came too early for a line.
    pending: bool,
}

impl Said {
    fn due(&self) -> Option<Instant> {
        self.at.filter(|_| self.pending).map(|at| at + QUIET)
    }

    fn turned(&mut self, now: Instant, words: impl FnOnce() -> String) -> Option<&str> {
        self.pending = self.at.is_some_and(|at| now < at + QUIET);
        if self.pending {
            return None;
        }
        let line = words();
        self.at = Some(now);
        if line == self.line {
            return None;
        }
        self.line = line;
        Some(&self.line)
    }
}

/// Says that the node is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: sessions and local services end in order")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_but_a_turn_feeds_and_none_too_early() {
        let start = Instant::now();
        let mut feeding = Feeding { every: Some(100 * MS), fed: start };
        assert!(!feeding.turned(start + 99 * MS));
        // The loop hung for ten times that: it is fed once when it turns again, not for the time that it missed.
        assert!(feeding.turned(start + 1_000 * MS));
        assert!(!feeding.turned(start + 1_000 * MS));
        assert_eq!(feeding.due(), Some(start + 1_100 * MS));
        let mut never = Feeding { every: None, fed: start };
        assert!(!never.turned(start + 1_000_000 * MS) && never.due().is_none());
    }

    #[test]
    fn a_burst_makes_one_line_and_the_last_word_is_said() {
        let start = Instant::now();
        let mut said = Said::default();
        assert_eq!(said.turned(start, || "one".into()), Some("one"));
        for n in 1..900 {
            assert_eq!(said.turned(start + n * MS, || unreachable!("nobody would hear it")), None);
        }
        let due = said.due().unwrap();
        assert_eq!(due, start + QUIET);
        assert_eq!(said.turned(due, || "two".into()), Some("two"));
        assert_eq!(said.due(), None, "a loop with nothing to say is not woken");
        assert_eq!(said.turned(due + QUIET, || "two".into()), None, "nothing is said twice");
        assert_eq!(said.due(), None);
    }
}
