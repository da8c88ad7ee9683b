//! The task of a connection: bytes from TLS into the state, bytes from the state into TLS.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use super::state::{State, Windows};
use super::stream::{Mux, MuxConnection};
use crate::code;
use crate::end::ConnEnd;
use crate::rt::{Rt, Signal, lock};
use crate::tls::{TlsStream, explain};

/// Reads, of a record each, before others get their turn.
const TURNS: usize = 16;

/// Starts the task of a connection whose handshake is done. `close` is how long it may take to say goodbye.
pub(crate) fn start(
    rt: &Rt,
    tls: TlsStream,
    remote: SocketAddr,
    dialled: bool,
    windows: Windows,
    close: Duration,
) -> MuxConnection {
    let state = Mutex::new(State::new(dialled, windows));
    let mux = Arc::new(Mux { state, remote, over: Signal::new() });
    let (own, late) = (Arc::clone(&mux), rt.clone());
    rt.spawn(async move {
        let mut driver = Driver { mux: &own, tls, output: Vec::new(), sent: 0 };
        let end = poll_fn(|cx| driver.poll(cx)).await;
        lock(&own.state).close(end);
        own.over.raise();
        // It ends by itself when the peer takes it, and for good when it does not.
        let _ = late.timeout(close, driver.goodbye()).await;
    });
    MuxConnection::new(mux)
}

struct Driver<'a> {
    mux: &'a Mux,
    tls: TlsStream,
    /// Taken from the state, not from us by TLS yet.
    output: Vec<u8>,
    sent: usize,
}

impl Driver<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnEnd> {
        if let Some(end) = lock(&self.mux.state).end() {
            return Poll::Ready(end.clone());
        }
        let read = self.poll_read(cx);
        // What was read may have made something to say; what is to be said may wake nobody else.
        if let Poll::Ready(Err(e)) = self.poll_write(cx) {
            return Poll::Ready(failed(&e));
        }
        read
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<ConnEnd> {
        for _ in 0..TURNS {
            match self.tls.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(failed(&e)),
                Poll::Ready(Ok(false)) => {
                    return Poll::Ready(ConnEnd::Failed("the peer ended TLS without a word".to_owned()));
                }
                Poll::Ready(Ok(true)) => {}
            }
            let plain = self.tls.plain();
            let len = plain.len();
            let mut state = lock(&self.mux.state);
            if let Err(broken) = state.receive(plain) {
                let text = format!("multiplexer: {broken}");
                state.close_with(ConnEnd::Failed(text.clone()), broken_code(), text.as_bytes());
                return Poll::Ready(ConnEnd::Failed(text));
            }
            if let Some(end) = state.end() {
                return Poll::Ready(end.clone());
            }
            drop(state);
            self.tls.consume(len);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.sent == self.output.len() {
                let mut state = lock(&self.mux.state);
                state.wait_for_output(cx);
                (self.output, self.sent) = (state.take_output(), 0);
                drop(state);
                if self.output.is_empty() {
                    return self.tls.poll_flush(cx);
                }
            }
            let left = self.output.get(self.sent..).unwrap_or_default();
            match self.tls.poll_write(cx, left)? {
                Poll::Ready(taken) => self.sent += taken,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    async fn goodbye(&mut self) {
        let written = poll_fn(|cx| self.poll_write(cx)).await;
        if written.is_ok() {
            // The peer is gone already, if this fails.
            let _ = self.tls.close().await;
        }
    }
}

fn broken_code() -> u32 {
    u32::try_from(code::PROTOCOL.into_inner()).unwrap_or_default()
}

fn failed(error: &io::Error) -> ConnEnd {
    ConnEnd::Failed(explain(error))
}
