//! A flow as a byte stream, for code that reads what passes instead of pumping it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use catalyst_tunnel::Refusal;
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::control::FlowControl;
use crate::end::HalfEnd;
use crate::flow::FlowStream;
use crate::standing::Taken;

/// A flow that can be read and written like a socket. Closing it ends its own half; dropped before, it is a reset.
#[derive(Debug)]
pub struct FlowIo {
    flow: FlowStream,
    /// Received, but not asked for yet.
    rest: Bytes,
}

impl FlowIo {
    /// At its first byte. Whoever reads says in `control` how many bytes were handed on.
    #[must_use]
    pub fn new(flow: FlowStream, control: &Arc<FlowControl>) -> Self {
        if let Some(mark) = &flow.mark {
            mark.meter(control, Taken::Down, None);
        }
        FlowIo { flow, rest: Bytes::new() }
    }

    /// Nobody reads, for nothing more is to come: until the next read it holds up nobody.
    pub fn rests(&self) {
        self.flow.waits(true);
    }

    /// The flow, and what was received of it and not read.
    #[must_use]
    pub fn into_parts(self) -> (FlowStream, Bytes) {
        (self.flow, self.rest)
    }
}

/// What a reset says, as an error of a socket.
fn broken(end: &HalfEnd) -> io::Error {
    let why = match end {
        HalfEnd::Peer(code) => Refusal::from_reset(*code).to_string(),
        other => other.to_string(),
    };
    io::Error::new(io::ErrorKind::ConnectionReset, why)
}

impl AsyncRead for FlowIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            let mut chunk = [Bytes::new()];
            let read = this.flow.recv.poll_read_chunks(cx, &mut chunk, into.len());
            this.flow.waits(read.is_pending());
            let read = ready!(read).map_err(|e| broken(&e))?;
            if read.is_none() {
                return Poll::Ready(Ok(0));
            }
            let [chunk] = chunk;
            this.rest = chunk;
        }
        let taken = this.rest.len().min(into.len());
        this.rest.copy_to_slice(into.get_mut(..taken).unwrap_or_default());
        Poll::Ready(Ok(taken))
    }
}

impl AsyncWrite for FlowIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().flow.send.poll_write(cx, bytes).map_err(|e| broken(&e))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flow = &mut self.get_mut().flow;
        // Fails only when the peer wants nothing more, which it tells the reader.
        let _ = flow.send.finish();
        flow.ended = true;
        Poll::Ready(Ok(()))
    }
}
