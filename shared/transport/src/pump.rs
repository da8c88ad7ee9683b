//! Joins a local socket with a flow: both ways, half-close and reset carried through.
//!
//! A connection that is idle holds no buffer. Towards the peer, one buffer of the thread is filled when the
//! socket is readable, and only what QUIC does not take at once is kept. From the peer, the received chunks
//! themselves are handed to the socket, many in one call.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use catalyst_tunnel::Refusal;
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::conn::Stopped;
use crate::control::FlowControl;
use crate::end::HalfEnd;
use crate::flow::FlowStream;
use crate::held::Share;
use crate::standing::Taken;

/// A local socket. `poll_close` must shut down the writing half, and that half alone.
pub trait LocalStream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes dropping the socket a reset instead of an orderly end (`SO_LINGER` of zero, RFC 9293 section 3.10.5).
    fn abort(&mut self);
}

impl LocalStream for Box<dyn LocalStream> {
    fn abort(&mut self) {
        (**self).abort();
    }
}

/// How a flow ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PumpEnd {
    /// Both sides ended their half in order.
    Finished,
    /// The local socket failed; the peer was told by a reset.
    LocalReset(io::ErrorKind),
    /// The peer reset the flow, for this reason; so was the local socket.
    PeerReset(Refusal),
    /// This node cut the flow; both sides were reset.
    Cut(Refusal),
    /// The data connection is gone; the local socket was reset.
    Lost(String),
    /// Packets alone: none has passed for as long as the flow may be idle.
    Idle,
}

/// Size of the buffer of each thread.
const BUFFER: usize = 64 * 1024;
/// Read no more than this after QUIC took less than it was offered: the rest has to be kept.
const CAUTIOUS: usize = 4 * 1024;
/// Chunks that are handed to the socket in one call.
const CHUNKS: usize = 32;
/// Turns of one direction before others get theirs.
const TURNS: usize = 16;

thread_local! {
    /// Taken out while in use, so that nothing can go wrong if it is asked for twice.
    static SHARED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the buffer of the thread: long enough for every packet.
pub fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    with_space(BUFFER, work)
}

/// Lends so many bytes of it, at most [`BUFFER`]. A thread whose flows carry little keeps little.
fn with_space<T>(len: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SHARED.take();
    if buffer.len() < len {
        drop(buffer);
        buffer = vec![0; len];
    }
    let done = work(buffer.get_mut(..len).unwrap_or_default());
    SHARED.set(buffer);
    done
}

/// Copies until both halves have ended or one breaks.
pub fn pump<L: LocalStream>(local: L, flow: FlowStream, control: Arc<FlowControl>) -> Pump<L> {
    if let Some(mark) = &flow.mark {
        mark.meter(&control, Taken::Down, None);
    }
    let (up, down) = (Up::new(control.share()), Down::new(control.share()));
    Pump { local, flow, control, up, down }
}

/// A flow on its way; resolves to how it ended. It is to be dropped then: what broke is reset by that. A future by
/// hand, as there are thousands of them: one that the compiler makes holds its arguments twice.
pub struct Pump<L> {
    local: L,
    flow: FlowStream,
    control: Arc<FlowControl>,
    up: Up,
    down: Down,
}

impl<L> fmt::Debug for Pump<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pump({:?})", self.flow)
    }
}

impl<L: LocalStream> Future for Pump<L> {
    type Output = PumpEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PumpEnd> {
        let this = self.get_mut();
        let end = ready!(this.poll_both(cx));
        if end != PumpEnd::Finished {
            this.local.abort();
            this.flow.on_drop = if let PumpEnd::Cut(why) = &end { *why } else { Refusal::Aborted };
        }
        Poll::Ready(end)
    }
}

/// From the local socket to the peer.
struct Up {
    /// Read, but not taken by QUIC yet.
    rest: Bytes,
    /// How much to read at once.
    appetite: usize,
    done: bool,
    /// Watched when nothing else would tell that the peer does not read any more.
    stopped: Option<Stopped>,
    share: Share,
}

