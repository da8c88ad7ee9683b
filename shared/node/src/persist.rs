//! A thread of its own for the disk, so that the engine never waits for it.
//!
//! What the disk does not take (it is full, it fails) is in force all the same, so it is *owed*: kept in order, tried again
//! every [`Limits::OWED_RETRY`], before each newer change and when the node stops. `status` shows what is owed.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Instant;

use async_channel::{Receiver, Sender, TrySendError, bounded};
use catalyst_store::Store;

use crate::admin::OwedRow;
use crate::error::NodeError;
use crate::limits::Limits;
use crate::write::Write;

mod desk;

use desk::Desk;

/// Why a change that is in force is not on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// For now: it is tried again.
    Owed(String),
    /// For good: it breaks a limit of the store, or nobody writes any more.
    Lost(String),
}

impl Unwritten {
    /// In words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Unwritten::Owed(why) | Unwritten::Lost(why) => why,
        }
    }
}

enum Job {
    Write(Write, Sender<Result<(), Unwritten>>),
    /// The last one: tries what is owed once more, and answers what was lost.
    End(Sender<Vec<String>>),
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Persist {
    jobs: Sender<Job>,
    owed: Owed,
}

/// What is not on the disk, as the thread last saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owed(Arc<Mutex<Option<State>>>);

#[derive(Clone, Debug)]
struct State {
    changes: usize,
    since: Instant,
    why: String,
    folder: PathBuf,
    free: Option<u64>,
}

impl Owed {
    fn set(&self, state: Option<State>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The row of `status`; `None` when all is on the disk.
    pub(crate) fn row(&self) -> Option<OwedRow> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.as_ref().map(|state| OwedRow {
            changes: state.changes,
            since_s: state.since.elapsed().as_secs(),
            why: state.why.clone(),
            folder: state.folder.display().to_string(),
            free_bytes: state.free,
        })
    }
}

impl Persist {
    /// Starts the thread; it ends when the last handle is gone. `folder` is where the state is; `owing` what was owed
    /// before, and why.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        folder: &Path,
        owing: Option<(Write, String)>,
    ) -> Result<Self, NodeError> {
        let (jobs, waiting): (Sender<Job>, Receiver<Job>) = bounded(Limits::WRITES);
        let owed = Owed::default();
        let desk = Desk::new(store, folder, owed.clone(), owing);
        thread::Builder::new()
            .name("store".to_string())
            .stack_size(256 * 1024)
            .spawn(move || work(desk, &waiting))
            .map_err(|e| NodeError::Failed(format!("cannot start a thread: {e}")))?;
        Ok(Persist { jobs, owed })
    }

    /// What is not on the disk.
    pub(crate) fn owed(&self) -> Owed {
        self.owed.clone()
    }

    /// Writes a change; its result comes when it is on the disk, or when that failed. It has its place in the queue when this
    /// returns, before anybody waits: changes reach the disk in the order in which they took effect. (But for those that
    /// find the queue full, whose place is the one that they get when there is room.)
    pub(crate) fn write(&self, write: Write) -> impl Future<Output = Result<(), Unwritten>> + Send + 'static {
        let (done, result) = bounded(1);
        let jobs = self.jobs.clone();
        let placed = jobs.try_send(Job::Write(write, done));
        async move {
            let gone = || {
                Unwritten::Lost("the thread that writes the state has ended; restart the node".to_string())
            };
            match placed {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => jobs.send(job).await.map_err(|_| gone())?,
                Err(TrySendError::Closed(_)) => return Err(gone()),
            }
            drop(jobs);
            result.recv().await.map_err(|_| gone())?
        }
    }

    /// Tries what is owed a last time and ends the thread. Answers the changes that are lost, by name.
    pub(crate) async fn end(&self) -> Vec<String> {
        let (done, result) = bounded(1);
        // A thread that is gone has told why.
        let _ = self.jobs.send(Job::End(done)).await;
        result.recv().await.unwrap_or_default()
    }
}

fn work(mut desk: Desk, waiting: &Receiver<Job>) {
    loop {
        let job = match desk.due() {
            None => waiting.recv_blocking().ok().map(Some),
            Some(due) => next(waiting, due),
        };
        match job {
            // Nobody asks any more.
            None => return,
            Some(None) => desk.again(),
            // The asker may have gone away; the write counts all the same.
            Some(Some(Job::Write(write, done))) => drop(done.try_send(desk.take(write))),
            Some(Some(Job::End(done))) => {
                // What is sent from now on is refused; what was sent before is written, and nobody waits for ever.
                waiting.close();
                while let Ok(job) = waiting.try_recv() {
                    if let Job::Write(write, done) = job {
                        let _ = done.try_send(desk.take(write));
                    }
                }
                let _ = done.try_send(desk.end());
                return;
            }
        }
    }
}

/// Wakes the thread that waits for a job.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The next job; `Some(None)` when there is none until then, `None` when there will be no more.
fn next(waiting: &Receiver<Job>, due: Instant) -> Option<Option<Job>> {
    let mut job = pin!(waiting.recv());
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        if let Poll::Ready(job) = job.as_mut().poll(&mut Context::from_waker(&waker)) {
            return job.ok().map(Some);
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Some(None);
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests;
