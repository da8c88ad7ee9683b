//! Handles: of a connection, and of the two halves of a stream.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::state::State;
use crate::code;
use crate::end::{ConnEnd, HalfEnd};
use crate::rt::{Signal, lock};

/// What the handles and the driver share.
pub(super) struct Mux {
    pub state: Mutex<State>,
    pub remote: SocketAddr,
    /// The connection is over.
    pub over: Signal,
}

/// The last handle closes the connection, as the last of quinn's does.
struct Last(Arc<Mux>);

impl Drop for Last {
    fn drop(&mut self) {
        lock(&self.0.state).close_with(ConnEnd::Local, code_of(code::CLOSED), b"");
    }
}

/// A connection; cheap to share.
#[derive(Clone)]
pub(crate) struct MuxConnection(Arc<Last>);

impl fmt::Debug for MuxConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MuxConnection({})", self.0.0.remote)
    }
}

fn code_of(code: quinn::VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}

impl MuxConnection {
    pub(super) fn new(mux: Arc<Mux>) -> Self {
        MuxConnection(Arc::new(Last(mux)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.0.state)
    }

    /// Tells it from all others that are there at the same time.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub fn remote(&self) -> SocketAddr {
        self.0.0.remote
    }

    pub fn close(&self, code: quinn::VarInt, reason: &[u8]) {
        self.state().close_with(ConnEnd::Local, code_of(code), reason);
    }

    pub fn end(&self) -> Option<ConnEnd> {
        self.state().end().cloned()
    }

    pub async fn closed(&self) {
        self.0.0.over.raised().await;
    }

    /// Grows with everything that comes.
    pub fn heard(&self) -> u64 {
        self.state().heard()
    }

    /// Makes the peer answer.
    pub fn ping(&self) {
        self.state().ping();
    }

    pub fn set_streams(&self, most: u32) {
        self.state().set_streams(most);
    }

    /// Waits until the peer lets this side open another.
    pub async fn open(&self) -> Result<(MuxSend, MuxRecv), HalfEnd> {
        poll_fn(|cx| self.state().poll_open(cx)).await.map(|id| self.halves(id))
    }

    /// Waits for the peer to open one.
    pub async fn accept(&self) -> Result<(MuxSend, MuxRecv), HalfEnd> {
        poll_fn(|cx| self.state().poll_accept(cx)).await.map(|id| self.halves(id))
    }

    fn halves(&self, id: u32) -> (MuxSend, MuxRecv) {
        let send = MuxSend { connection: self.clone(), id, over: false };
        (send, MuxRecv { connection: self.clone(), id, over: false })
    }
}

/// The sending half. Dropped before it has ended, it is reset.
#[derive(Debug)]
pub(crate) struct MuxSend {
    connection: MuxConnection,
    id: u32,
    over: bool,
}

impl MuxSend {
    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalfEnd>> {
        self.connection.state().poll_write(self.id, cx, bytes)
    }

    pub fn poll_stopped(&self, cx: &Context<'_>) -> Poll<Result<u64, HalfEnd>> {
        self.connection.state().poll_stopped(self.id, cx)
    }

    pub fn finish(&mut self) {
        self.over = true;
        self.connection.state().finish(self.id);
    }

    pub fn reset(&mut self, code: quinn::VarInt) {
        self.over = true;
        self.connection.state().reset(self.id, code_of(code));
    }
}

impl Drop for MuxSend {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        if !self.over {
            state.reset(self.id, 0);
        }
        state.drop_half(self.id);
    }
}

/// The receiving half. Dropped before it has ended, the peer is told to stop.
#[derive(Debug)]
pub(crate) struct MuxRecv {
    connection: MuxConnection,
    id: u32,
    over: bool,
}

impl MuxRecv {
    pub fn poll_read(&mut self, cx: &Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, HalfEnd>> {
        let read = self.connection.state().poll_read(self.id, cx, most);
        self.over |= matches!(read, Poll::Ready(Ok(None) | Err(_)));
        read
    }

    pub fn stop(&mut self, code: quinn::VarInt) {
        if !std::mem::replace(&mut self.over, true) {
            self.connection.state().stop(self.id, code_of(code));
        }
    }
}

impl Drop for MuxRecv {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        if !self.over {
            state.stop(self.id, 0);
        }
        state.drop_half(self.id);
    }
}
