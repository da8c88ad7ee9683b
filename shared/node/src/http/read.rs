//! One read, without a buffer that outlives it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::io::AsyncRead;

use crate::limits::Limits;

/// Reads once, at the end of what is there. While it waits it holds nothing.
pub(super) fn poll_read(
    from: Pin<&mut impl AsyncRead>,
    cx: &mut Context<'_>,
    into: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    let mut some = [0; Limits::HTTP_READ];
    let read = ready!(from.poll_read(cx, &mut some))?;
    into.extend_from_slice(some.get(..read).unwrap_or_default());
    Poll::Ready(Ok(read))
}
