//! The exchange of a node that wants a certificate: one question, one answer, on a connection of its own.
//!
//! ALPN `catalyst-join/1`, messages with a length (u32, big-endian) before them, on one bidirectional stream of QUIC or on
//! TLS over TCP; the first of the asking side is an empty one: it makes the stream known. What the others say is the
//! caller's business. A connection without a certificate can do nothing else than this.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catalyst_identity::peer_name;
use catalyst_tunnel::names::NodeName;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;

use crate::code;
use crate::error::explain;
use crate::limits::Limits;
use crate::rt::Rt;
use crate::tls::TlsStream;
use crate::visitors::Visitors;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The name of the other side does not resolve.
    #[error("cannot resolve '{address}': {source}")]
    Resolve {
        /// What was asked for.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No socket.
    #[error("cannot open a UDP socket: {0}")]
    Socket(io::Error),
    /// No connection.
    #[error("{address}: {reason}")]
    Connect {
        /// The other side.
        address: String,
        /// In words.
        reason: String,
    },
    /// The other side said nothing, or not enough, in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// A message that is longer than any.
    #[error("a message of {0} bytes; at most {max} are allowed", max = Limits::ENROL_MESSAGE)]
    TooLong(usize),
    /// The connection broke.
    #[error("the exchange broke off: {0}")]
    Lost(String),
}

/// What carries an exchange.
pub(crate) enum Line {
    Quic {
        connection: Connection,
        /// Once it is open.
        streams: Option<(SendStream, RecvStream)>,
        /// Of the asking side: goes with the exchange.
        endpoint: Option<Endpoint>,
    },
    Tcp {
        stream: Box<TlsStream>,
        remote: SocketAddr,
    },
}

impl Line {
    pub fn remote(&self) -> SocketAddr {
        match self {
            Line::Quic { connection, .. } => connection.remote_address(),
            Line::Tcp { remote, .. } => *remote,
        }
    }

    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        match self {
            Line::Quic { connection, .. } => {
                connection.peer_identity().and_then(|c| c.downcast().ok()).map(|c| *c).unwrap_or_default()
            }
            Line::Tcp { stream, .. } => stream.chain(),
        }
    }

    /// Turns the other side away. Over TCP it hears no reason.
    pub fn refuse(&self, code: VarInt, reason: &str) {
        if let Line::Quic { connection, .. } = self {
            connection.close(code, reason.as_bytes());
        }
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        match self {
            Line::Quic { streams: Some((send, _)), .. } => {
                send.write_all(bytes).await.map_err(|e| e.to_string())
            }
            Line::Quic { .. } => Err("there is no stream".to_owned()),
            Line::Tcp { stream, .. } => {
                let words = |e: io::Error| e.to_string();
                while !bytes.is_empty() {
                    let taken = poll_fn(|cx| stream.poll_write(cx, bytes)).await.map_err(words)?;
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                poll_fn(|cx| stream.poll_flush(cx)).await.map_err(words)
            }
        }
    }

    async fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<(), String> {
        let stream = match self {
            Line::Quic { streams: Some((_, recv)), .. } => {
                return recv.read_exact(buffer).await.map_err(|e| e.to_string());
            }
            Line::Quic { .. } => return Err("there is no stream".to_owned()),
            Line::Tcp { stream, .. } => stream,
        };
        while !buffer.is_empty() {
            if !poll_fn(|cx| stream.poll_readable(cx)).await.map_err(|e| e.to_string())? {
                return Err(
                    "the other side ended the connection; it may have no time: try again in a minute"
                        .to_owned(),
                );
            }
            let plain = stream.plain();
            let length = plain.len().min(buffer.len());
            let (now, rest) = std::mem::take(&mut buffer).split_at_mut(length);
            now.copy_from_slice(plain.get(..length).unwrap_or_default());
            stream.consume(length);
            buffer = rest;
        }
        Ok(())
    }

    /// Why it is over, if the other side or QUIC said so.
    fn reason(&self) -> Option<String> {
        match self {
            Line::Quic { connection, .. } => connection.close_reason().map(|e| explain(&e)),
            Line::Tcp { .. } => None,
        }
    }
}

/// One exchange; either side may hold it.
pub struct EnrolStream {
    rt: Rt,
    line: Line,
    /// Of the answering side: its place among those that are served at once.
    _place: Option<Arc<()>>,
    /// Of the answering side: who may ask how often.
    visitors: Option<Arc<Visitors>>,
}

impl fmt::Debug for EnrolStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolStream({})", self.line.remote())
    }
}

