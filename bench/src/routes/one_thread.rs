//! A runtime on one thread of its own, so that what is measured is the node and not how those who measure find each other.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Result;
use async_channel::{Sender, bounded};
use tokio::runtime::{Builder, Handle};

/// Ends with the last who holds it, and all that runs on it.
pub struct OneThread {
    /// To put something on it.
    pub handle: Handle,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OneThread {
    /// Starts it.
    pub fn start() -> Result<Arc<OneThread>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = bounded::<()>(1);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                // An error: whoever would say it has gone.
                let _ = stopped.recv().await;
            });
        });
        Ok(Arc::new(OneThread { handle, stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}
