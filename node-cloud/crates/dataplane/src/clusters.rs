//! Clusters: sockets of this node's services, neighbours' mesh ports, internal listeners, and several of them in order.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use catalyst_names::{NodeName, Protocol};

use crate::limits::Limits;
use crate::proto::{
    ads, any, cluster, core, duration, endpoint, ext, internal, number, pipe, socket, transport,
};
use crate::site::names;
use crate::tls;

/// What a cluster's connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Bytes of no concern to Envoy.
    Bytes,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Speaks {
    /// What the socket of a service speaks.
    pub(crate) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp | Protocol::Udp => Speaks::Bytes,
            Protocol::Http | Protocol::HttpGraphql => Speaks::Http1,
            Protocol::HttpGrpc => Speaks::Http2,
        }
    }
}

/// HTTP/2 as all sides of the mesh speak it. A PING tells of a neighbour that is gone without a word.
pub(crate) fn http2(ping: bool) -> core::Http2ProtocolOptions {
    core::Http2ProtocolOptions {
        max_concurrent_streams: number(Limits::STREAMS),
        initial_stream_window_size: number(Limits::STREAM_WINDOW),
        initial_connection_window_size: number(Limits::CONNECTION_WINDOW),
        allow_connect: true,
        connection_keepalive: ping.then(|| core::KeepaliveSettings {
            interval: duration(Limits::CHECK),
            timeout: duration(Limits::ANSWER),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// How much one cluster takes at once.
fn bounds() -> Option<cluster::CircuitBreakers> {
    Some(cluster::CircuitBreakers {
        thresholds: vec![cluster::circuit_breakers::Thresholds {
            max_connections: number(Limits::CONNECTIONS),
            max_pending_requests: number(Limits::PENDING),
            max_requests: number(Limits::REQUESTS),
            max_retries: number(Limits::RETRIES),
            ..Default::default()
        }],
        ..Default::default()
    })
}

/// HTTP/1.1 as all sides speak it: trailers are not dropped.
pub(crate) fn http1() -> core::Http1ProtocolOptions {
    core::Http1ProtocolOptions { enable_trailers: true, ..Default::default() }
}

fn base(name: &str, speaks: Speaks, ping: bool) -> cluster::Cluster {
    use ext::upstreams::http::v3::{HttpProtocolOptions, http_protocol_options as options};
    let explicit = |config| {
        let config = options::ExplicitHttpConfig { protocol_config: Some(config) };
        let options = HttpProtocolOptions {
            upstream_protocol_options: Some(options::UpstreamProtocolOptions::ExplicitHttpConfig(config)),
            ..Default::default()
        };
        ("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(), any(options))
    };
    use options::explicit_http_config::ProtocolConfig;
    let options = match speaks {
        Speaks::Bytes => None,
        Speaks::Http1 => Some(explicit(ProtocolConfig::HttpProtocolOptions(http1()))),
        Speaks::Http2 => Some(explicit(ProtocolConfig::Http2ProtocolOptions(http2(ping)))),
    };
    cluster::Cluster {
        name: name.to_owned(),
        connect_timeout: duration(Limits::CONNECT),
        per_connection_buffer_limit_bytes: number(Limits::BUFFER),
        circuit_breakers: bounds(),
        typed_extension_protocol_options: options.into_iter().collect(),
        ..Default::default()
    }
}

fn at(address: core::Address) -> endpoint::LbEndpoint {
    let endpoint = endpoint::Endpoint { address: Some(address), ..Default::default() };
    endpoint::LbEndpoint {
        host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    }
}

fn assignment(name: &str, addresses: impl Iterator<Item = core::Address>) -> endpoint::ClusterLoadAssignment {
    let lb_endpoints: Vec<_> = addresses.map(at).collect();
    let localities = (!lb_endpoints.is_empty())
        .then(|| endpoint::LocalityLbEndpoints { lb_endpoints, ..Default::default() });
    endpoint::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: localities.into_iter().collect(),
        ..Default::default()
    }
}

fn fixed(mut cluster: cluster::Cluster, address: core::Address) -> cluster::Cluster {
    cluster.load_assignment = Some(assignment(&cluster.name, std::iter::once(address)));
    cluster
}

fn by_eds(mut cluster: cluster::Cluster) -> cluster::Cluster {
    cluster.cluster_discovery_type =
        Some(cluster::cluster::ClusterDiscoveryType::Type(cluster::cluster::DiscoveryType::Eds as i32));
    cluster.eds_cluster_config =
        Some(cluster::cluster::EdsClusterConfig { eds_config: ads(), ..Default::default() });
    cluster
}

/// The addresses of an EDS cluster.
pub(crate) fn endpoints(name: &str, addresses: &[SocketAddr]) -> endpoint::ClusterLoadAssignment {
    assignment(name, addresses.iter().map(|a| socket(*a)))
}

/// A service of this node.
pub(crate) fn local(service: &str, protocol: Protocol) -> cluster::Cluster {
    by_eds(base(&names::local(service), Speaks::of(protocol), false))
}

/// A neighbour's mesh port. It is asked whether it answers, so that what stands still is found without the node. While no
/// other way is better it is tried all the same (panic mode): a port that is new has not answered yet.
pub(crate) fn peer(own: &NodeName, peer: &NodeName) -> cluster::Cluster {
    use core::health_check::{HealthChecker, HttpHealthCheck};
    let mut cluster = by_eds(base(&names::peer(peer), Speaks::Http2, true));
    cluster.transport_socket = tls::towards(own, peer);
    cluster.health_checks = vec![core::HealthCheck {
        timeout: duration(Limits::ANSWER),
        interval: duration(Limits::CHECK),
        // One that does not answer, such as an Envoy that is starting, is asked often, with or without traffic.
        no_traffic_interval: duration(Limits::CHECK_DOWN),
        no_traffic_healthy_interval: duration(Limits::CHECK_IDLE),
        unhealthy_interval: duration(Limits::CHECK_DOWN),
        unhealthy_threshold: number(2),
        healthy_threshold: number(1),
        // A host that is new takes traffic at once: a first try tells more than a question.
        initial_jitter: duration(Duration::ZERO),
        health_checker: Some(HealthChecker::HttpHealthCheck(HttpHealthCheck {
            host: names::HEALTH.into(),
            path: "/".into(),
            codec_client_type: envoy_types::pb::envoy::r#type::v3::CodecClientType::Http2 as i32,
            ..Default::default()
        })),
        ..Default::default()
    }];
    // What the questions find holds at once. By default Envoy's workers hear of it up to a second later, and spread requests
    // over all ways of a service until then, the worst as often as the best.
    cluster.common_lb_config = Some(cluster::cluster::CommonLbConfig {
        update_merge_window: duration(Duration::ZERO),
        ..Default::default()
    });
    cluster
}

/// The node process.
pub(crate) fn node(path: &Path) -> cluster::Cluster {
    fixed(base(names::NODE, Speaks::Http2, false), pipe(path, 0))
}

/// Into a listener of this Envoy. Filter state that is marked for it goes along.
pub(crate) fn into(name: &str, listener: &str, speaks: Speaks) -> cluster::Cluster {
    use ext::transport_sockets::internal_upstream::v3::InternalUpstreamTransport;
    use ext::transport_sockets::raw_buffer::v3::RawBuffer;
    let mut cluster = fixed(base(name, speaks, false), internal(listener));
    let raw = transport("envoy.transport_sockets.raw_buffer", any(RawBuffer::default()));
    let through = InternalUpstreamTransport { transport_socket: raw, ..Default::default() };
    cluster.transport_socket = transport("envoy.transport_sockets.internal_upstream", any(through));
    cluster
}

/// Several clusters, of which the first that is healthy is used; a retry goes to the next.
pub(crate) fn in_order(name: &str, clusters: Vec<String>) -> cluster::Cluster {
    use cluster::cluster::{ClusterDiscoveryType, CustomClusterType, LbPolicy};
    let order = ext::clusters::aggregate::v3::ClusterConfig { clusters };
    cluster::Cluster {
        name: name.to_owned(),
        connect_timeout: duration(Limits::CONNECT),
        // Retries are counted here and not where they go: with Envoy's own bound, the fourth at once is not tried.
        circuit_breakers: bounds(),
        lb_policy: LbPolicy::ClusterProvided as i32,
        cluster_discovery_type: Some(ClusterDiscoveryType::ClusterType(CustomClusterType {
            name: "envoy.clusters.aggregate".into(),
            typed_config: Some(any(order)),
        })),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_retries_go_over_several_ways_as_over_one() {
        let several = in_order("ways|web.acme.example|0", vec!["peer|b.acme.example".into()]);
        let one = base("peer|b.acme.example", Speaks::Http2, true);
        assert_eq!(several.circuit_breakers, one.circuit_breakers);
        let retries = several.circuit_breakers.unwrap().thresholds[0].max_retries;
        assert_eq!(retries, number(Limits::RETRIES));
    }
}
