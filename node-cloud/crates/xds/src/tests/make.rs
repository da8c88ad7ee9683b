//! Small resources. What they say matters only to the simulated Envoy.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::ScopedRouteConfiguration;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::google::protobuf::Any;

use crate::kind::Kind;
use crate::resource::Resource;
use crate::snapshot::Changes;

/// A cluster with EDS. Envoy rejects an `edition` below zero.
pub fn cluster(name: &str, edition: i32) -> Resource {
    Resource::cluster(&Cluster {
        name: name.into(),
        alt_stat_name: edition.to_string(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        ..Cluster::default()
    })
}

/// A cluster without EDS.
pub fn fixed(name: &str, edition: i32) -> Resource {
    Resource::cluster(&Cluster {
        name: name.into(),
        alt_stat_name: edition.to_string(),
        ..Cluster::default()
    })
}

pub fn endpoints(name: &str, edition: u32) -> Resource {
    Resource::endpoints(&ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: vec![LocalityLbEndpoints { priority: edition, ..LocalityLbEndpoints::default() }],
        ..ClusterLoadAssignment::default()
    })
}

pub fn listener(name: &str, edition: i32) -> Resource {
    Resource::listener(&Listener {
        name: name.into(),
        stat_prefix: edition.to_string(),
        ..Listener::default()
    })
}

/// A scope whose requests go to `cluster`.
pub fn scope(name: &str, cluster: &str) -> Resource {
    Resource::scope(&ScopedRouteConfiguration {
        name: name.into(),
        route_configuration_name: cluster.into(),
        ..ScopedRouteConfiguration::default()
    })
}

pub fn filter(name: &str, edition: u8) -> Resource {
    let typed_config = Some(Any { type_url: "x".into(), value: vec![edition] });
    Resource::filter(&TypedExtensionConfig { name: name.into(), typed_config })
}

/// Only its name: every edition of it is the same.
pub fn secret(name: &str) -> Resource {
    Resource::secret(&Secret { name: name.into(), ..Secret::default() })
}

/// A service: cluster, endpoints and scope of one name.
pub fn service(name: &str) -> [Resource; 3] {
    [cluster(name, 0), endpoints(name, 0), scope(name, name)]
}

pub fn set(set: impl IntoIterator<Item = Resource>) -> Changes {
    Changes { set: set.into_iter().collect(), ..Changes::default() }
}

pub fn remove(names: &[(Kind, &str)]) -> Changes {
    Changes {
        remove: names.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect(),
        ..Changes::default()
    }
}

pub fn urgent(kind: Kind, name: &str) -> Changes {
    Changes { urgent: vec![(kind, name.to_owned())], ..Changes::default() }
}
