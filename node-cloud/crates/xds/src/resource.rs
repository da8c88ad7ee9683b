//! One resource as it stands in the snapshot: a name, the bytes, and a version that the bytes make.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::ScopedRouteConfiguration;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::canonical;
use crate::kind::Kind;

/// A resource, encoded once. Cheap to clone.
#[derive(Clone)]
pub struct Resource {
    kind: Kind,
    name: Arc<str>,
    version: u64,
    body: Bytes,
    service: Option<Arc<str>>,
}

impl Resource {
    /// A cluster. Of one that takes its endpoints from EDS, the service name is noted, so that the server can
    /// wait for them.
    #[must_use]
    pub fn cluster(message: &Cluster) -> Resource {
        let mut resource = Resource::new(Kind::Cluster, &message.name, message);
        let eds = DiscoveryType::Eds as i32;
        if message.cluster_discovery_type == Some(ClusterDiscoveryType::Type(eds)) {
            let service = message.eds_cluster_config.as_ref().map_or("", |eds| eds.service_name.as_str());
            resource.service =
                Some(if service.is_empty() { Arc::clone(&resource.name) } else { Arc::from(service) });
        }
        resource
    }

    /// The endpoints of a cluster, or of several with one service name.
    #[must_use]
    pub fn endpoints(message: &ClusterLoadAssignment) -> Resource {
        Resource::new(Kind::Endpoints, &message.cluster_name, message)
    }

    /// A listener.
    #[must_use]
    pub fn listener(message: &Listener) -> Resource {
        Resource::new(Kind::Listener, &message.name, message)
    }

    /// The configuration of one filter (ECDS).
    #[must_use]
    pub fn filter(message: &TypedExtensionConfig) -> Resource {
        Resource::new(Kind::Filter, &message.name, message)
    }

    /// A scope with its routes.
    #[must_use]
    pub fn scope(message: &ScopedRouteConfiguration) -> Resource {
        Resource::new(Kind::Scope, &message.name, message)
    }

    /// A certificate with its key, or a trust bundle. The bytes hold a private key: they are never printed.
    #[must_use]
    pub fn secret(message: &Secret) -> Resource {
        Resource::new(Kind::Secret, &message.name, message)
    }

    fn new(kind: Kind, name: &str, message: &impl Message) -> Resource {
        let body = canonical::bytes(kind, message.encode_to_vec());
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(Sha256::digest(&body)) {
            *to = from;
        }
        Resource { kind, name: Arc::from(name), version: u64::from_be_bytes(first), body, service: None }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, taken from the message. A cluster's endpoints are named after the service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 64 bits of the SHA-256 of the bytes: equal bytes have one version, in every run of the node.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The protobuf message, encoded.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The name under which a cluster asks for its endpoints, if it does.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Its name, to be kept beside the resource without a copy.
    #[must_use]
    pub fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn shared_service(&self) -> Option<&Arc<str>> {
        self.service.as_ref()
    }

    /// Nothing that Envoy would see differs.
    pub(crate) fn is_same(&self, other: &Resource) -> bool {
        self.version == other.version && self.body == other.body
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:016x}, {} bytes", self.kind, self.name, self.version, self.body.len())
    }
}
