//! What comes from the peer: frames, and the data that streams hand out as it is read, for which the peer gets credit anew.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Receiving, Sending, State, Stream, wait, wake};
use crate::end::{ConnEnd, HalfEnd, OVER};
use crate::mux::frame::{self, Broken, Kind, Piece};

impl State {
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
