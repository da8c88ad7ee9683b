//! One connection to a peer and its streams, whether QUIC or TCP carries them.
//!
//! All that differs is chosen here, once a call; nothing is boxed, and QUIC's chunks are handed on as they are.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use quinn::{Connection, RecvStream, SendStream, StoppedError, VarInt};

use crate::config::Carrier;
use crate::congestion;
use crate::end::{ConnEnd, HalfEnd, OVER, SHORT};
use crate::mux::{MuxConnection, MuxRecv, MuxSend};

/// A connection; cheap to share. The last handle closes it.
#[derive(Clone, Debug)]
pub(crate) enum Conn {
    Quic(Connection),
    Tcp(MuxConnection),
}

impl Conn {
    pub fn carrier(&self) -> Carrier {
        match self {
            Conn::Quic(_) => Carrier::Quic,
            Conn::Tcp(_) => Carrier::Tcp,
        }
    }

    pub fn is(&self, other: &Conn) -> bool {
        match (self, other) {
            (Conn::Quic(a), Conn::Quic(b)) => a.stable_id() == b.stable_id(),
            (Conn::Tcp(a), Conn::Tcp(b)) => a.id() == b.id(),
            _ => false,
        }
    }

    pub fn remote(&self) -> SocketAddr {
        match self {
            Conn::Quic(c) => c.remote_address(),
            Conn::Tcp(c) => c.remote(),
        }
    }

    pub fn close(&self, code: VarInt, reason: &[u8]) {
        match self {
            Conn::Quic(c) => c.close(code, reason),
            Conn::Tcp(c) => c.close(code, reason),
        }
    }

    pub async fn closed(&self) {
        match self {
            Conn::Quic(c) => drop(c.closed().await),
            Conn::Tcp(c) => c.closed().await,
        }
    }

    pub fn is_over(&self) -> bool {
        match self {
            Conn::Quic(c) => c.close_reason().is_some(),
            Conn::Tcp(c) => c.end().is_some(),
        }
    }

    /// A number that grows with everything that comes from the peer.
    pub fn heard(&self) -> u64 {
        match self {
            Conn::Quic(c) => c.stats().udp_rx.datagrams,
            Conn::Tcp(c) => c.heard(),
        }
    }

    /// Asks the peer for a sign of life. QUIC does so by itself.
    pub fn ping(&self) {
        if let Conn::Tcp(c) = self {
            c.ping();
        }
    }

    /// Losses on the way are noise. (Over TCP they are the system's business.)
    pub fn expect_noise(&self) {
        if let Conn::Quic(c) = self {
            congestion::expect_noise(c);
        }
    }

    /// How many streams the peer may have open.
    pub fn set_streams(&self, most: u32) {
        match self {
            Conn::Quic(c) => c.set_max_concurrent_bi_streams(VarInt::from_u32(most)),
            Conn::Tcp(c) => c.set_streams(most),
        }
    }

    /// Waits until the peer lets this side open another stream.
    pub async fn open(&self) -> Result<(SendHalf, RecvHalf), HalfEnd> {
        Ok(match self {
            Conn::Quic(c) => quic(c.open_bi().await.map_err(ConnEnd::from).map_err(HalfEnd::Lost)?),
            Conn::Tcp(c) => tcp(c.open().await?),
        })
    }

    /// Waits for the peer to open a stream.
    pub async fn accept(&self) -> Result<(SendHalf, RecvHalf), HalfEnd> {
        Ok(match self {
            Conn::Quic(c) => quic(c.accept_bi().await.map_err(ConnEnd::from).map_err(HalfEnd::Lost)?),
            Conn::Tcp(c) => tcp(c.accept().await?),
        })
    }
}

fn quic((send, recv): (SendStream, RecvStream)) -> (SendHalf, RecvHalf) {
    (SendHalf::Quic(send), RecvHalf::Quic(recv))
}

fn tcp((send, recv): (MuxSend, MuxRecv)) -> (SendHalf, RecvHalf) {
    (SendHalf::Tcp(send), RecvHalf::Tcp(recv))
}

/// What waits for the peer to stop reading.
pub(crate) type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send>>;

/// The sending half of a stream.
#[derive(Debug)]
pub(crate) enum SendHalf {
    Quic(SendStream),
    Tcp(MuxSend),
}

impl fmt::Display for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendHalf::Quic(s) => write!(f, "{}", s.id()),
            SendHalf::Tcp(s) => write!(f, "tcp {}", s.id()),
        }
    }
}

impl SendHalf {
    /// The number of the stream on its connection.
    pub fn number(&self) -> u64 {
        match self {
            SendHalf::Quic(s) => VarInt::from(s.id()).into_inner(),
            SendHalf::Tcp(s) => s.id().into(),
        }
    }