impl Up {
    fn new(share: Share) -> Self {
        Up { rest: Bytes::new(), appetite: BUFFER / 4, done: false, stopped: None, share }
    }
}

/// From the peer to the local socket.
struct Down {
    /// Received, but not taken by the socket yet.
    rest: VecDeque<Bytes>,
    unflushed: bool,
    /// The socket takes no more, and more has come behind what is kept.
    behind: bool,
    /// The peer has ended its half.
    ended: bool,
    done: bool,
    share: Share,
}

impl Down {
    fn new(share: Share) -> Self {
        Down { rest: VecDeque::new(), unflushed: false, behind: false, ended: false, done: false, share }
    }

    /// The socket takes no more for now: what is kept is copied out of the packets it came in, which may be much
    /// larger than what is left of them.
    fn settle(&mut self) {
        let bytes = self.rest.iter().map(Bytes::len).sum();
        if self.rest.len() > 1 || bytes > self.share.bytes() {
            let mut whole = Vec::with_capacity(bytes);
            self.rest.iter().for_each(|chunk| whole.extend_from_slice(chunk));
            self.rest = VecDeque::from([Bytes::from(whole)]);
        }
        self.share.set(bytes);
    }
}

/// What a direction does when it cannot go on: `Ok` when it has ended in order.
type Step = Poll<Result<(), PumpEnd>>;

