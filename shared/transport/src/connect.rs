//! From an address to a connection whose peer is known, over QUIC or TCP.

use std::net::SocketAddr;

use catalyst_identity::SERVER_NAME;
use catalyst_tunnel::names::NodeName;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::config::Carrier;
use crate::conn::Conn;
use crate::error::{DialError, TransportError, explain};
use crate::mux::{self, Windows};
use crate::place;
use crate::profile::LinkProfile;
use crate::quic;
use crate::rt::lock;
use crate::state::Shared;
use crate::tls::TlsStream;

/// Connects for one of [`quic::PEER`] and [`quic::DATA`], and returns who answered. The caller sets the time.
pub(crate) async fn connect(
    shared: &Shared,
    remote: SocketAddr,
    carrier: Carrier,
    alpn: &'static [u8],
    profile: &LinkProfile,
) -> Result<(Conn, NodeName), DialError> {
    let handshake = |reason| DialError::Handshake { remote, reason };
    if carrier == Carrier::Tcp {
        return tcp(shared, remote, alpn).await;
    }
    let client = lock(&shared.dialling).client(alpn, &shared.limits, profile)?;
    let (connecting, driver) =
        place::catch(&shared.flows, || shared.endpoint.connect_with(client, remote, SERVER_NAME));
    if alpn == quic::PEER {
        driver.start_at_home(&shared.rt);
    } else {
        drop(driver);
    }
    let connection = connecting
        .map_err(|source| DialError::Connect { remote, source })?
        .await
        .map_err(|e| handshake(explain(&e)))?;
    let found = quic::name_of(&connection).map_err(handshake)?;
    Ok((Conn::Quic(connection), found))
}

async fn tcp(
    shared: &Shared,
    remote: SocketAddr,
    alpn: &'static [u8],
) -> Result<(Conn, NodeName), DialError> {
    let handshake = |reason| DialError::Handshake { remote, reason };
    let runtime = shared.tcp.as_ref().ok_or(DialError::NoTcp)?;
    let config = lock(&shared.dialling).tls(alpn)?;
    let name = ServerName::try_from(SERVER_NAME).map_err(|e| TransportError::Tls(e.to_string()))?;
    let tls = ClientConnection::new(config, name).map_err(|e| TransportError::Tls(e.to_string()))?;
    let socket = runtime.connect(remote).await.map_err(|source| DialError::Tcp { remote, source })?;
    let stream = TlsStream::handshake(socket, Box::new(tls)).await.map_err(handshake)?;
    if stream.alpn() != Some(alpn) {
        return Err(handshake("it does not speak this version of the peering protocol".to_owned()));
    }
    let found = stream.peer().map_err(handshake)?;
    let streams = if alpn == quic::DATA { shared.limits.flows_at_first() } else { 0 };
    Ok((start(shared, stream, remote, true, streams, alpn != quic::DATA), found))
}

/// Starts the multiplexer over a TLS stream whose peer is known.
pub(crate) fn start(
    shared: &Shared,
    stream: TlsStream,
    remote: SocketAddr,
    dialled: bool,
    streams: u32,
    control: bool,
) -> Conn {
    let limits = &shared.limits;
    let (connection, one, _) = limits.windows(control);
    let windows = Windows { stream: one, connection, streams };
    // Where its socket is, too.
    let place = if dialled && control { &shared.rt } else { &shared.flows };
    Conn::Tcp(mux::start(place, stream, remote, dialled, windows, limits.close))
}
