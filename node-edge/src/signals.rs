//! The signals that stop the node.

use std::io;
use std::os::unix::net::UnixStream;

use catalyst_reactor::{OneThread, Source, Stream};
use futures_lite::AsyncReadExt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// SIGTERM and SIGINT, from now on.
pub struct StopSignals(Stream<UnixStream>);

impl StopSignals {
    /// Has them written to a socket of ours instead of ending the process.
    pub fn new(runtime: &OneThread) -> io::Result<Self> {
        let (hear, say) = UnixStream::pair()?;
        pipe::register(SIGTERM, say.try_clone()?)?;
        pipe::register(SIGINT, say)?;
        hear.set_nonblocking(true)?;
        Ok(StopSignals(Stream(Source::new(runtime.reactor(), hear)?)))
    }

    /// Waits for one of them. A socket that broke is a reason to stop as well.
    pub async fn stop(mut self) {
        let _ = self.0.read(&mut [0]).await;
    }
}
