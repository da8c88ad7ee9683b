//! The few things the driver wants from a runtime, on top of [`quinn::Runtime`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future;
use quinn::Runtime;

/// Locks, and goes on with what is there if a thread died while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A runtime, shared.
#[derive(Clone)]
pub(crate) struct Rt(Arc<dyn Runtime>);

impl fmt::Debug for Rt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rt")
    }
}

/// The time was up first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl Rt {
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Rt(runtime)
    }

    pub fn inner(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Starts a task that nobody waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(Box::pin(task));
    }

    pub async fn sleep(&self, time: Duration) {
        let mut timer = self.0.new_timer(self.now() + time);
        poll_fn(|cx| timer.as_mut().poll(cx)).await;
    }

    /// Runs `work`, at most for `time`.
    pub async fn timeout<T>(&self, time: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let late = async {
            self.sleep(time).await;
            Err(Elapsed)
        };
        future::or(async { Ok(work.await) }, late).await
    }
}

/// Something that happens once and stays so: "stop". Any number of tasks may wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    raise: Sender<()>,
    wait: Receiver<()>,
}

impl Signal {
    pub fn new() -> Self {
        let (raise, wait) = async_channel::bounded(1);
        Signal { raise, wait }
    }

    pub fn raise(&self) {
        self.raise.close();
    }

    pub fn is_raised(&self) -> bool {
        self.raise.is_closed()
    }

    pub async fn raised(&self) {
        // Nothing is ever sent: the channel only closes.
        while self.wait.recv().await.is_ok() {}
    }
}

/// A bell: rings that come while one is pending are one ring.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    ring: Sender<()>,
    hear: Receiver<()>,
}

impl Bell {
    pub fn new() -> Self {
        let (ring, hear) = async_channel::bounded(1);
        Bell { ring, hear }
    }

    pub fn ring(&self) {
        let _ = self.ring.try_send(());
    }

    pub async fn heard(&self) {
        let _ = self.hear.recv().await;
    }
}
