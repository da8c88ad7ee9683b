//! A source that bytes go through.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use crate::known::Side;
use crate::source::Source;

/// A stream socket. Closing it ends the writing direction alone.
#[derive(Debug)]
pub struct Stream<T: AsFd>(pub Source<T>);

impl<T: AsFd> Stream<T> {
    /// Moves bytes, at most `len`. A call that moved fewer has emptied or filled the socket (epoll(7), question 9): the
    /// next need not be made before the system tells of a change.
    fn poll_move(
        &self,
        side: Side,
        cx: &Context<'_>,
        len: usize,
        mut call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(changes) = self.0.poll_ready(side, cx) else { return Poll::Pending };
        let moved = self.0.poll_call(side, cx, &mut call);
        if let Poll::Ready(Ok(moved)) = moved
            && moved > 0
            && moved < len
        {
            self.0.exhausted(side, changes);
        }
        moved
    }
}

impl<T: AsFd + Unpin> AsyncRead for Stream<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_move(Side::Read, cx, buf.len(), |mut io| io.read(buf))
    }
}

impl<T: AsFd + Unpin> AsyncWrite for Stream<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_move(Side::Write, cx, buf.len(), |mut io| io.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_move(Side::Write, cx, len, |mut io| io.write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match shutdown(&self.0, Shutdown::Write) {
            // The other end is gone already.
            Err(Errno::NOTCONN) => Ok(()),
            done => done.map_err(Into::into),
        })
    }
}
