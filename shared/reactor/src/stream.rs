//! A source that bytes go through.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use crate::known::Side;
use crate::source::Source;

/// A stream socket of the standard library.
pub trait Socket: AsFd {
    /// Whether a read that fills less than its buffer has emptied the socket. A Unix socket ends a read behind a message
    /// with descriptors (unix(7)), so of it nothing can be learned.
    const SHORT_IS_EMPTY: bool;
}

impl Socket for TcpStream {
    const SHORT_IS_EMPTY: bool = true;
}

impl Socket for UnixStream {
    const SHORT_IS_EMPTY: bool = false;
}

/// Slices that the system takes in one call (`IOV_MAX`); the standard library passes no more.
const SLICES: usize = 1_024;

/// A stream socket. Closing it ends the writing direction alone.
#[derive(Debug)]
pub struct Stream<T: Socket>(pub Source<T>);

impl<T: Socket> AsFd for Stream<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.io().as_fd()
    }
}

impl<T: Socket> Stream<T> {
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
            && (side == Side::Write || T::SHORT_IS_EMPTY)
        {
            self.0.exhausted(side, changes);
        }
        moved
    }
}

impl<T: Socket + Unpin> AsyncRead for Stream<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_move(Side::Read, cx, buf.len(), |mut io| io.read(buf))
    }
}

impl<T: Socket + Unpin> AsyncWrite for Stream<T>
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
        let len = bufs.iter().take(SLICES).map(|buf| buf.len()).sum();
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
