//! TLS over a TCP connection, polled.

use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use catalyst_identity::peer_name;
use catalyst_tunnel::names::NodeName;
use rustls::pki_types::CertificateDer;
use rustls::{ConnectionCommon, SideData};

use crate::error::alert_text;
use crate::tcp::TcpSocket;

/// One end of TLS: of the side that dialled or the side that accepted. Behind a trait, so that a node that only
/// dials has no code of a server in it.
pub(crate) trait Tls: Send {
    fn read_tls(&mut self, from: &mut dyn Read) -> io::Result<usize>;
    fn write_tls(&mut self, to: &mut dyn Write) -> io::Result<usize>;
    fn process(&mut self) -> Result<(), rustls::Error>;
    fn is_handshaking(&self) -> bool;
    fn wants_write(&self) -> bool;
    /// Plain bytes that have come; `WouldBlock` when none have, empty at the end in order.
    fn plain(&mut self) -> io::Result<&[u8]>;
    fn consume(&mut self, bytes: usize);
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn close_notify(&mut self);
    fn peer(&self) -> Result<NodeName, String>;
    fn chain(&self) -> Vec<CertificateDer<'static>>;
    fn alpn(&self) -> Option<&[u8]>;
}

impl<C, D> Tls for C
where
    C: DerefMut<Target = ConnectionCommon<D>> + Send,
    D: SideData + 'static,
{
    fn read_tls(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        (**self).read_tls(from)
    }

    fn write_tls(&mut self, to: &mut dyn Write) -> io::Result<usize> {
        (**self).write_tls(to)
    }

    fn process(&mut self) -> Result<(), rustls::Error> {
        self.process_new_packets().map(drop)
    }

    fn is_handshaking(&self) -> bool {
        (**self).is_handshaking()
    }

    fn wants_write(&self) -> bool {
        (**self).wants_write()
    }

    fn plain(&mut self) -> io::Result<&[u8]> {
        self.reader().into_first_chunk()
    }

    fn consume(&mut self, bytes: usize) {
        self.reader().consume(bytes);
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn close_notify(&mut self) {
        self.send_close_notify();
    }

    fn peer(&self) -> Result<NodeName, String> {
        match self.peer_certificates() {
            Some(chain) => peer_name(chain).map_err(|e| e.to_string()),
            None => Err("the peer showed no certificate".to_owned()),
        }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.peer_certificates().unwrap_or_default().to_vec()
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.alpn_protocol()
    }
}

/// TLS and the socket below it.
pub(crate) struct TlsStream {
    socket: Box<dyn TcpSocket>,
    tls: Box<dyn Tls>,
}

/// The socket as rustls wants it: what is not ready is `WouldBlock`, and wakes the task later.
struct Blocking<'a, 'b> {
    socket: &'a mut dyn TcpSocket,
    cx: &'a mut Context<'b>,
}

fn or_would_block<T>(ready: Poll<io::Result<T>>) -> io::Result<T> {
    match ready {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Blocking<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.socket).poll_read(self.cx, buf))
    }
}

impl Write for Blocking<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.socket).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.socket).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pending_if_blocked<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl TlsStream {
    /// Shakes hands. An error says who refused whom, and why.
    pub async fn handshake(socket: Box<dyn TcpSocket>, tls: Box<dyn Tls>) -> Result<Self, String> {
        let mut stream = TlsStream { socket, tls };
        let done = poll_fn(|cx| stream.poll_handshake(cx)).await;
        if let Err(e) = done {
            // The peer hears why, if there is room for it at once.
            let _ = poll_fn(|cx| Poll::Ready(stream.poll_flush(cx).is_ready())).await;
            return Err(explain(&e));
        }
        Ok(stream)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_flush(cx))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Who the verified certificate says it is.
    pub fn peer(&self) -> Result<NodeName, String> {
        self.tls.peer()
    }

    /// The certificates that the other side showed, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.tls.chain()
    }

    /// The protocol that both ends agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut socket = Blocking { socket: &mut *self.socket, cx };
        let read = ready!(pending_if_blocked(self.tls.read_tls(&mut socket)))?;
        self.tls.process().map_err(io::Error::other)?;
        Poll::Ready(Ok(read))
    }

    /// Waits until there are plain bytes, in [`TlsStream::plain`], or the end: `false`.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match pending_if_blocked(self.tls.plain()) {
                Poll::Ready(plain) => return Poll::Ready(plain.map(|p| !p.is_empty())),
                Poll::Pending => drop(ready!(self.poll_receive(cx))?),
            }
        }
    }

    /// What has come and was not consumed.
    pub fn plain(&mut self) -> &[u8] {
        self.tls.plain().unwrap_or_default()
    }

    pub fn consume(&mut self, bytes: usize) {
        self.tls.consume(bytes);
    }

    /// Takes as many plain bytes as there is room for; waits for the socket when there is none.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = self.tls.write(bytes)?;
        if taken > 0 {
            return Poll::Ready(Ok(taken));
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(self.tls.write(bytes))
    }

    /// Hands everything to the system.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut socket = Blocking { socket: &mut *self.socket, cx };
            if ready!(pending_if_blocked(self.tls.write_tls(&mut socket)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Pin::new(&mut *self.socket).poll_flush(cx)
    }

    /// Ends the writing half in order.
    pub async fn close(&mut self) -> io::Result<()> {
        self.tls.close_notify();
        poll_fn(|cx| self.poll_flush(cx)).await?;
        poll_fn(|cx| Pin::new(&mut *self.socket).poll_close(cx)).await
    }
}

/// The end of TLS in words that help: who refused whom, and why.
pub(crate) fn explain(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("handshake refused by the peer: {}", alert_text(u8::from(*alert)))
        }
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(own))) => {
            format!("handshake refused by this node: {own}")
        }
        Some(other) => format!("handshake refused by this node: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the peer's TCP connection ended without a word".to_owned()
        }
        None => error.to_string(),
    }
}
