//! Runtimes: one thread for a command, all processors for the node.

use std::io;
use std::num::NonZero;

use catalyst_node::NodeError;
use tokio::runtime::{Builder, Runtime};

/// For a command that speaks to another node.
pub fn small() -> Result<Runtime, NodeError> {
    Builder::new_current_thread().enable_all().build().map_err(failed)
}

/// For the node.
pub fn large(threads: usize) -> Result<Runtime, NodeError> {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(failed)
}

/// As many as may run at a time. To be asked before the sandbox is entered: the files that tell of it cannot be read inside.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What a person reads of it.
pub fn failed(error: io::Error) -> NodeError {
    NodeError::Failed(format!("cannot start the runtime: {error}"))
}
