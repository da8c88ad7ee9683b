//! A descriptor, and calls on it when they may succeed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use crate::known::{Entry, Side};
use crate::reactor::Reactor;

/// A descriptor that does not block, registered with a reactor until it is dropped. Each side has one task that waits:
/// the last that asked.
#[derive(Debug)]
pub struct Source<T: AsFd> {
    io: T,
    key: usize,
    reactor: Reactor,
}

impl<T: AsFd> Source<T> {
    /// Takes a descriptor that was set not to block, of which the first call may succeed.
    ///
    /// # Errors
    /// What the system says: it cannot be waited for (a file), or there is no room.
    pub fn new(reactor: &Reactor, io: T) -> io::Result<Self> {
        let key = reactor.register(&io, Entry::new(true))?;
        Ok(Source { io, key, reactor: reactor.clone() })
    }

    /// Takes a socket that is being connected: neither side is ready before the system says so.
    ///
    /// # Errors
    /// As [`Source::new`].
    pub fn connecting(reactor: &Reactor, io: T) -> io::Result<Self> {
        let key = reactor.register(&io, Entry::new(false))?;
        Ok(Source { io, key, reactor: reactor.clone() })
    }

    /// The descriptor's owner.
    pub fn io(&self) -> &T {
        &self.io
    }

    /// Whether a call may succeed: the number of changes so far; else the task is woken when it may.
    pub(crate) fn poll_ready(&self, side: Side, cx: &Context<'_>) -> Poll<u32> {
        // Cloned and dropped outside of the lock: a waker may own a task with sources.
        let mut waker = None;
        loop {
            let (found, old) = self
                .reactor
                .with(self.key, |entry| {
                    let known = entry.side(side);
                    if known.ready {
                        return (Some(Poll::Ready(known.changes)), None);
                    }
                    if known.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                        return (Some(Poll::Pending), None);
                    }
                    match waker.take() {
                        Some(new) => (Some(Poll::Pending), known.waker.replace(new)),
                        None => (None, None),
                    }
                })
                // A source is registered for as long as it lives.
                .unwrap_or((Some(Poll::Ready(0)), None));
            drop(old);
            if let Some(found) = found {
                return found;
            }
            waker = Some(cx.waker().clone());
        }
    }

    /// A call that began after so many changes found nothing more to do.
    pub(crate) fn exhausted(&self, side: Side, changes: u32) {
        self.reactor.with(self.key, |entry| {
            let known = entry.side(side);
            if known.changes == changes && !known.ended {
                known.ready = false;
            }
        });
    }

    /// The same for a call that told by itself that there is more to wait for.
    fn blocked(&self, side: Side, changes: u32) {
        self.reactor.with(self.key, |entry| {
            let known = entry.side(side);
            if known.changes == changes {
                (known.ready, known.ended) = (false, false);
            }
        });
    }

    /// Makes a call now.
    ///
    /// # Errors
    /// The call's; `WouldBlock` means that [`Source::poll_writable`] and the like will wait.
    pub fn try_call<R>(&self, side: Side, call: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let changes = self.reactor.with(self.key, |entry| entry.side(side).changes).unwrap_or(0);
        let done = call(&self.io);
        if matches!(&done, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
            self.blocked(side, changes);
        }
        done
    }

    /// Makes a call whenever it may succeed, until it says other than `WouldBlock`, which it must say of this descriptor
    /// alone and not of another one that it uses.
    pub fn poll_call<R>(
        &self,
        side: Side,
        cx: &Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        while let Poll::Ready(changes) = self.poll_ready(side, cx) {
            match call(&self.io) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.blocked(side, changes),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
        Poll::Pending
    }

    /// Whether something may be written.
    pub fn poll_writable(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_ready(Side::Write, cx).map(|_| ())
    }
}

impl<T: AsFd> AsFd for Source<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        self.reactor.forget(&self.io, self.key);
    }
}
