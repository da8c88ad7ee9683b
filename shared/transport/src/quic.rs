//! QUIC and TLS configurations, and what a finished handshake tells.

use std::sync::Arc;
use std::time::Duration;

use catalyst_identity::{Credentials, PeerVerifier, client_config, peer_name, server_config};
use catalyst_tunnel::names::NodeName;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, IdleTimeout, ServerConfig, VarInt};
use rustls::pki_types::CertificateDer;

use crate::congestion::Factory;
use crate::error::TransportError;
use crate::limits::Limits;
use crate::profile::LinkProfile;

/// ALPN of the exchange of a node that wants a certificate.
pub(crate) const JOIN: &[u8] = b"catalyst-join/1";
/// ALPN of the control connection; its number is the envelope's major version.
pub(crate) const PEER: &[u8] = b"catalyst-peer/1";
/// ALPN of the data connection.
pub(crate) const DATA: &[u8] = b"catalyst-data/1";

/// A backstop only: see `profile.rs` on who notices silence.
const IDLE: VarInt = VarInt::from_u32(90_000);

/// So many packets may come before one is acknowledged at once (draft-ietf-quic-ack-frequency); otherwise the delay of
/// acknowledgements decides, and packets out of order are acknowledged at once. Each acknowledgement is a datagram of its
/// own when nothing else is to be said, and it goes out before what the packet brought is looked at.
const ACK_EVERY: u32 = 8;

/// `streams` is how many the other end may open before it is told of more.
fn transport(
    limits: &Limits,
    profile: &LinkProfile,
    streams: u32,
    control: bool,
) -> Arc<quinn::TransportConfig> {
    let (window, stream, send) = limits.windows(control);
    let mut config = quinn::TransportConfig::default();
    let mut acks = quinn::AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY));
    config
        .ack_frequency_config(Some(acks))
        .max_idle_timeout(Some(IdleTimeout::from(IDLE)))
        .keep_alive_interval(Some(profile.keep_alive))
        .initial_rtt(profile.initial_rtt)
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(window))
        .stream_receive_window(VarInt::from_u32(stream))
        .send_window(send)
        .datagram_receive_buffer_size(Some(limits.datagrams))
        .datagram_send_buffer_size(limits.datagrams / 2)
        .congestion_controller_factory(Arc::new(Factory { noisy: profile.noisy }));
    Arc::new(config)
}

/// What the accepting side speaks: a node that issues certificates lets strangers in, to ask for one.
fn protocols(verifier: &PeerVerifier) -> &'static [&'static [u8]] {
    if verifier.lets_strangers_in() { &[PEER, DATA, JOIN] } else { &[PEER, DATA] }
}

/// For the accepting side. Nobody may open a stream until this node has looked at the certificate: the dialling
/// side learns by its first stream that it was let in.
pub(crate) fn server(
    credentials: &Credentials,
    verifier: &PeerVerifier,
    limits: &Limits,
    profile: &LinkProfile,
) -> Result<ServerConfig, TransportError> {
    let tls = server_config(credentials, verifier, protocols(verifier))?;
    let crypto = QuicServerConfig::try_from(tls).map_err(|e| TransportError::Tls(e.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport(limits, profile, 0, false))
        .max_incoming(limits.handshakes)
        .incoming_buffer_size(16 * 1024)
        .incoming_buffer_size_total(limits.handshakes as u64 * 16 * 1024)
        .retry_token_lifetime(Duration::from_secs(15));
    Ok(config)
}

/// The TLS of the accepting side over TCP.
pub(crate) fn tcp_server(
    credentials: &Credentials,
    verifier: &PeerVerifier,
) -> Result<Arc<rustls::ServerConfig>, TransportError> {
    Ok(Arc::new(server_config(credentials, verifier, protocols(verifier))?))
}

/// For the dialling side.
#[derive(Clone)]
pub(crate) struct Dialling {
    credentials: Credentials,
    verifier: PeerVerifier,
    prefer_chacha: bool,
}

impl Dialling {
    pub fn new(credentials: Credentials, verifier: PeerVerifier, prefer_chacha: bool) -> Self {
        Dialling { credentials, verifier, prefer_chacha }
    }

    /// Takes a renewed identity.
    pub fn renew(&mut self, credentials: Credentials, verifier: PeerVerifier) {
        self.credentials = credentials;
        self.verifier = verifier;
    }

    /// The TLS of one of [`PEER`] and [`DATA`], the same for QUIC and TCP.
    pub fn tls(&self, alpn: &'static [u8]) -> Result<Arc<rustls::ClientConfig>, TransportError> {
        Ok(Arc::new(client_config(&self.credentials, &self.verifier, &[alpn], self.prefer_chacha)?))
    }

    /// A configuration for one of [`PEER`] and [`DATA`].
    pub fn client(
        &self,
        alpn: &'static [u8],
        limits: &Limits,
        profile: &LinkProfile,
    ) -> Result<ClientConfig, TransportError> {
        let crypto =
            QuicClientConfig::try_from(self.tls(alpn)?).map_err(|e| TransportError::Tls(e.to_string()))?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        let streams = if alpn == DATA { limits.flows_at_first() } else { 0 };
        config.transport_config(transport(limits, profile, streams, alpn != DATA));
        Ok(config)
    }
}

/// The name in the certificate that the handshake has verified.
pub(crate) fn name_of(connection: &Connection) -> Result<NodeName, String> {
    let chain = connection.peer_identity().and_then(|c| c.downcast::<Vec<CertificateDer<'static>>>().ok());
    match chain {
        Some(chain) => peer_name(&chain).map_err(|e| e.to_string()),
        None => Err("the peer showed no certificate".to_owned()),
    }
}

/// The protocol that both ends agreed on.
pub(crate) fn alpn_of(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}
