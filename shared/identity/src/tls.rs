//! TLS configurations for peering: version 1.3 alone, mutual, without tickets, resumption or early data.
//!
//! Resumption would skip the certificate check, so a peer whose trust was withdrawn could come back with a ticket.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::UnixTime;

use crate::credentials::Credentials;
use crate::error::IdentityError;
use crate::provider::provider;
use crate::verify::{Clock, PeerVerifier};

/// The server name to give to a TLS or QUIC connector. It is neither sent nor checked: a node is who its certificate says.
pub const SERVER_NAME: &str = "catalyst-node";

/// The configuration of the end that is dialled. The order of ciphers is the client's to choose.
///
/// # Errors
/// When the TLS library refuses the configuration.
pub fn server_config(
    credentials: &Credentials,
    verifier: &PeerVerifier,
    alpn: &[&[u8]],
) -> Result<ServerConfig, IdentityError> {
    let mut config = ServerConfig::builder_with_details(provider(false), time_of(verifier))
        .with_protocol_versions(&[&TLS13])
        .map_err(refused)?
        .with_client_cert_verifier(Arc::new(verifier.clone()))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The configuration of the end that dials.
///
/// `prefer_chacha` is for processors without AES instructions; the shell asks the processor.
///
/// # Errors
/// When the TLS library refuses the configuration.
pub fn client_config(
    credentials: &Credentials,
    verifier: &PeerVerifier,
    alpn: &[&[u8]],
    prefer_chacha: bool,
) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_details(provider(prefer_chacha), time_of(verifier))
        .with_protocol_versions(&[&TLS13])
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier.clone()))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}

fn refused(e: rustls::Error) -> IdentityError {
    IdentityError::Crypto { doing: "set up TLS", reason: e.to_string() }
}

fn time_of(verifier: &PeerVerifier) -> Arc<dyn TimeProvider> {
    Arc::new(OurTime(verifier.clock()))
}

/// rustls would read the system clock by itself; this hands it the shell's.
#[derive(Debug)]
struct OurTime(Arc<dyn Clock>);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.validity_unix())))
    }
}
