//! Frames on their way to one session: bounded by credit, drained by its writer.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::error::SendError;
use crate::event::DownReason;
use crate::limits::Limits;
use crate::rt::{Signal, lock};

/// Shared between the callers of `send` and the session's writer.
#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    /// No more frames are taken; those that are here still go out.
    pub closing: Signal,
    /// The session ends now.
    pub killed: Signal,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Bytes>,
    /// A frame of the driver's own, outside the credit; at most one.
    own: Option<Bytes>,
    credit: usize,
    /// Written, and not given back as credit yet.
    owed: usize,
    closing: bool,
    why: Option<DownReason>,
    writer: Option<Waker>,
}

/// What the writer does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Write the batch, whose bytes count against the credit.
    Batch,
    /// Write this one, which does not.
    Own(Bytes),
    /// Everything is written: end the stream.
    Finish,
}

impl Outbox {
    pub fn new() -> Self {
        let inner = Inner { credit: Limits::SESSION_CREDIT, ..Inner::default() };
        Outbox { inner: Mutex::new(inner), closing: Signal::new(), killed: Signal::new() }
    }

    /// Queues a whole frame.
    pub fn send(&self, frame: Bytes) -> Result<(), SendError> {
        let mut inner = lock(&self.inner);
        if inner.closing || inner.why.is_some() {
            return Err(SendError::Closed);
        }
        let Some(left) = inner.credit.checked_sub(frame.len()) else {
            drop(inner);
            self.kill(DownReason::CreditExceeded);
            return Err(SendError::Credit);
        };
        inner.credit = left;
        inner.queue.push_back(frame);
        inner.wake();
        Ok(())
    }

    /// Queues a frame of the driver's own, unless one is waiting.
    pub fn send_own(&self, frame: Bytes) {
        let mut inner = lock(&self.inner);
        if !inner.closing {
            inner.own.get_or_insert(frame);
            inner.wake();
        }
    }

    /// QUIC has taken so many bytes. Says how much credit is given back: nothing as long as half of it is left, or every
    /// small frame would wake whoever sends once more, before it has left.
    pub fn repay(&self, bytes: usize) -> usize {
        let mut inner = lock(&self.inner);
        inner.owed += bytes;
        if inner.credit >= Limits::SESSION_CREDIT / 2 {
            return 0;
        }
        let back = std::mem::take(&mut inner.owed);
        inner.credit += back;
        back
    }

    /// Takes one last frame, whatever the credit, then no more.
    pub fn finish(&self, last: Option<Bytes>) {
        // Before the writer can act: the peer may be told, answer and be gone before this returns.
        self.closing.raise();
        let mut inner = lock(&self.inner);
        if !inner.closing {
            inner.queue.extend(last);
            inner.closing = true;
            inner.wake();
        }
    }

    /// Ends the session without writing what waits. The first reason stays.
    pub fn kill(&self, why: DownReason) {
        lock(&self.inner).why.get_or_insert(why);
        self.killed.raise();
    }

    /// The reason given to `kill`.
    pub fn why(&self) -> DownReason {
        lock(&self.inner).why.clone().unwrap_or(DownReason::Local)
    }

    /// Waits for something to write; moves all queued frames to `batch` at once, so that bursts share packets.
    pub async fn take(&self, batch: &mut Vec<Bytes>) -> Taken {
        poll_fn(|cx| {
            let mut inner = lock(&self.inner);
            if let Some(own) = inner.own.take() {
                return Poll::Ready(Taken::Own(own));
            }
            if !inner.queue.is_empty() {
                batch.extend(inner.queue.drain(..));
                return Poll::Ready(Taken::Batch);
            }
            if inner.closing {
                return Poll::Ready(Taken::Finish);
            }
            inner.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a frame and has it written; what is given back for it.
    fn pass(outbox: &Outbox, bytes: usize) -> usize {
        outbox.send(Bytes::from(vec![0; bytes])).unwrap();
        outbox.repay(bytes)
    }

    #[test]
    fn credit_comes_back_in_large_pieces_and_in_full() {
        let outbox = Outbox::new();
        let (mut left, mut told) = (Limits::SESSION_CREDIT, 0);
        for _ in 0..10_000 {
            let back = pass(&outbox, 60);
            left = left - 60 + back;
            told += usize::from(back > 0);
            assert!(
                left >= Limits::SESSION_CREDIT / 2 - 60,
                "{left} bytes are left, though nothing is under way"
            );
        }
        assert!((10..30).contains(&told), "{told} times for 600,000 bytes");
    }

    #[test]
    fn who_has_used_up_the_credit_gets_all_of_it_back() {
        let outbox = Outbox::new();
        let frames = vec![16_384; Limits::SESSION_CREDIT / 16_384];
        frames.iter().for_each(|bytes| outbox.send(Bytes::from(vec![0; *bytes])).unwrap());
        let mut left = 0;
        for bytes in frames {
            left += outbox.repay(bytes);
        }
        assert!(left >= Limits::SESSION_CREDIT / 2, "{left} bytes came back");
        assert_eq!(outbox.send(Bytes::from(vec![0; left + 1])), Err(SendError::Credit));
    }
}
