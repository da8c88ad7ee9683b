//! One flow of packets to a peer.
//!
//! A packet goes in a datagram. When it is too long for one, or the connection has none, it goes on the flow's stream,
//! behind its length. Order is not promised. Nothing waits: what there is no room for is dropped and counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use catalyst_tunnel::{Refusal, packet};

use super::carry::PacketEnd;
use super::counters::Dropped;
use super::deframe::Deframer;
use super::link::DataConn;
use crate::error::FlowError;
use crate::flow::FlowStream;
use crate::limits::Limits;
use crate::pump::{PumpEnd, peer_ended};
use crate::rt::lock;

/// Packets and chunks of the stream that are taken before others get their turn.
const TURNS: usize = 32;
/// Chunks that are taken from the stream in one call.
const CHUNKS: usize = 4;

/// A flow's place among those of its connection; dropping it gives the place up.
pub(crate) struct Place {
    conn: DataConn,
    id: u64,
    out: Mutex<Out>,
    reading: Deframer,
}

/// Packets that wait for the stream.
#[derive(Default)]
struct Out {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// The task that writes them.
    writer: Option<Waker>,
}

impl Place {
    /// Takes the place of a flow that begins on this stream. From now on its datagrams are kept.
    pub fn take(conn: &DataConn, stream: &FlowStream) -> Self {
        let id = stream.send.number();
        conn.link.inboxes.open(id);
        Place { conn: conn.clone(), id, out: Mutex::default(), reading: Deframer::new() }
    }

    fn send(&self, payload: &[u8]) -> Result<(), Dropped> {
        let length = packet::length(payload).ok_or(Dropped::TooLong)?;
        if self.conn.send(self.id, payload) {
            return Ok(());
        }
        let len = length.len() + payload.len();
        let mut out = lock(&self.out);
        let room = out.waiting.is_empty() || out.bytes + len <= Limits::STREAM_BACKLOG;
        if !room || !self.conn.link.outgoing.take(len) {
            return Err(Dropped::Full);
        }
        let mut framed = Vec::with_capacity(len);
        framed.extend_from_slice(&length);
        framed.extend_from_slice(payload);
        out.bytes += len;
        out.waiting.push_back(framed.into());
        if let Some(writer) = out.writer.take() {
            writer.wake();
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let link = &self.conn.link;
        self.reading.clear(&link.incoming);
        link.forget(self.id);
        let out = lock(&self.out);
        link.outgoing.give_back(out.bytes);
        link.counters.dropped(Dropped::NoFlow, out.waiting.len() as u64);
    }
}

/// A flow of packets. Dropped before it ended, it is reset as a [`FlowStream`] is.
pub struct PacketFlow {
    stream: FlowStream,
    place: Place,
    /// The packet that is being written.
    writing: Bytes,
}

impl fmt::Debug for PacketFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketFlow({})", self.place.id)
    }
}

impl PacketFlow {
    pub(crate) fn new(stream: FlowStream, place: Place) -> Self {
        PacketFlow { stream, place, writing: Bytes::new() }
    }

    /// Tells the opener that its packets have a target.
    ///
    /// # Errors
    /// [`FlowError::Lost`], when the opener gave up or the connection is gone.
    pub async fn accept(mut self) -> Result<PacketFlow, FlowError> {
        self.stream = self.stream.accept().await?;
        Ok(self)
    }

    /// Tells the opener why not.
    pub async fn refuse(self, why: Refusal) {
        self.stream.refuse(why).await;
    }

    /// Writes what waits for the stream.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), PumpEnd> {
        loop {
            while !self.writing.is_empty() {
                match self.stream.send.poll_write(cx, &self.writing) {
                    Poll::Ready(taken) => {
                        let taken = taken.map_err(peer_ended)?;
                        self.writing.advance(taken);
                        lock(&self.place.out).bytes -= taken;
                        self.place.conn.link.outgoing.give_back(taken);
                    }
                    Poll::Pending => return Ok(()),
                }
            }
            let mut out = lock(&self.place.out);
            let Some(next) = out.waiting.pop_front() else {
                out.waiting = VecDeque::new();
                if !out.writer.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                    out.writer = Some(cx.waker().clone());
                }
                return Ok(());
            };
            drop(out);
            self.writing = next;
        }
    }

    /// Hands on what came on the stream; `false` when nothing more has come.
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Result<bool, PumpEnd> {
        let mut chunks: [Bytes; CHUNKS] = Default::default();
        let count = match self.stream.recv.poll_read_chunks(cx, &mut chunks, usize::MAX) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(None)) => return Err(PumpEnd::Finished),
            Poll::Ready(Ok(Some(count))) => count,
            Poll::Ready(Err(e)) => return Err(peer_ended(e)),
        };
        let Place { conn, reading, .. } = &mut self.place;
        let link = &conn.link;
        for chunk in chunks.iter().take(count) {
            let fed = reading.feed(chunk, &link.incoming, sink);
            let dropped = fed.map_err(|_| PumpEnd::Cut(Refusal::BadHeader))?;
            link.counters.dropped(Dropped::Full, dropped);
        }
        Ok(true)
    }
}

impl PacketEnd for PacketFlow {
    fn poll(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Poll<PumpEnd> {
        if let Err(end) = self.poll_write(cx) {
            return Poll::Ready(end);
        }
        let (mut inbox, mut stream) = (true, true);
        for _ in 0..TURNS {
            if inbox {
                match self.place.conn.link.inboxes.poll_take(self.place.id, cx) {
                    Poll::Ready(packet) => sink(&packet),
                    Poll::Pending => inbox = false,
                }
            }
            if stream {
                match self.poll_read(cx, sink) {
                    Ok(more) => stream = more,
                    Err(end) => return Poll::Ready(end),
                }
            }
            if !inbox && !stream {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn send(&self, payload: &[u8]) -> Result<(), Dropped> {
        self.place.send(payload)
    }

    fn close(&mut self, end: &PumpEnd) {
        match end {
            // Nothing is left to be said when it is over already.
            PumpEnd::Finished | PumpEnd::Idle => self.stream.ended = self.stream.send.finish().is_ok(),
            PumpEnd::Cut(why) | PumpEnd::PeerReset(why) => self.stream.on_drop = *why,
            PumpEnd::LocalReset(_) | PumpEnd::Lost(_) => self.stream.on_drop = Refusal::Aborted,
        }
    }
}