    /// Takes what there is credit for, at least one byte.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalfEnd>> {
        match self {
            SendHalf::Quic(s) => Pin::new(s).poll_write(cx, bytes).map_err(Into::into),
            SendHalf::Tcp(s) => s.poll_write(cx, bytes),
        }
    }

    /// Takes what there is credit for from the front of `chunks`, and returns how many bytes; chunks that were taken
    /// are empty then.
    pub fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<usize, HalfEnd>> {
        match self {
            SendHalf::Quic(s) => {
                let written = ready!(pin!(s.write_chunks(chunks)).poll(cx))?;
                Poll::Ready(Ok(written.bytes))
            }
            SendHalf::Tcp(s) => {
                let Some(first) = chunks.iter_mut().find(|c| !c.is_empty()) else {
                    return Poll::Ready(Ok(0));
                };
                let taken = ready!(s.poll_write(cx, first))?;
                first.advance(taken);
                Poll::Ready(Ok(taken))
            }
        }
    }

    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), HalfEnd> {
        while !bytes.is_empty() {
            let taken = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    pub async fn write_chunks(&mut self, chunks: &mut [Bytes]) -> Result<usize, HalfEnd> {
        poll_fn(|cx| self.poll_write_chunks(cx, chunks)).await
    }

    pub async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), HalfEnd> {
        let mut chunks = [chunk];
        while !chunks.iter().all(Bytes::is_empty) {
            self.write_chunks(&mut chunks).await?;
        }
        Ok(())
    }

    /// Ends it in order; an error means that it is over already.
    pub fn finish(&mut self) -> Result<(), HalfEnd> {
        match self {
            SendHalf::Quic(s) => s.finish().map_err(|_| OVER),
            SendHalf::Tcp(s) => {
                s.finish();
                Ok(())
            }
        }
    }

    pub fn reset(&mut self, code: VarInt) {
        match self {
            // Fails only if it is over already.
            SendHalf::Quic(s) => drop(s.reset(code)),
            SendHalf::Tcp(s) => s.reset(code),
        }
    }

    /// Waits until the peer reads no more: with its code, or `None` when it has read all. `waiting` is kept by the
    /// caller between calls.
    pub fn poll_stopped(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut Option<Stopped>,
    ) -> Poll<Result<Option<u64>, HalfEnd>> {
        let s = match self {
            SendHalf::Quic(s) => s,
            SendHalf::Tcp(s) => return s.poll_stopped(cx).map_ok(Some),
        };
        let stopped = match waiting {
            Some(stopped) => stopped,
            none => none.insert(Box::pin(s.stopped())),
        };
        Poll::Ready(match ready!(stopped.as_mut().poll(cx)) {
            Ok(code) => Ok(code.map(VarInt::into_inner)),
            Err(StoppedError::ConnectionLost(e)) => Err(HalfEnd::Lost(e.into())),
            Err(_) => Err(OVER),
        })
    }
}

/// The receiving half of a stream.
#[derive(Debug)]
pub(crate) enum RecvHalf {
    Quic(RecvStream),
    Tcp(MuxRecv),
}

impl RecvHalf {
    /// Hands out what has come, and returns how many chunks; `None` at the end. With `most`, one chunk of at most so
    /// many bytes.
    pub fn poll_read_chunks(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
        most: usize,
    ) -> Poll<Result<Option<usize>, HalfEnd>> {
        let one = match self {
            RecvHalf::Quic(r) if most == usize::MAX => {
                return pin!(r.read_chunks(chunks)).poll(cx).map_err(Into::into);
            }
            RecvHalf::Quic(r) => ready!(pin!(r.read_chunk(most, true)).poll(cx))?.map(|chunk| chunk.bytes),
            RecvHalf::Tcp(r) => ready!(r.poll_read(cx, most))?,
        };
        Poll::Ready(Ok(one.zip(chunks.first_mut()).map(|(bytes, chunk)| {
            *chunk = bytes;
            1
        })))
    }

    /// Up to `most` bytes; `None` at the end.
    pub async fn read_chunk(&mut self, most: usize) -> Result<Option<Bytes>, HalfEnd> {
        match self {
            RecvHalf::Quic(r) => Ok(r.read_chunk(most, true).await?.map(|chunk| chunk.bytes)),
            RecvHalf::Tcp(r) => poll_fn(|cx| r.poll_read(cx, most)).await,
        }
    }

    pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> Result<(), HalfEnd> {
        let r = match self {
            RecvHalf::Quic(r) => return Ok(r.read_exact(buf).await?),
            RecvHalf::Tcp(r) => r,
        };
        while !buf.is_empty() {
            let chunk = poll_fn(|cx| r.poll_read(cx, buf.len())).await?.ok_or(SHORT)?;
            let (now, rest) = buf.split_at_mut(chunk.len().min(buf.len()));
            now.copy_from_slice(&chunk);
            buf = rest;
        }
        Ok(())
    }

    /// Reads no more.
    pub fn stop(&mut self, code: VarInt) {
        match self {
            // Fails only if it is over already.
            RecvHalf::Quic(r) => drop(r.stop(code)),
            RecvHalf::Tcp(r) => r.stop(code),
        }
    }
}
