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

/// So many as were asked for, or as may run at a time. To be asked before the sandbox is entered: the files that tell of it
/// cannot be read inside.
pub fn threads(wanted: Option<u32>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, NonZero::get);
    wanted.and_then(|n| usize::try_from(n).ok()).unwrap_or_else(all)
}

/// What a person reads of it.
pub fn failed(error: io::Error) -> NodeError {
    NodeError::Failed(format!("cannot start the runtime: {error}"))
}

/// From now on Ctrl-C and SIGTERM end the program as if it were done: for a command that goes on until somebody has seen
/// enough. Without a thread for it they end it as ever.
pub fn interrupt_ends() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = || {
        let Ok(runtime) = small() else { return };
        runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
            let [Ok(mut interrupt), Ok(mut end)] = kinds.map(signal) else { return };
            futures_lite::future::or(interrupt.recv(), end.recv()).await;
            // Whole lines only: none is half written while this holds the lock.
            let _out = io::stdout().lock();
            std::process::exit(0);
        });
    };
    let _ = std::thread::Builder::new().name("interrupts".to_string()).spawn(wait);
}
