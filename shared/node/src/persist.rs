//! A thread of its own for the disk, so that the engine never waits for it.

use std::sync::Arc;

use async_channel::{Receiver, Sender, bounded};
use catalyst_store::Store;

use crate::error::NodeError;
use crate::write::Write;

/// Changes that wait for the disk. When full: the asker of the next one waits, not the engine.
const WAITING: usize = 64;

type Job = (Write, Sender<Result<(), String>>);

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Persist {
    jobs: Sender<Job>,
}

impl Persist {
    /// Starts the thread; it ends when the last handle is gone.
    pub(crate) fn start(store: Arc<dyn Store>) -> Result<Self, NodeError> {
        let (jobs, waiting): (Sender<Job>, Receiver<Job>) = bounded(WAITING);
        std::thread::Builder::new()
            .name("store".to_string())
            .stack_size(256 * 1024)
            .spawn(move || {
                while let Ok((write, done)) = waiting.recv_blocking() {
                    let result = write.run(&*store);
                    // The asker may have gone away; the write counts all the same.
                    let _ = done.try_send(result);
                }
            })
            .map_err(|e| NodeError::Failed(format!("cannot start a thread: {e}")))?;
        Ok(Persist { jobs })
    }

    /// Writes a change; its result comes when it is on the disk.
    pub(crate) async fn write(&self, write: Write) -> Result<(), String> {
        let (done, result) = bounded(1);
        let gone = || "the thread that writes the state has ended; restart the node".to_string();
        self.jobs.send((write, done)).await.map_err(|_| gone())?;
        result.recv().await.map_err(|_| gone())?
    }
}
