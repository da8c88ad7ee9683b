//! The rules of the multiplexer, without any I/O: streams, credit, and what waits to be sent.
//!
//! They are those of QUIC (RFC 9000 sections 2 to 4), so that a flow cannot tell what carries it: either side opens
//! streams, each half ends by itself, in order or with a code; bytes are only sent on credit, of the stream and of
//! the connection. What is kept for the peer's sake is therefore at most the window that it was given.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::frame::{self, BODY, Broken, Hello, Kind, Parser, Piece};
use crate::end::{ConnEnd, HalfEnd, OVER};
use crate::limits::Limits;

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

    // Sending.

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
    fn unblock(&mut self) {
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
    fn queued_control(&mut self) {
        if self.control.len() > Limits::TCP_CONTROL {
            self.close(ConnEnd::Failed("the peer takes nothing".to_owned()));
        }
        wake(&mut self.driver);
    }

    pub fn ping(&mut self) {
        self.ping = true;
        wake(&mut self.driver);
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

    /// Reads no more of a stream.
    pub fn stop(&mut self, id: u32, code: u32) {
        if self.end.is_none()
            && let Some(stream) = self.streams.get_mut(&id)
        {
            let dropped = std::mem::take(&mut stream.unread).len();
            if stream.receiving == Receiving::Open {
                frame::put_number(&mut self.control, Kind::STOP, id, code);
            }
            stream.receiving = Receiving::Stopped;
            self.give_back(dropped);
            self.queued_control();
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

    // Receiving.

    /// What has been received on a stream, up to `most` bytes; `None` at its end.
    pub fn poll_read(
        &mut self,
        id: u32,
        cx: &Context<'_>,
        most: usize,
    ) -> Poll<Result<Option<Bytes>, HalfEnd>> {
        let (window, lost) = (self.own.stream, self.lost());
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(Err(OVER)) };
        if stream.unread.is_empty() {
            return Poll::Ready(match stream.receiving {
                Receiving::Open => {
                    wait(&mut stream.reader, cx);
                    return lost.unwrap_or(Poll::Pending);
                }
                Receiving::Ended => Ok(None),
                Receiving::Reset(code) => Err(HalfEnd::Peer(code.into())),
                Receiving::Stopped => Err(OVER),
            });
        }
        let bytes = if stream.unread.len() <= most {
            std::mem::take(&mut stream.unread)
        } else {
            stream.unread.split_to(most)
        };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        stream.read += len;
        if stream.read >= window / 2 && stream.receiving == Receiving::Open {
            let read = std::mem::take(&mut stream.read);
            stream.allowed += u64::from(read);
            frame::put_number(&mut self.control, Kind::CREDIT, id, read);
            self.queued_control();
        }
        self.give_back(bytes.len());
        Poll::Ready(Ok(Some(bytes.freeze())))
    }

    /// Bytes of the connection's window are free again.
    fn give_back(&mut self, bytes: usize) {
        self.read += u32::try_from(bytes).unwrap_or(u32::MAX);
        // Early: streams that stand still may hold most of the window, and the rest must go round.
        if self.read >= self.own.connection / 8 {
            let read = std::mem::take(&mut self.read);
            self.allowed += u64::from(read);
            frame::put_number(&mut self.control, Kind::CREDIT, 0, read);
            self.queued_control();
        }
    }

    /// Takes what has come from the peer. An error ends the connection; the caller closes it.
    pub fn receive(&mut self, mut input: &[u8]) -> Result<(), Broken> {
        self.heard += 1;
        let mut parser = std::mem::take(&mut self.parser);
        while !input.is_empty() && self.end.is_none() {
            let (taken, piece) = parser.next(input)?;
            if let Some(piece) = piece {
                self.piece(&piece)?;
            }
            input = input.get(taken..).unwrap_or_default();
        }
        self.parser = parser;
        Ok(())
    }

    fn piece(&mut self, piece: &Piece<'_>) -> Result<(), Broken> {
        match (piece, self.peer) {
            (Piece::Close(..) | Piece::Skipped, _) | (Piece::Hello(_), None) => {}
            (Piece::Hello(_), Some(_)) => return Err(Broken::SecondHello),
            (_, Some(_)) => {}
            (_, None) => return Err(Broken::NoHello(0)),
        }
        match *piece {
            Piece::Hello(hello) => {
                self.peer = Some(hello);
                self.credit = u64::from(hello.window);
                self.may_open(hello.streams);
            }
            Piece::Data { stream, len } => self.data_begins(stream, len as u64)?,
            Piece::Part { stream, bytes } => self.data_comes(stream, bytes),
            Piece::Fin(id) => self.half_ended(id, Receiving::Ended)?,
            Piece::Reset(id, code) => self.half_ended(id, Receiving::Reset(code))?,
            Piece::Stop(id, code) => {
                if let Some(stream) = self.existing(id)?
                    && stream.sending == Sending::Open
                {
                    stream.sending = Sending::Stopped(code);
                    wake(&mut stream.writer);
                }
            }
            Piece::Credit(0, more) => {
                self.credit += u64::from(more);
                self.unblock();
            }
            Piece::Credit(id, more) => {
                if let Some(stream) = self.existing(id)? {
                    stream.credit += u64::from(more);
                    wake(&mut stream.writer);
                }
            }
            Piece::Streams(total) => self.may_open(total),
            Piece::Ping => {
                self.pong = true;
                wake(&mut self.driver);
            }
            Piece::Close(code, text) => {
                let reason = String::from_utf8_lossy(text).into_owned();
                self.close(ConnEnd::Peer { code: code.into(), reason });
            }
            Piece::Pong | Piece::Skipped => {}
        }
        Ok(())
    }

    fn may_open(&mut self, total: u32) {
        self.local.allowed = self.local.allowed.max(total);
        self.openers.drain(..).for_each(Waker::wake);
    }

    /// The stream of a frame, which opens it and all before it if it is the peer's (RFC 9000 section 3.2). `None`: it
    /// is over here, and the peer does not know yet.
    fn existing(&mut self, id: u32) -> Result<Option<&mut Stream>, Broken> {
        if id == 0 {
            return Err(Broken::BadStream(id));
        }
        if id % 2 == self.local.first % 2 {
            if id >= self.local.next {
                return Err(Broken::BadStream(id));
            }
        } else {
            if (id - self.remote.first) / 2 >= self.remote.allowed || id > u32::MAX - 2 {
                return Err(Broken::BadStream(id));
            }
            let window = self.peer.map_or(0, |p| p.stream_window);
            while self.remote.next <= id {
                self.streams.insert(self.remote.next, Stream::new(self.own.stream, window));
                self.incoming.push_back(self.remote.next);
                self.remote.next += 2;
                self.remote_open += 1;
                wake(&mut self.accepter);
            }
        }
        Ok(self.streams.get_mut(&id))
    }

    fn data_begins(&mut self, id: u32, len: u64) -> Result<(), Broken> {
        if let Some(stream) = self.existing(id)? {
            match stream.receiving {
                Receiving::Ended => return Err(Broken::AfterEnd(id)),
                // A reset overtakes data; and the peer does not know yet that nobody reads.
                Receiving::Reset(_) | Receiving::Stopped => {}
                Receiving::Open => {
                    stream.allowed = stream.allowed.checked_sub(len).ok_or(Broken::Credit(id))?;
                }
            }
        }
        self.allowed = self.allowed.checked_sub(len).ok_or(Broken::Credit(0))?;
        Ok(())
    }

    fn data_comes(&mut self, id: u32, bytes: &[u8]) {
        match self.streams.get_mut(&id).filter(|s| s.receiving == Receiving::Open) {
            Some(stream) => {
                stream.unread.extend_from_slice(bytes);
                wake(&mut stream.reader);
            }
            None => self.give_back(bytes.len()),
        }
    }

    fn half_ended(&mut self, id: u32, how: Receiving) -> Result<(), Broken> {
        let mut dropped = 0;
        if let Some(stream) = self.existing(id)?
            && stream.receiving == Receiving::Open
        {
            if how != Receiving::Ended {
                dropped = std::mem::take(&mut stream.unread).len();
            }
            stream.receiving = how;
            wake(&mut stream.reader);
        }
        self.give_back(dropped);
        Ok(())
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
