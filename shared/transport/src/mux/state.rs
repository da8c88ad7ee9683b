//! The rules of the multiplexer, without any I/O: streams, which are opened and ended here; what is sent on them is in
//! `send`, what comes on them in `receive`, each with its credit.
//!
//! They are those of QUIC (RFC 9000 sections 2 to 4), so that a flow cannot tell what carries it: either side opens
//! streams, each half ends by itself, in order or with a code; bytes are only sent on credit, of the stream and of
//! the connection. What is kept for the peer's sake is therefore at most the window that it was given.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::frame::{self, Hello, Parser};
use crate::end::{ConnEnd, HalfEnd, OVER};

mod receive;
mod send;

/// What this side allows the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// Unread bytes of one stream.
    pub stream: u32,
    /// Unread bytes of all streams.
    pub connection: u32,
    /// Streams that the peer may have open.
    pub streams: u32,
}

/// One connection.
#[derive(Debug)]
pub(super) struct State {
    own: Windows,
    peer: Option<Hello>,
    parser: Parser,
    streams: BTreeMap<u32, Stream>,
    /// Streams that the peer has opened and that nobody took yet.
    incoming: VecDeque<u32>,
    local: Side,
    remote: Side,
    /// Streams of the peer that are open.
    remote_open: u32,
    /// Bytes that may be sent on all streams together.
    credit: u64,
    /// Bytes that may come on all streams together.
    allowed: u64,
    /// Bytes that were read since the peer was last given credit for the connection.
    read: u32,
    /// Frames without data: small, few, and ahead of data.
    control: Vec<u8>,
    data: Vec<u8>,
    pong: bool,
    ping: bool,
    granted: bool,
    /// Streams that wait for room in `data` or for credit of the connection, in the order in which they get it.
    blocked: VecDeque<u32>,
    end: Option<ConnEnd>,
    driver: Option<Waker>,
    openers: Vec<Waker>,
    accepter: Option<Waker>,
    /// Counts what has come, for the watch over silence.
    heard: u64,
}

/// Streams that one side opens: its next number, and how many it may have opened since the start.
#[derive(Debug)]
struct Side {
    first: u32,
    next: u32,
    allowed: u32,
}

impl Side {
    fn opened(&self) -> u32 {
        (self.next - self.first) / 2
    }
}

#[derive(Debug)]
struct Stream {
    /// Received and not read.
    unread: BytesMut,
    receiving: Receiving,
    /// Bytes that may still come.
    allowed: u64,
    /// Bytes that were read since the peer was last given credit.
    read: u32,
    reader: Option<Waker>,
    sending: Sending,
    /// Bytes that may still be sent.
    credit: u64,
    writer: Option<Waker>,
    /// It is among the blocked.
    blocked: bool,
    /// Handles that are alive: the sending half and the receiving half.
    halves: u8,
}

#[derive(Debug, PartialEq, Eq)]
enum Receiving {
    Open,
    Ended,
    Reset(u32),
    /// This side reads no more.
    Stopped,
}

#[derive(Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// Finished or reset by this side.
    Over,
    /// The peer reads no more.
    Stopped(u32),
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn wait(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

impl State {
    /// `dialled`: this side opens the odd streams.
    pub fn new(dialled: bool, own: Windows) -> Self {
        let (local, remote) = if dialled { (1, 2) } else { (2, 1) };
        let mut control = Vec::new();
        let hello = Hello { stream_window: own.stream, window: own.connection, streams: own.streams };
        frame::put_hello(&mut control, hello);
        State {
            own,
            peer: None,
            parser: Parser::default(),
            streams: BTreeMap::new(),
            incoming: VecDeque::new(),
            local: Side { first: local, next: local, allowed: 0 },
            remote: Side { first: remote, next: remote, allowed: own.streams },
            remote_open: 0,
            credit: 0,
            allowed: u64::from(own.connection),
            read: 0,
            control,
            data: Vec::new(),
            pong: false,
            ping: false,
            granted: false,
            blocked: VecDeque::new(),
            end: None,
            driver: None,
            openers: Vec::new(),
            accepter: None,
            heard: 0,
        }
    }

    pub fn end(&self) -> Option<&ConnEnd> {
        self.end.as_ref()
    }

    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Ends the connection; the first reason stays. What has come can still be read.
    pub fn close(&mut self, end: ConnEnd) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        self.data = Vec::new();
        for stream in self.streams.values_mut() {
            wake(&mut stream.reader);
            wake(&mut stream.writer);
        }
        self.openers.drain(..).for_each(Waker::wake);
        wake(&mut self.accepter);
        wake(&mut self.driver);
    }

    /// Ends it from this side, and says so.
    pub fn close_with(&mut self, end: ConnEnd, code: u32, text: &[u8]) {
        if self.end.is_none() {
            frame::put_close(&mut self.control, code, text);
            self.close(end);
        }
    }

    fn lost<T>(&self) -> Option<Poll<Result<T, HalfEnd>>> {
        self.end.as_ref().map(|end| Poll::Ready(Err(HalfEnd::Lost(end.clone()))))
    }

    pub fn poll_open(&mut self, cx: &Context<'_>) -> Poll<Result<u32, HalfEnd>> {
        if let Some(lost) = self.lost() {
            return lost;
        }
        let Some(peer) = self.peer.filter(|_| self.local.opened() < self.local.allowed) else {
            self.openers.retain(|w| !w.will_wake(cx.waker()));
            self.openers.push(cx.waker().clone());
            return Poll::Pending;
        };
        let id = self.local.next;
        let Some(next) = id.checked_add(2) else {
            self.close(ConnEnd::Failed("all numbers of streams are used".to_owned()));
            return Poll::Ready(Err(OVER));
        };
        self.local.next = next;
        self.streams.insert(id, Stream::new(self.own.stream, peer.stream_window));
        Poll::Ready(Ok(id))
    }

    pub fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<Result<u32, HalfEnd>> {
        if let Some(lost) = self.lost() {
            return lost;
        }
        if let Some(id) = self.incoming.pop_front() {
            return Poll::Ready(Ok(id));
        }
        wait(&mut self.accepter, cx);
        Poll::Pending
    }

    /// How many streams the peer may have open from now on.
    pub fn set_streams(&mut self, most: u32) {
        self.own.streams = most;
        self.grant();
    }

    fn grant(&mut self) {
        let allowed = self.remote.opened() + self.own.streams.saturating_sub(self.remote_open);
        if allowed > self.remote.allowed {
            self.remote.allowed = allowed;
            self.granted = true;
            wake(&mut self.driver);
        }
    }

    /// One of the two handles of a stream is gone.
    pub fn drop_half(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.halves -= 1;
        if stream.halves > 0 {
            return;
        }
        self.streams.remove(&id);
        self.unblock();
        if id % 2 == self.remote.first % 2 {
            self.remote_open -= 1;
            self.grant();
        }
    }
}

impl Stream {
    fn new(own: u32, peer: u32) -> Self {
        Stream {
            unread: BytesMut::new(),
            receiving: Receiving::Open,
            allowed: own.into(),
            read: 0,
            reader: None,
            sending: Sending::Open,
            credit: peer.into(),
            writer: None,
            blocked: false,
            halves: 2,
        }
    }
}
