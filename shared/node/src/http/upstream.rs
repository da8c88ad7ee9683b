//! The connection to a service.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use catalyst_transport::{FlowControl, FlowIo};
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, future};

use crate::plane::Way;
use crate::splice::LocalSocket;

/// Where requests go.
pub(super) enum Upstream<T> {
    Socket(T),
    Flow(FlowIo),
}

impl<T: LocalSocket> Upstream<T> {
    pub(super) fn from(way: Way<T>, control: &Arc<FlowControl>) -> Self {
        match way {
            Way::Socket(socket) => Upstream::Socket(socket),
            Way::Flow(flow) => Upstream::Flow(FlowIo::new(flow, control)),
        }
    }

    /// Back to what it was made of, and what was received and not read.
    pub(super) fn into_way(self) -> (Way<T>, Bytes) {
        match self {
            Upstream::Socket(socket) => (Way::Socket(socket), Bytes::new()),
            Upstream::Flow(flow) => {
                let (flow, rest) = flow.into_parts();
                (Way::Flow(flow), rest)
            }
        }
    }

    /// It is kept for another request.
    pub(super) fn rests(&self) {
        if let Upstream::Flow(flow) = self {
            flow.rests();
        }
    }

    /// Open, and nothing has come that nobody asked for: fit for another request.
    pub(super) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        future::poll_once(self.read(&mut byte)).await.is_none()
    }
}

impl<T: LocalSocket> AsyncRead for Upstream<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Upstream::Socket(socket) => Pin::new(socket).poll_read(cx, into),
            Upstream::Flow(flow) => Pin::new(flow).poll_read(cx, into),
        }
    }
}

impl<T: LocalSocket> AsyncWrite for Upstream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Upstream::Socket(socket) => Pin::new(socket).poll_write(cx, bytes),
            Upstream::Flow(flow) => Pin::new(flow).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Upstream::Socket(socket) => Pin::new(socket).poll_flush(cx),
            Upstream::Flow(flow) => Pin::new(flow).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Upstream::Socket(socket) => Pin::new(socket).poll_close(cx),
            Upstream::Flow(flow) => Pin::new(flow).poll_close(cx),
        }
    }
}
