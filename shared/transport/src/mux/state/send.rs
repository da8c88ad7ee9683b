//! What goes to the peer: data of streams on credit, and frames without data, which go ahead of it.

use std::task::{Context, Poll};

use super::{Sending, State, Stream, wait, wake};
use crate::end::{ConnEnd, HalfEnd, OVER};
use crate::limits::Limits;
use crate::mux::frame::{self, BODY, Kind};

impl State {
    /// What to write next, in order; frames without data first.
    pub fn take_output(&mut self) -> Vec<u8> {
        if self.granted {
            frame::put_number(&mut self.control, Kind::STREAMS, 0, self.remote.allowed);
            self.granted = false;
        }
        for (due, kind) in [(&mut self.ping, Kind::PING), (&mut self.pong, Kind::PONG)] {
            if std::mem::take(due) {
                frame::put_empty(&mut self.control, kind, 0);
            }
        }
        if !self.control.is_empty() {
            return std::mem::take(&mut self.control);
        }
        let data = std::mem::take(&mut self.data);
        if !data.is_empty() {
            self.unblock();
        }
        data
    }

    /// Wakes the next that waits for room; it wakes the one behind it when it leaves some, or goes away.
    pub(super) fn unblock(&mut self) {
        while let Some(id) = self.blocked.pop_front() {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.blocked = false;
                wake(&mut stream.writer);
                return;
            }
        }
    }

    /// The task that writes and reads; woken when there is output or an end.
    pub fn wait_for_output(&mut self, cx: &Context<'_>) {
        wait(&mut self.driver, cx);
    }

    /// Queues a frame without data. Whoever makes this side queue so many takes nothing and is no peer.
    pub(super) fn queued_control(&mut self) {
        if self.control.len() > Limits::TCP_CONTROL {
            self.close(ConnEnd::Failed("the peer takes nothing".to_owned()));
        }
        wake(&mut self.driver);
    }

    pub fn ping(&mut self) {
        self.ping = true;
        wake(&mut self.driver);
    }

    /// Takes as much of `bytes` as credit and queue allow, at least one byte.
    pub fn poll_write(&mut self, id: u32, cx: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalfEnd>> {
        if let Some(lost) = self.lost() {
            return lost;
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(Err(OVER)) };
        match stream.sending {
            Sending::Open => {}
            Sending::Over => return Poll::Ready(Err(OVER)),
            Sending::Stopped(code) => return Poll::Ready(Err(HalfEnd::Peer(code.into()))),
        }
        let room = Limits::TCP_QUEUE.saturating_sub(self.data.len());
        let most = usize::try_from(stream.credit.min(self.credit)).unwrap_or(usize::MAX);
        let now = bytes.get(..most.min(room).min(BODY).min(bytes.len())).unwrap_or_default();
        if now.is_empty() && !bytes.is_empty() {
            wait(&mut stream.writer, cx);
            if stream.credit > 0 && !std::mem::replace(&mut stream.blocked, true) {
                self.blocked.push_back(id);
            }
            return Poll::Pending;
        }
        stream.credit -= now.len() as u64;
        self.credit -= now.len() as u64;
        frame::put_data(&mut self.data, id, now);
        if self.data.len() < Limits::TCP_QUEUE && self.credit > 0 {
            self.unblock();
        }
        wake(&mut self.driver);
        Poll::Ready(Ok(now.len()))
    }

    /// The peer has stopped to read; pending until it does.
    pub fn poll_stopped(&mut self, id: u32, cx: &Context<'_>) -> Poll<Result<u64, HalfEnd>> {
        if let Some(lost) = self.lost() {
            return lost;
        }
        match self.streams.get_mut(&id) {
            Some(Stream { sending: Sending::Stopped(code), .. }) => Poll::Ready(Ok((*code).into())),
            Some(stream) => {
                wait(&mut stream.writer, cx);
                Poll::Pending
            }
            None => Poll::Ready(Err(OVER)),
        }
    }

    /// Ends the sending half in order. Behind all its data, hence in the same queue.
    pub fn finish(&mut self, id: u32) {
        if self.end.is_none()
            && let Some(stream) = self.streams.get_mut(&id).filter(|s| s.sending == Sending::Open)
        {
            stream.sending = Sending::Over;
            frame::put_empty(&mut self.data, Kind::FIN, id);
            wake(&mut self.driver);
        }
    }

    /// Ends the sending half at once.
    pub fn reset(&mut self, id: u32, code: u32) {
        if self.end.is_none()
            && let Some(stream) = self.streams.get_mut(&id).filter(|s| s.sending != Sending::Over)
        {
            stream.sending = Sending::Over;
            frame::put_number(&mut self.control, Kind::RESET, id, code);
            self.queued_control();
        }
    }
}