impl EnrolStream {
    /// The answering side: takes the stream that the other side opens.
    pub(crate) async fn accept(
        rt: &Rt,
        mut line: Line,
        place: Arc<()>,
        visitors: &Arc<Visitors>,
    ) -> Result<Self, String> {
        if let Line::Quic { connection, streams, .. } = &mut line {
            connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
            let stream = rt.timeout(Limits::ENROL_PATIENCE, connection.accept_bi()).await;
            let stream = stream.map_err(|_| "no question came".to_owned())?.map_err(|e| explain(&e))?;
            *streams = Some(stream);
        }
        let mut stream =
            EnrolStream { rt: rt.clone(), line, _place: Some(place), visitors: Some(Arc::clone(visitors)) };
        let first = stream.read().await.map_err(|e| e.to_string())?;
        if first.is_empty() { Ok(stream) } else { Err("the exchange did not begin as it must".to_owned()) }
    }

    /// The asking side: the other one speaks first, but learns of the stream only by its first byte.
    pub(crate) async fn begin(rt: &Rt, line: Line) -> Result<Self, EnrolError> {
        let mut stream = EnrolStream { rt: rt.clone(), line, _place: None, visitors: None };
        stream.write(b"").await?;
        Ok(stream)
    }

    /// The answering side: the other one gets what it wants, which counts for nothing against its address.
    pub fn served(&self) {
        if let Some(visitors) = self.visitors.as_ref().filter(|_| self.chain().is_empty()) {
            visitors.served(self.remote().ip());
        }
    }

    /// Where the other side is.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.line.remote()
    }

    /// The node in the other side's certificate, if it showed one; on the answering side it was verified.
    #[must_use]
    pub fn peer(&self) -> Option<NodeName> {
        peer_name(&self.chain()).ok()
    }

    /// The certificates that the other side showed, leaf first.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.line.chain()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn write(&mut self, message: &[u8]) -> Result<(), EnrolError> {
        let length = u32::try_from(message.len()).ok().filter(|_| message.len() <= Limits::ENROL_MESSAGE);
        let length = length.ok_or(EnrolError::TooLong(message.len()))?;
        let line = &mut self.line;
        let work = async {
            line.write_all(&length.to_be_bytes()).await?;
            line.write_all(message).await
        };
        let written = self.rt.timeout(Limits::ENROL_PATIENCE, work).await;
        written.map_err(|_| EnrolError::Late(Limits::ENROL_PATIENCE))?.map_err(|e| self.lost(e))
    }

    /// The next message.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn read(&mut self) -> Result<Vec<u8>, EnrolError> {
        let mut prefix = [0; 4];
        self.fill(&mut prefix).await?;
        let length = u32::from_be_bytes(prefix) as usize;
        if length > Limits::ENROL_MESSAGE {
            return Err(EnrolError::TooLong(length));
        }
        let mut message = vec![0; length];
        self.fill(&mut message).await?;
        Ok(message)
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EnrolError> {
        let read = self.rt.timeout(Limits::ENROL_PATIENCE, self.line.read_exact(buffer)).await;
        read.map_err(|_| EnrolError::Late(Limits::ENROL_PATIENCE))?.map_err(|e| self.lost(e))
    }

    fn lost(&self, error: String) -> EnrolError {
        EnrolError::Lost(self.line.reason().unwrap_or(error))
    }

    /// Ends the answering side: the other one has time to take the last message.
    pub async fn answered(mut self) {
        let work = async {
            match &mut self.line {
                Line::Quic { connection, streams, .. } => {
                    if let Some((send, _)) = streams {
                        let _ = send.finish();
                    }
                    connection.closed().await;
                }
                Line::Tcp { stream, .. } => {
                    let _ = stream.close().await;
                    while let Ok(true) = poll_fn(|cx| stream.poll_readable(cx)).await {
                        let length = stream.plain().len();
                        stream.consume(length);
                    }
                }
            }
        };
        let _ = self.rt.timeout(Limits::ENROL_PATIENCE, work).await;
    }

    /// Ends the answering side without an answer; over QUIC the other one hears why.
    pub fn broken_off(self, reason: &str) {
        self.line.refuse(code::FULL, reason);
    }

    /// Ends the asking side, and waits until the other one knows.
    pub async fn done(mut self) {
        let work = async {
            match &mut self.line {
                Line::Quic { connection, endpoint, .. } => {
                    connection.close(code::CLOSED, b"");
                    if let Some(endpoint) = endpoint {
                        endpoint.wait_idle().await;
                    }
                }
                Line::Tcp { stream, .. } => drop(stream.close().await),
            }
        };
        let _ = self.rt.timeout(Duration::from_secs(1), work).await;
    }
}
