//! The verifier of peers, for both ends of a handshake.
//!
//! A certificate is accepted when its SPIFFE ID names a node and it chains to a root of *exactly* that ID's
//! organisation. Bundles are never pooled: the root of one organisation cannot vouch for a name of another.
//! Host names play no part: a node is who its certificate says, wherever it was dialled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use catalyst_names::{NodeName, SpiffeId, SpiffeKind};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::date::Date;
use crate::error::IdentityError;
use crate::limits::Limits;
use crate::provider::provider;
use crate::trust::TrustStore;
use crate::x509;

/// The time that validity is judged by. The shell gives the larger of the wall clock and the clock floor
/// (build time, or the last time seen), because a board without a battery boots in 1970.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Seconds since 1970 UTC.
    fn validity_unix(&self) -> u64;

    /// Whether the wall clock is known to be wrong, so that this is only the earliest moment that it can be. Then a
    /// certificate that is not valid yet tells the time: whoever signed it has a clock.
    fn is_behind(&self) -> bool {
        false
    }
}

/// Verifies peers against a [`TrustStore`], as client and as server. Clones share the store and the clock.
#[derive(Clone)]
pub struct PeerVerifier {
    /// Whether a client may come without a certificate: to ask for one.
    open: bool,
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The node that a peer's chain names. For use after a handshake that [`PeerVerifier`] has passed: this verifies nothing.
///
/// # Errors
/// When the chain is empty or its leaf does not name a node.
pub fn peer_name(chain: &[CertificateDer<'_>]) -> Result<NodeName, IdentityError> {
    x509::node_name(chain.first().ok_or(IdentityError::NoCertificate)?)
}

impl PeerVerifier {
    /// A verifier over a shared store; changes of the store take effect with the next handshake.
    #[must_use]
    pub fn new(trust: TrustStore, clock: Arc<dyn Clock>) -> Self {
        PeerVerifier {
            open: false,
            trust,
            clock,
            algorithms: provider(false).signature_verification_algorithms,
        }
    }

    /// One that also lets clients without a certificate finish the handshake. What they may do is the caller's to limit.
    #[must_use]
    pub fn with_strangers(self) -> Self {
        PeerVerifier { open: true, ..self }
    }

    /// Whether it is one of those.
    #[must_use]
    pub fn lets_strangers_in(&self) -> bool {
        self.open
    }

    /// The clock that validity is judged by.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Verifies a peer that dialled us: its leaf must be good for client authentication.
    ///
    /// # Errors
    /// The one reason why the peer is not who it claims to be.
    pub fn verify_client(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<NodeName, IdentityError> {
        self.verify(leaf, intermediates, KeyUsage::client_auth())
    }

    /// Verifies a peer that we dialled: its leaf must be good for server authentication.
    ///
    /// # Errors
    /// The one reason why the peer is not who it claims to be.
    pub fn verify_server(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<NodeName, IdentityError> {
        self.verify(leaf, intermediates, KeyUsage::server_auth())
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: KeyUsage,
    ) -> Result<NodeName, IdentityError> {
        let presented = intermediates.len() + 1;
        if presented > Limits::CHAIN {
            return Err(IdentityError::TooMuch {
                what: "peer's certificate chain",
                size: presented,
                unit: "certificates",
                max: Limits::CHAIN,
            });
        }
        if let Some(der) = intermediates.iter().chain([leaf]).find(|der| der.len() > Limits::CERTIFICATE) {
            return Err(IdentityError::TooMuch {
                what: "peer's certificate",
                size: der.len(),
                unit: "bytes",
                max: Limits::CERTIFICATE,
            });
        }
        let name = x509::node_name(leaf)?;
        let Some(bundle) = self.trust.bundle(&name.org_id()) else {
            return Err(IdentityError::UnknownOrganisation { name: Box::new(name) });
        };
        let cert = EndEntityCert::try_from(leaf)
            .map_err(|e| IdentityError::Damaged { what: "peer's certificate", reason: e.to_string() })?;
        let mut now = self.clock.validity_unix();
        let anchors = bundle.anchors();
        let judge = |now: u64| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
            cert.verify_for_usage(self.algorithms.all, &anchors, intermediates, time, usage, None, None)
        };
        let mut judged = judge(now);
        if self.clock.is_behind() {
            // Once for each certificate of the chain, at most; what has expired by then stays expired.
            for _ in 0..presented {
                let Err(webpki::Error::CertNotValidYet { not_before, .. }) = &judged else { break };
                now = now.max(not_before.as_secs());
                judged = judge(now);
            }
        }
        let path = judged.map_err(|e| chain_error(e, &name, now))?;
        check_issuers(&path, &name)?;
        let parsed = x509::parse(leaf, "peer's certificate")?;
        if self.trust.is_revoked(&name, parsed.public_key().subject_public_key.data.as_ref()) {
            return Err(IdentityError::Revoked { name: Box::new(name) });
        }
        Ok(name)
    }
}

/// webpki does not know name constraints on URIs, so the names of intermediates are checked here: one that names
/// the organisation may issue for all its nodes, one that names a node only for that node.
fn check_issuers(path: &VerifiedPath<'_>, name: &NodeName) -> Result<(), IdentityError> {
    for issuer in path.intermediate_certificates() {
        let uri = x509::uri_name(&issuer.der()).map_err(|e| IdentityError::Chain {
            name: Box::new(name.clone()),
            reason: format!("its issuer: {e}"),
        })?;
        let whole_org = x509::trust_domain(&uri).is_some_and(|org| org.as_str() == name.org());
        let this_node = uri.parse::<SpiffeId>().is_ok_and(|id| {
            matches!(&id.kind, SpiffeKind::Node(node) if node.as_str() == name.node())
                && id.org.as_str() == name.org()
        });
        if !whole_org && !this_node {
            return Err(IdentityError::WrongIssuer { name: Box::new(name.clone()), issuer: uri });
        }
    }
    Ok(())
}

fn chain_error(error: webpki::Error, name: &NodeName, now: u64) -> IdentityError {
    let name = Box::new(name.clone());
    let now = Date(now);
    match error {
        webpki::Error::CertExpired { not_after, .. } => {
            IdentityError::Expired { name, not_after: Date(not_after.as_secs()), now }
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            IdentityError::NotYetValid { name, not_before: Date(not_before.as_secs()), now }
        }
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            IdentityError::WrongSignature { name }
        }
        other => IdentityError::Chain { name, reason: format!("{other:?}") },
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify_server(end_entity, intermediates)
            .map(|_| ServerCertVerified::assertion())
            .map_err(IdentityError::into_tls)
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
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        !self.open
    }

    /// No hints: which organisations we trust is nobody's business before they prove who they are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify_client(end_entity, intermediates)
            .map(|_| ClientCertVerified::assertion())
            .map_err(IdentityError::into_tls)
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
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").field("trust", &self.trust).field("clock", &self.clock).finish()
    }
}
