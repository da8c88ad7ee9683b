//! The exchange of a node that wants a certificate: one question, one answer, on a connection of its own.
//!
//! ALPN `catalyst-join/1`, one bidirectional stream, messages with a length (u32, big-endian) before them, the first of the
//! asking side an empty one: it makes the stream known. What the others say
//! is the caller's business. A connection without a certificate can do nothing else than this.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use catalyst_tunnel::names::NodeName;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, Runtime, SendStream};
use rustls::pki_types::CertificateDer;

use crate::code;
use crate::config::Resolver;
use crate::error::explain;
use crate::limits::Limits;
use crate::quic;
use crate::rt::Rt;

/// ALPN of the exchange, for the TLS configuration of the asking side.
pub const JOIN_ALPN: &[&[u8]] = &[quic::JOIN];

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

/// One exchange; either side may hold it.
pub struct EnrolStream {
    rt: Rt,
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
    /// Of the asking side: goes with the exchange.
    endpoint: Option<Endpoint>,
    /// Of the answering side: its place among those that are served at once.
    _place: Option<Arc<()>>,
}

impl fmt::Debug for EnrolStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolStream({})", self.connection.remote_address())
    }
}

impl EnrolStream {
    /// The answering side: takes the stream that the other side opens.
    pub(crate) async fn accept(rt: &Rt, connection: Connection, place: Arc<()>) -> Result<Self, String> {
        connection.set_max_concurrent_bi_streams(quinn::VarInt::from_u32(1));
        let stream = rt.timeout(Limits::ENROL_PATIENCE, connection.accept_bi()).await;
        let (send, recv) = stream.map_err(|_| "no question came".to_owned())?.map_err(|e| explain(&e))?;
        let rt = rt.clone();
        let mut stream = EnrolStream { rt, connection, send, recv, endpoint: None, _place: Some(place) };
        let first = stream.read().await.map_err(|e| e.to_string())?;
        if first.is_empty() { Ok(stream) } else { Err("the exchange did not begin as it must".to_owned()) }
    }

    /// Where the other side is.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// The node in the other side's certificate, if it showed one; on the answering side it was verified.
    #[must_use]
    pub fn peer(&self) -> Option<NodeName> {
        quic::name_of(&self.connection).ok()
    }

    /// The certificates that the other side showed, leaf first.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let identity = self.connection.peer_identity();
        identity.and_then(|c| c.downcast().ok()).map(|c| *c).unwrap_or_default()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn write(&mut self, message: &[u8]) -> Result<(), EnrolError> {
        let length = u32::try_from(message.len()).ok().filter(|_| message.len() <= Limits::ENROL_MESSAGE);
        let length = length.ok_or(EnrolError::TooLong(message.len()))?;
        let send = &mut self.send;
        let work = async {
            send.write_all(&length.to_be_bytes()).await?;
            send.write_all(message).await
        };
        let written = self.rt.timeout(Limits::ENROL_PATIENCE, work).await;
        written.map_err(|_| EnrolError::Late(Limits::ENROL_PATIENCE))?.map_err(|e| self.lost(&e))
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
        let read = self.rt.timeout(Limits::ENROL_PATIENCE, self.recv.read_exact(buffer)).await;
        read.map_err(|_| EnrolError::Late(Limits::ENROL_PATIENCE))?.map_err(|e| self.lost(&e))
    }

    fn lost(&self, error: &dyn fmt::Display) -> EnrolError {
        EnrolError::Lost(self.connection.close_reason().map_or_else(|| error.to_string(), |e| explain(&e)))
    }

    /// Ends the answering side: the other one has time to take the last message.
    pub async fn answered(mut self) {
        let _ = self.send.finish();
        let _ = self.rt.timeout(Limits::ENROL_PATIENCE, self.connection.closed()).await;
    }

    /// Ends the asking side, and waits until the other one knows.
    pub async fn done(self) {
        self.connection.close(code::CLOSED, b"");
        if let Some(endpoint) = &self.endpoint {
            let _ = self.rt.timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
        }
    }
}

/// Dials the answering side from a socket of its own. `tls` says how it is judged and what this side shows.
///
/// # Errors
/// [`EnrolError`], after all addresses of the name were tried.
pub async fn enrol(
    runtime: Arc<dyn Runtime>,
    resolver: &Resolver,
    address: &str,
    tls: rustls::ClientConfig,
) -> Result<EnrolStream, EnrolError> {
    let rt = Rt::new(runtime);
    let resolving = rt.timeout(Limits::ENROL_PATIENCE, resolver(address.to_owned())).await;
    let found = resolving
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| EnrolError::Resolve { address: address.to_owned(), source })?;
    let refused = |reason: String| EnrolError::Connect { address: address.to_owned(), reason };
    let crypto = QuicClientConfig::try_from(tls).map_err(|e| refused(e.to_string()))?;
    let config = ClientConfig::new(Arc::new(crypto));
    let mut last = refused("the name has no address".to_owned());
    for remote in found.into_iter().take(Limits::ADDRESSES) {
        match attempt(&rt, remote, config.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(Failed::Socket(e)) => last = EnrolError::Socket(e),
            Err(Failed::Refused(reason)) => last = refused(reason),
        }
    }
    Err(last)
}

enum Failed {
    Socket(io::Error),
    Refused(String),
}

async fn attempt(rt: &Rt, remote: SocketAddr, config: ClientConfig) -> Result<EnrolStream, Failed> {
    let any = match remote {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).map_err(Failed::Socket)?;
    let endpoint =
        Endpoint::new(EndpointConfig::default(), None, socket, rt.inner()).map_err(Failed::Socket)?;
    let work = async {
        let connecting = endpoint
            .connect_with(config, remote, catalyst_identity::SERVER_NAME)
            .map_err(|e| Failed::Refused(e.to_string()))?;
        let connection = connecting.await.map_err(|e| Failed::Refused(why(&explain(&e))))?;
        let (send, recv) = connection.open_bi().await.map_err(|e| Failed::Refused(why(&explain(&e))))?;
        Ok((connection, send, recv))
    };
    let done = rt.timeout(Limits::ENROL_PATIENCE, work).await;
    let late = |_| {
        Failed::Refused(format!(
            "no answer at {remote} within {:?}: is the node running, and does UDP pass?",
            Limits::ENROL_PATIENCE
        ))
    };
    let (connection, send, recv) = done.map_err(late)??;
    let mut stream =
        EnrolStream { rt: rt.clone(), connection, send, recv, endpoint: Some(endpoint), _place: None };
    // The other side speaks first, but learns of the stream only by its first byte.
    stream.write(b"").await.map_err(|e| Failed::Refused(e.to_string()))?;
    Ok(stream)
}

fn why(text: &str) -> String {
    if text.contains("no common ALPN") {
        "that node issues no certificates: it has no 'authority.root' in its configuration".to_owned()
    } else {
        text.to_owned()
    }
}
