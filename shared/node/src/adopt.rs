//! Tasks and time of whatever runtime the shell brought.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_lite::future;
use quinn::AsyncTimer;

use crate::shell::Shell;

/// An alarm that has rung and was not set since rings after this.
const REST: Duration = Duration::from_secs(3600);

/// Starts a task that nobody waits for, away from the engine.
pub(crate) fn spawn<Sh: Shell>(shell: &Sh, task: impl Future<Output = ()> + Send + 'static) {
    shell.spawn(Box::pin(task));
}

/// Waits until a moment.
pub(crate) async fn sleep_until<Sh: Shell>(shell: &Sh, until: Instant) {
    let mut timer = shell.runtime().new_timer(until);
    poll_fn(|cx| timer.as_mut().poll(cx)).await;
}

/// A timer that is set again and again, mostly to a later moment: it is left to ring too early then, for to move it costs
/// more than to look at the time once more.
pub(crate) struct Alarm {
    timer: Pin<Box<dyn AsyncTimer>>,
    at: Instant,
}

impl Alarm {
    pub(crate) fn new<Sh: Shell>(shell: &Sh, at: Instant) -> Self {
        Alarm { timer: shell.runtime().new_timer(at), at }
    }

    /// From now on it rings at this moment, or once before it.
    pub(crate) fn set(&mut self, at: Instant) {
        if at < self.at {
            self.move_to(at);
        }
    }

    fn move_to(&mut self, at: Instant) {
        self.at = at;
        self.timer.as_mut().reset(at);
    }

    /// Waits for it. After that it is to be set anew.
    pub(crate) async fn rings(&mut self) {
        poll_fn(|cx| self.timer.as_mut().poll(cx)).await;
        self.move_to(self.at + REST);
    }
}

/// The result of `work`, or nothing when it takes longer.
pub(crate) async fn timeout<Sh: Shell, T>(
    shell: &Sh,
    time: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let until = Instant::now() + time;
    future::or(async { Some(work.await) }, async {
        sleep_until(shell, until).await;
        None
    })
    .await
}
