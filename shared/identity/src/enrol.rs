//! TLS of the enrolment: a node without a certificate asks one that it knows only by the fingerprint of a root.
//!
//! The node that answers proves in the handshake that it holds the key of its certificate; whose certificate that is,
//! can be told only when it has handed over its trust bundle. [`judge_authority`] does that, and nothing secret may be
//! sent before it has passed.

use std::sync::Arc;

use catalyst_names::{NodeName, OrgId};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::bundle::TrustBundle;
use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::limits::Limits;
use crate::provider::provider;
use crate::trust::TrustStore;
use crate::verify::{Clock, PeerVerifier};

/// The configuration of a node that joins: it shows no certificate, and takes any whose key is proven.
///
/// # Errors
/// When the TLS library refuses the configuration.
pub fn joining_config(alpn: &[&[u8]], prefer_chacha: bool) -> Result<ClientConfig, IdentityError> {
    let provider = provider(prefer_chacha);
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| IdentityError::Crypto { doing: "set up TLS", reason: e.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(JudgedLater(algorithms)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}

/// Whether the node at the other end, which showed `chain`, may speak for `org`: its bundle must hold a root that `roots`
/// names and no other, and its certificate must come from it.
///
/// # Errors
/// Why not.
pub fn judge_authority(
    chain: &[CertificateDer<'_>],
    bundle_pem: &str,
    org: &OrgId,
    roots: &[Fingerprint],
    clock: Arc<dyn Clock>,
) -> Result<(NodeName, TrustBundle), IdentityError> {
    let bundle = TrustBundle::from_pem(bundle_pem)?;
    if bundle.org() != org || !bundle.fingerprints().all(|root| roots.contains(&root)) {
        return Err(IdentityError::WrongAuthority { org: Box::new(org.clone()) });
    }
    let trust = TrustStore::new(Limits::default());
    trust.insert(bundle.clone())?;
    let (leaf, rest) = chain.split_first().ok_or(IdentityError::NoCertificate)?;
    let name = PeerVerifier::new(trust, clock).verify_server(leaf, rest)?;
    Ok((name, bundle))
}

/// Takes any certificate whose key signs the handshake.
#[derive(Debug)]
struct JudgedLater(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for JudgedLater {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
