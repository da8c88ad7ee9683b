//! The asking side of an exchange: finds the way to the node that issues certificates.
//!
//! QUIC first. When it gets no answer for a while, TLS over TCP is tried beside it, at the same port: what answers first
//! is used. Who refuses in words over QUIC is believed. Over TCP anybody may have the port: until the node has named the
//! protocol, a refusal counts only if QUIC gets no answer at all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use catalyst_identity::SERVER_NAME;
use futures_lite::future;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, EndpointConfig, Runtime};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::config::Resolver;
use crate::error::explain;
use crate::exchange::{EnrolError, EnrolStream, Line};
use crate::limits::Limits;
use crate::quic;
use crate::rt::{Rt, lock};
use crate::tcp::{TcpFuture, TcpSocket};
use crate::tls::TlsStream;

/// ALPN of the exchange, for the TLS configuration of the asking side.
pub const JOIN_ALPN: &[&[u8]] = &[quic::JOIN];

/// Makes a TCP connection.
pub type TcpConnect<'a> = &'a (dyn Fn(SocketAddr) -> TcpFuture<'static, Box<dyn TcpSocket>> + Send + Sync);

/// Dials the answering side, by QUIC from a socket of its own, or by TCP where QUIC gets no answer. `tls` says how it is
/// judged and what this side shows.
///
/// # Errors
/// [`EnrolError`], after all addresses of the name were tried.
pub async fn enrol(
    runtime: Arc<dyn Runtime>,
    tcp: TcpConnect<'_>,
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
    let crypto = QuicClientConfig::try_from(tls.clone()).map_err(|e| refused(e.to_string()))?;
    let (config, tls) = (ClientConfig::new(Arc::new(crypto)), Arc::new(tls));
    let mut last = refused("the name has no address".to_owned());
    for remote in found.into_iter().take(Limits::ADDRESSES) {
        let by_quic: Way<'_> = Box::pin(by_quic(&rt, remote, config.clone()));
        let by_tcp: Way<'_> = Box::pin(by_tcp(&rt, tcp, remote, Arc::clone(&tls)));
        let failed = Mutex::new(None);
        match future::or(unless_silent(by_quic, &failed), unless_silent(by_tcp, &failed)).await {
            Ok(stream) => return Ok(stream),
            Err(Failed::Socket(e)) => last = EnrolError::Socket(e),
            Err(Failed::Silent(reason) | Failed::Unsure(reason) | Failed::Refused(reason)) => {
                last = refused(reason);
            }
        }
    }
    Err(last)
}

enum Failed {
    Socket(io::Error),
    /// Nobody answered, or something on the way did.
    Silent(String),
    /// Something said no, which may be another than the node.
    Unsure(String),
    /// The other side said no.
    Refused(String),
}

type Outcome = Result<EnrolStream, Failed>;

/// Boxed: the code of one does for both.
type Way<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What came of one of two ways. Who got nowhere waits for the other, unless that one was there before.
async fn unless_silent(way: Way<'_>, failed: &Mutex<Option<Failed>>) -> Outcome {
    let error = match way.await {
        Err(error @ (Failed::Silent(_) | Failed::Unsure(_) | Failed::Socket(_))) => error,
        done => return done,
    };
    let other = lock(failed).replace(error);
    let Some(other) = other else { return future::pending().await };
    let mine = lock(failed).take();
    Err(match (other, mine) {
        (Failed::Silent(other), Some(Failed::Silent(mine))) => Failed::Silent(format!("{other}; {mine}")),
        (Failed::Silent(_) | Failed::Socket(_), Some(unsure @ Failed::Unsure(_))) => unsure,
        (other, _) => other,
    })
}

async fn by_quic(rt: &Rt, remote: SocketAddr, config: ClientConfig) -> Outcome {
    let any = match remote {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).map_err(Failed::Socket)?;
    let endpoint =
        Endpoint::new(EndpointConfig::default(), None, socket, rt.inner()).map_err(Failed::Socket)?;
    let work = async {
        let connecting =
            endpoint.connect_with(config, remote, SERVER_NAME).map_err(|e| Failed::Refused(e.to_string()))?;
        let connection = connecting.await.map_err(|e| Failed::Refused(why(&explain(&e))))?;
        let streams = connection.open_bi().await.map_err(|e| Failed::Refused(why(&explain(&e))))?;
        Ok((connection, streams))
    };
    let done = rt.timeout(Limits::ENROL_PATIENCE, work).await;
    let (connection, streams) = done.map_err(|_| silent("UDP", remote, &late()))??;
    begin(rt, Line::Quic { connection, streams: Some(streams), endpoint: Some(endpoint) }).await
}

async fn by_tcp(
    rt: &Rt,
    connect: TcpConnect<'_>,
    remote: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
) -> Outcome {
    rt.sleep(Limits::ENROL_HEAD_START).await;
    let refused = |e: String| Failed::Refused(why(&e));
    let unsure = |e: String| Failed::Unsure(format!("{remote} over TCP: {}", why(&e)));
    let work = async {
        let socket = connect(remote).await.map_err(|e| silent("TCP", remote, &e.to_string()))?;
        let name = ServerName::try_from(SERVER_NAME).map_err(|e| refused(e.to_string()))?;
        let tls = ClientConnection::new(tls, name).map_err(|e| refused(e.to_string()))?;
        let stream = TlsStream::handshake(socket, Box::new(tls)).await.map_err(unsure)?;
        // Something in between may answer in the name of all; the node itself names the protocol.
        if stream.alpn() != Some(quic::JOIN) {
            return Err(silent("TCP", remote, "what answers is no node"));
        }
        Ok(stream)
    };
    let done = rt.timeout(Limits::ENROL_PATIENCE, work).await;
    let stream = done.map_err(|_| silent("TCP", remote, &late()))??;
    begin(rt, Line::Tcp { stream: Box::new(stream), remote }).await
}

async fn begin(rt: &Rt, line: Line) -> Outcome {
    EnrolStream::begin(rt, line).await.map_err(|e| Failed::Refused(e.to_string()))
}

fn silent(protocol: &str, remote: SocketAddr, what: &str) -> Failed {
    Failed::Silent(format!(
        "{remote} over {protocol}: {what}: is the node running, and does {protocol} pass?"
    ))
}

fn late() -> String {
    format!("no answer within {:?}", Limits::ENROL_PATIENCE)
}

fn why(text: &str) -> String {
    if text.contains("no common ALPN") {
        "that node issues no certificates: it has no 'authority.root' in its configuration".to_owned()
    } else {
        text.to_owned()
    }
}
