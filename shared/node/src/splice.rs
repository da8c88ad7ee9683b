//! Joins two local sockets, a client and a service of the same node: bytes stay in the kernel.
//!
//! `splice(2)` moves them from one socket into a pipe and on to the other. A pipe is taken when there is a byte to
//! move and given back when it is drained, so a connection that is idle holds neither a pipe nor a buffer. Where the
//! system does not splice these sockets, the bytes go through one buffer of the thread, and only what the other side
//! does not take at once is kept. `SPLICE_F_MORE` is never set: it would hold back small answers for 200 ms.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use catalyst_transport::{FlowControl, LocalStream, PumpEnd, Share};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice as splice_once};

use crate::limits::Limits;

/// One system call on a socket; `WouldBlock` when it has to wait.
pub type SocketCall<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>;

/// A local socket that tells its runtime's readiness to calls which the runtime does not know.
pub trait LocalSocket: LocalStream {
    /// Makes a call that reads, again whenever there may be something to read, until it does not say `WouldBlock`.
    fn poll_read_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>>;

    /// The same for a call that writes.
    fn poll_write_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>>;
}

/// The most that one call moves: what a pipe of the system's default size holds.
const MOVE: usize = 64 * 1024;
/// Turns of one direction before others get theirs.
const TURNS: usize = 16;

/// An empty pipe, between uses.
struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

thread_local! {
    /// Empty pipes of this thread. When full: one that is drained is closed.
    static PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
    /// The buffer where nothing can be spliced; taken out while in use.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn take_pipe() -> Result<Pipe, Errno> {
    if let Some(pipe) = PIPES.with_borrow_mut(Vec::pop) {
        return Ok(pipe);
    }
    let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok(Pipe { out, into })
}

fn give_back(pipe: Pipe) {
    PIPES.with_borrow_mut(|pipes| {
        if pipes.len() < Limits::PIPES {
            pipes.push(pipe);
        }
    });
}

/// What was read and is not written yet.
enum Held {
    Nothing,
    /// So many bytes in a pipe.
    Pipe(Pipe, usize),
    /// These bytes, from this one on.
    Bytes(Vec<u8>, usize),
}

/// One direction.
struct Half {
    held: Held,
    /// The system cannot splice here.
    copies: bool,
    /// The reading side has ended.
    ended: bool,
    /// And the writing side knows.
    done: bool,
    share: Share,
}

impl Half {
    fn new(copies: bool, share: Share) -> Self {
        Half { held: Held::Nothing, copies, ended: false, done: false, share }
    }

    fn poll<T: LocalSocket>(
        &mut self,
        cx: &mut Context<'_>,
        from: &T,
        to: &mut T,
        count: impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURNS {
            if self.done {
                return Poll::Ready(Ok(()));
            }
            if !matches!(self.held, Held::Nothing) {
                count(ready!(self.poll_drain(cx, to))?);
            } else if self.ended {
                ready!(Pin::new(&mut *to).poll_close(cx))?;
                self.done = true;
            } else {
                ready!(self.poll_fill(cx, from))?;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_fill<T: LocalSocket>(&mut self, cx: &mut Context<'_>, from: &T) -> Poll<io::Result<()>> {
        let read = ready!(from.poll_read_call(cx, &mut |socket| {
            if !self.copies {
                match self.fill_pipe(socket) {
                    // Not a socket that can be spliced, or no pipe to be had.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::MFILE | Errno::NFILE | Errno::PERM) => {
                        self.copies = true;
                    }
                    // It stops at urgent data (RFC 9293, section 3.8.5) and calls that an end, or nothing there; a read
                    // steps over it, and knows.
                    Ok(0) | Err(Errno::AGAIN) => {}
                    other => return other.map_err(io::Error::from),
                }
            }
            self.fill_bytes(socket).map_err(io::Error::from)
        }))?;
        self.ended = read == 0;
        Poll::Ready(Ok(()))
    }

    fn fill_pipe(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        let pipe = take_pipe()?;
        // The pipe is empty, so that "would block" speaks of the socket.
        let moved =
            splice_once(socket, None, &pipe.into, None, MOVE, SpliceFlags::MOVE | SpliceFlags::NONBLOCK);
        match moved {
            Ok(bytes @ 1..) => self.held = Held::Pipe(pipe, bytes),
            _ => give_back(pipe),
        }
        moved
    }

    fn fill_bytes(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        let mut buffer = BUFFER.take();
        if buffer.len() < MOVE {
            // Zeroed by the system: a page that is never filled takes no memory.
            buffer = vec![0; MOVE];
        }
        let most = self.share.appetite(MOVE);
        let read = rustix::io::read(socket, buffer.get_mut(..most).unwrap_or_default());
        if let Ok(bytes @ 1..) = read {
            self.held = Held::Bytes(buffer.get(..bytes).unwrap_or_default().to_vec(), 0);
            self.share.set(bytes);
        }
        BUFFER.set(buffer);
        read
    }

    fn poll_drain<T: LocalSocket>(&mut self, cx: &mut Context<'_>, to: &T) -> Poll<io::Result<usize>> {
        let written = ready!(to.poll_write_call(cx, &mut |socket| {
            let written = match &self.held {
                Held::Nothing => return Ok(0),
                Held::Pipe(pipe, left) => {
                    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                    splice_once(&pipe.out, None, socket, None, *left, flags)
                }
                Held::Bytes(bytes, at) => rustix::io::write(socket, bytes.get(*at..).unwrap_or_default()),
            };
            written.map_err(io::Error::from)
        }))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.held = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Pipe(pipe, left) if written < left => Held::Pipe(pipe, left - written),
            Held::Pipe(pipe, _) => {
                give_back(pipe);
                Held::Nothing
            }
            Held::Bytes(bytes, at) if at + written < bytes.len() => Held::Bytes(bytes, at + written),
            _ => {
                self.share.set(0);
                Held::Nothing
            }
        };
        Poll::Ready(Ok(written))
    }
}

/// Moves bytes both ways until both sides have ended or one breaks; then the other is reset.
pub(crate) fn splice<T: LocalSocket>(client: T, target: T, control: Arc<FlowControl>) -> Splice<T> {
    join(client, target, control, false)
}

fn join<T: LocalSocket>(client: T, target: T, control: Arc<FlowControl>, copies: bool) -> Splice<T> {
    let (up, down) = (Half::new(copies, control.share()), Half::new(copies, control.share()));
    Splice { client, target, control, up, down }
}

/// Two sockets that are joined; resolves to how that ended, and is to be dropped then. By hand, as `Pump` is.
pub(crate) struct Splice<T> {
    client: T,
    target: T,
    control: Arc<FlowControl>,
    up: Half,
    down: Half,
}

impl<T: LocalSocket> Future for Splice<T> {
    type Output = PumpEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PumpEnd> {
        let Splice { client, target, control, up, down } = self.get_mut();
        let end = match control.poll_cut(cx) {
            Some(why) => PumpEnd::Cut(why),
            None => {
                // Each in its turn: one that waits does not keep the other from going on.
                let first = up.poll(cx, client, target, |bytes| control.add_up(bytes));
                let second = down.poll(cx, target, client, |bytes| control.add_down(bytes));
                match (first, second) {
                    (Poll::Ready(Err(e)), _) | (_, Poll::Ready(Err(e))) => PumpEnd::LocalReset(e.kind()),
                    (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => PumpEnd::Finished,
                    _ => return Poll::Pending,
                }
            }
        };
        if end != PumpEnd::Finished {
            client.abort();
            target.abort();
        }
        Poll::Ready(end)
    }
}

#[cfg(test)]
mod tests;
