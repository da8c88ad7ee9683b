//! Mutual TLS 1.3 between neighbours, and the secrets it needs.

use catalyst_names::{NodeName, OrgId};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;

use crate::proto::{Any, ads, any, core, exactly, inline, transport, yes};
use crate::site::names;

const SOCKET: &str = "envoy.transport_sockets.tls";

/// A certificate with its chain, and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those between it and the root.
    pub chain: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// The roots of one organisation, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The organisation.
    pub org: OrgId,
    /// Its root certificates.
    pub roots: String,
}

/// 1.3 alone, and post-quantum first. The maximum must be said: a client of Envoy's goes no higher than 1.2 without.
fn parameters() -> Option<tls::TlsParameters> {
    let version = tls::tls_parameters::TlsProtocol::TlSv13 as i32;
    Some(tls::TlsParameters {
        tls_minimum_protocol_version: version,
        tls_maximum_protocol_version: version,
        ecdh_curves: vec!["X25519MLKEM768".into(), "X25519".into()],
        ..Default::default()
    })
}

fn sds(name: &str) -> tls::SdsSecretConfig {
    tls::SdsSecretConfig { name: name.to_owned(), sds_config: ads() }
}

fn common(validation: tls::common_tls_context::ValidationContextType) -> Option<tls::CommonTlsContext> {
    Some(tls::CommonTlsContext {
        tls_params: parameters(),
        tls_certificate_sds_secret_configs: vec![sds(names::IDENTITY)],
        alpn_protocols: vec!["h2".into()],
        validation_context_type: Some(validation),
        ..Default::default()
    })
}

/// The mesh port: who comes in shows a certificate under a root that is trusted for its organisation.
pub(crate) fn mesh() -> Option<core::TransportSocket> {
    let validation =
        tls::common_tls_context::ValidationContextType::ValidationContextSdsSecretConfig(sds(names::TRUST));
    let context = tls::DownstreamTlsContext {
        common_tls_context: common(validation),
        require_client_certificate: yes(),
        // Resumption would skip the verification, and so outlive a change of trust.
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(
            tls::downstream_tls_context::SessionTicketKeysType::DisableStatelessSessionResumption(true),
        ),
        ..Default::default()
    };
    transport(SOCKET, any(context))
}

/// To this neighbour and to no other.
pub(crate) fn towards(own: &NodeName, peer: &NodeName) -> Option<core::TransportSocket> {
    let default = tls::CertificateValidationContext {
        match_typed_subject_alt_names: vec![tls::SubjectAltNameMatcher {
            san_type: tls::subject_alt_name_matcher::SanType::Uri as i32,
            matcher: Some(exactly(&names::spiffe(peer))),
            ..Default::default()
        }],
        ..Default::default()
    };
    let combined = tls::common_tls_context::CombinedCertificateValidationContext {
        default_validation_context: Some(default),
        validation_context_sds_secret_config: Some(sds(names::TRUST)),
        ..Default::default()
    };
    let validation = tls::common_tls_context::ValidationContextType::CombinedValidationContext(combined);
    let context = tls::UpstreamTlsContext {
        common_tls_context: common(validation),
        sni: names::server_name(own, peer),
        max_session_keys: crate::proto::number(0),
        ..Default::default()
    };
    transport(SOCKET, any(context))
}

/// The HTTPS ingress: a certificate of its own, and no client certificates.
pub(crate) fn ingress() -> Option<core::TransportSocket> {
    let context = tls::DownstreamTlsContext {
        common_tls_context: Some(tls::CommonTlsContext {
            tls_params: Some(tls::TlsParameters {
                tls_minimum_protocol_version: tls::tls_parameters::TlsProtocol::TlSv12 as i32,
                tls_maximum_protocol_version: tls::tls_parameters::TlsProtocol::TlSv13 as i32,
                ..Default::default()
            }),
            tls_certificate_sds_secret_configs: vec![sds(names::INGRESS)],
            alpn_protocols: vec!["h2".into(), "http/1.1".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    transport(SOCKET, any(context))
}

pub(crate) fn certificate(name: &str, identity: &Identity) -> tls::Secret {
    let certificate = tls::TlsCertificate {
        certificate_chain: inline(&identity.chain),
        private_key: inline(&identity.key),
        ..Default::default()
    };
    tls::Secret { name: name.to_owned(), r#type: Some(tls::secret::Type::TlsCertificate(certificate)) }
}

/// Each organisation's nodes are verified by that organisation's roots alone.
pub(crate) fn trust(bundles: &[Bundle]) -> tls::Secret {
    let domain = |bundle: &Bundle| tls::spiffe_cert_validator_config::TrustDomain {
        name: bundle.org.to_string(),
        trust_bundle: inline(&bundle.roots),
        ..Default::default()
    };
    let validator = tls::SpiffeCertValidatorConfig {
        trust_domains: bundles.iter().map(domain).collect(),
        ..Default::default()
    };
    let context = tls::CertificateValidationContext {
        custom_validator_config: Some(extension("envoy.tls.cert_validator.spiffe", any(validator))),
        ..Default::default()
    };
    tls::Secret { name: names::TRUST.to_owned(), r#type: Some(tls::secret::Type::ValidationContext(context)) }
}

pub(crate) fn extension(name: &str, config: Any) -> core::TypedExtensionConfig {
    core::TypedExtensionConfig { name: name.to_owned(), typed_config: Some(config) }
}