impl<L: LocalStream> Pump<L> {
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<PumpEnd> {
        if let Some(why) = self.control.poll_cut(cx) {
            return Poll::Ready(PumpEnd::Cut(why));
        }
        // Each in its turn: one that waits does not keep the other from going on.
        for step in [self.poll_up(cx), self.poll_down(cx)] {
            if let Poll::Ready(Err(end)) = step {
                return Poll::Ready(end);
            }
        }
        match (self.up.done, self.down.done) {
            (true, true) => Poll::Ready(PumpEnd::Finished),
            (false, true) => self.poll_stopped(cx),
            _ => Poll::Pending,
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Step {
        for _ in 0..TURNS {
            if self.up.done {
                return Poll::Ready(Ok(()));
            }
            if self.up.rest.is_empty() {
                ready!(self.poll_read_local(cx))?;
            } else {
                let mut chunk = [std::mem::take(&mut self.up.rest)];
                let written = self.flow.send.poll_write_chunks(cx, &mut chunk);
                let [rest] = chunk;
                self.up.rest = rest;
                self.control.add_up(ready!(written).map_err(peer_ended)?);
                self.up.share.set(self.up.rest.len());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once into the thread's buffer and offers it to QUIC.
    fn poll_read_local(&mut self, cx: &mut Context<'_>) -> Step {
        let appetite = self.up.share.appetite(self.up.appetite).min(BUFFER);
        with_space(appetite, |space| self.poll_read_into(cx, space))
    }

    fn poll_read_into(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Step {
        let read = ready!(Pin::new(&mut self.local).poll_read(cx, space)).map_err(|e| local_ended(&e))?;
        if read == 0 {
            // Fails only if the peer has stopped the stream, which poll_stopped or the other half will see.
            let _ = self.flow.send.finish();
            (self.flow.ended, self.up.done) = (true, true);
            return Poll::Ready(Ok(()));
        }
        let data = space.get(..read).unwrap_or_default();
        let taken = match self.flow.send.poll_write(cx, data) {
            Poll::Ready(Ok(taken)) => taken,
            Poll::Ready(Err(e)) => return Poll::Ready(Err(peer_ended(e))),
            Poll::Pending => 0,
        };
        self.control.add_up(taken);
        if taken < read {
            self.up.appetite = CAUTIOUS;
        } else if read == space.len() {
            self.up.appetite = (self.up.appetite * 2).min(BUFFER);
        }
        self.up.rest = Bytes::copy_from_slice(data.get(taken..).unwrap_or_default());
        self.up.share.set(self.up.rest.len());
        Poll::Ready(Ok(()))
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Step {
        for _ in 0..TURNS {
            if self.down.done {
                return Poll::Ready(Ok(()));
            }
            if !self.down.rest.is_empty() {
                ready!(self.poll_write_local(cx))?;
            } else if self.down.ended {
                ready!(Pin::new(&mut self.local).poll_close(cx)).map_err(|e| local_ended(&e))?;
                self.down.done = true;
            } else if self.poll_read_peer(cx)?.is_pending() {
                if self.down.unflushed {
                    ready!(Pin::new(&mut self.local).poll_flush(cx)).map_err(|e| local_ended(&e))?;
                    self.down.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read_peer(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, PumpEnd> {
        let mut chunks: [Bytes; CHUNKS] = Default::default();
        let most = self.down.share.appetite(usize::MAX);
        let read = self.flow.recv.poll_read_chunks(cx, &mut chunks, most);
        self.flow.waits(read.is_pending());
        match read {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Ok(None)) => self.down.ended = true,
            Poll::Ready(Ok(Some(count))) => self.down.rest.extend(chunks.into_iter().take(count)),
            Poll::Ready(Err(e)) => return Err(peer_ended(e)),
        }
        Ok(Poll::Ready(()))
    }

    /// The socket takes no more: looks, a byte deep, whether the peer has more to say. When it has not, the flow is idle
    /// and holds up no other.
    fn look_behind(&mut self, cx: &mut Context<'_>) -> Result<(), PumpEnd> {
        if self.down.behind || self.down.ended {
            return Ok(());
        }
        let mut one = [Bytes::new()];
        let read = self.flow.recv.poll_read_chunks(cx, &mut one, 1);
        self.down.behind = matches!(read, Poll::Ready(Ok(Some(_))));
        self.down.ended = matches!(read, Poll::Ready(Ok(None)));
        self.flow.waits(!self.down.behind);
        match read {
            Poll::Ready(Err(e)) => return Err(peer_ended(e)),
            Poll::Ready(Ok(Some(_))) => self.down.rest.extend(one),
            _ => {}
        }
        Ok(())
    }

    fn poll_write_local(&mut self, cx: &mut Context<'_>) -> Step {
        let mut slices = [IoSlice::new(&[]); CHUNKS];
        let count = self.down.rest.iter().zip(&mut slices).map(|(b, s)| *s = IoSlice::new(b)).count();
        let slices = slices.get(..count).unwrap_or_default();
        let Poll::Ready(written) = Pin::new(&mut self.local).poll_write_vectored(cx, slices) else {
            self.look_behind(cx)?;
            self.down.settle();
            return Poll::Pending;
        };
        let mut left = written.map_err(|e| local_ended(&e))?;
        if left == 0 {
            return Poll::Ready(Err(PumpEnd::LocalReset(io::ErrorKind::WriteZero)));
        }
        self.control.add_down(left);
        (self.down.unflushed, self.down.behind) = (true, false);
        while let Some(first) = self.down.rest.front_mut() {
            if left < first.len() {
                first.advance(left);
                break;
            }
            left -= first.len();
            self.down.rest.pop_front();
        }
        if self.down.rest.is_empty() {
            // An idle connection holds no memory.
            self.down.rest = VecDeque::new();
            self.down.share.set(0);
        }
        Poll::Ready(Ok(()))
    }

    /// The peer has ended its half; that it also stopped to read ours, only this tells before the next write.
    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<PumpEnd> {
        Poll::Ready(match ready!(self.flow.send.poll_stopped(cx, &mut self.up.stopped)) {
            Ok(Some(code)) => PumpEnd::PeerReset(Refusal::from_reset(code)),
            Ok(None) => PumpEnd::Finished,
            Err(e) => peer_ended(e),
        })
    }
}

fn local_ended(error: &io::Error) -> PumpEnd {
    PumpEnd::LocalReset(error.kind())
}

/// How the end of a half looks to the flow.
pub(crate) fn peer_ended(end: HalfEnd) -> PumpEnd {
    match end {
        HalfEnd::Peer(code) => PumpEnd::PeerReset(Refusal::from_reset(code)),
        other => PumpEnd::Lost(other.to_string()),
    }
}
