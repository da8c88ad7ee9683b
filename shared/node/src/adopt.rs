//! Tasks and time of whatever runtime the shell brought.

use std::future::{Future, poll_fn};
use std::time::{Duration, Instant};

use futures_lite::future;

use crate::shell::Shell;

/// Starts a task that nobody waits for.
pub(crate) fn spawn<Sh: Shell>(shell: &Sh, task: impl Future<Output = ()> + Send + 'static) {
    shell.runtime().spawn(Box::pin(task));
}

/// Waits until a moment.
pub(crate) async fn sleep_until<Sh: Shell>(shell: &Sh, until: Instant) {
    let mut timer = shell.runtime().new_timer(until);
    poll_fn(|cx| timer.as_mut().poll(cx)).await;
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
