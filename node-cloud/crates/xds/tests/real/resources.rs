//! The resources that the tests hand to Envoy: one listener with scoped routes, clusters with EDS, a grant.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use catalyst_xds::Resource;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::envoy_internal_address::AddressNameSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, DataSource, TransportSocket, data_source, transport_socket, ConfigSource, EnvoyInternalAddress, ExtensionConfigSource, Pipe, SocketAddress,
    TypedExtensionConfig,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints};
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::listener::{InternalListenerConfig, ListenerSpecifier};
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::scoped_route_configuration::key::{Fragment, fragment};
use envoy_types::pb::envoy::config::route::v3::scoped_route_configuration::Key;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, ScopedRouteConfiguration, VirtualHost,
};
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder::fragment_builder::header_value_extractor::ExtractType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder::fragment_builder::{self, HeaderValueExtractor};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder::FragmentBuilder;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::{self, ScopeKeyBuilder};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, ScopedRds, ScopedRoutes, http_filter,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, SdsSecretConfig, Secret, TlsCertificate, UpstreamTlsContext, secret,
};
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use prost::{Message, Name};

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value: message.encode_to_vec() }
}

fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    }
}

fn duration(of: Duration) -> ProtoDuration {
    ProtoDuration { seconds: of.as_secs() as i64, nanos: of.subsec_nanos() as i32 }
}

/// A cluster that takes its endpoints from EDS.
pub fn eds_message(name: &str, connect: Duration) -> Cluster {
    Cluster {
        name: name.into(),
        connect_timeout: Some(duration(connect)),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(ads()), ..EdsClusterConfig::default() }),
        ..Cluster::default()
    }
}

pub fn eds(name: &str) -> Resource {
    Resource::cluster(&eds_message(name, Duration::from_secs(1)))
}

/// A cluster with EDS whose connections use the certificate `secret` by SDS.
pub fn tls(name: &str, secret: &str) -> Resource {
    let by_name = SdsSecretConfig { name: secret.into(), sds_config: Some(ads()) };
    let common =
        CommonTlsContext { tls_certificate_sds_secret_configs: vec![by_name], ..CommonTlsContext::default() };
    let context = UpstreamTlsContext { common_tls_context: Some(common), ..UpstreamTlsContext::default() };
    let socket = TransportSocket {
        name: "tls".into(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(any(&context))),
    };
    Resource::cluster(&Cluster {
        transport_socket: Some(socket),
        ..eds_message(name, Duration::from_secs(1))
    })
}

/// A certificate with its key, in PEM.
pub fn certificate(name: &str, chain: &str, key: &str) -> Resource {
    let inline = |text: &str| {
        Some(DataSource {
            specifier: Some(data_source::Specifier::InlineString(text.into())),
            ..DataSource::default()
        })
    };
    let pair = TlsCertificate {
        certificate_chain: inline(chain),
        private_key: inline(key),
        ..TlsCertificate::default()
    };
    Resource::secret(&Secret { name: name.into(), r#type: Some(secret::Type::TlsCertificate(pair)) })
}

/// A cluster that Envoy rejects: a timeout below zero.
pub fn bad_cluster(name: &str) -> Resource {
    let connect_timeout = Some(ProtoDuration { seconds: -1, nanos: 0 });
    Resource::cluster(&Cluster { connect_timeout, ..eds_message(name, Duration::from_secs(1)) })
}

fn tcp(at: SocketAddr) -> Address {
    Address {
        address: Some(AddressKind::SocketAddress(SocketAddress {
            address: at.ip().to_string(),
            port_specifier: Some(PortSpecifier::PortValue(at.port().into())),
            ..SocketAddress::default()
        })),
    }
}

fn pipe(path: &Path) -> Address {
    Address { address: Some(AddressKind::Pipe(Pipe { path: path.to_str().unwrap().into(), mode: 0 })) }
}

fn assignment(name: &str, address: Address) -> ClusterLoadAssignment {
    let endpoint = Endpoint { address: Some(address), ..Endpoint::default() };
    let host =
        LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..LbEndpoint::default() };
    ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![host], ..LocalityLbEndpoints::default() }],
        ..ClusterLoadAssignment::default()
    }
}

pub fn endpoints(name: &str, at: SocketAddr) -> Resource {
    Resource::endpoints(&assignment(name, tcp(at)))
}

/// Endpoints that Envoy rejects: an address that is none.
pub fn bad_endpoints(name: &str) -> Resource {
    let mut message = assignment(name, tcp(([127, 0, 0, 1], 1).into()));
    let endpoint = &mut message.endpoints[0].lb_endpoints[0].host_identifier;
    let Some(HostIdentifier::Endpoint(endpoint)) = endpoint else { unreachable!() };
    let Some(AddressKind::SocketAddress(at)) = &mut endpoint.address.as_mut().unwrap().address else {
        unreachable!()
    };
    at.address = "no-address".into();
    Resource::endpoints(&message)
}

fn network<M: Message + Name>(name: &str, config: &M) -> Vec<FilterChain> {
    let filter = Filter { name: name.into(), config_type: Some(ConfigType::TypedConfig(any(config))) };
    vec![FilterChain { filters: vec![filter], ..FilterChain::default() }]
}

fn tcp_proxy(cluster: &str) -> Vec<FilterChain> {
    let proxy = TcpProxy {
        stat_prefix: "tcp".into(),
        cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster(cluster.into())),
        ..TcpProxy::default()
    };
    network("tcp", &proxy)
}

/// A port for raw TCP on a Unix socket.
pub fn tcp_listener(name: &str, path: &Path, cluster: &str) -> Resource {
    Resource::listener(&Listener {
        name: name.into(),
        address: Some(pipe(path)),
        filter_chains: tcp_proxy(cluster),
        ..Listener::default()
    })
}

/// A listener that Envoy rejects: no filter chain.
pub fn bad_listener(name: &str, path: &Path) -> Resource {
    Resource::listener(&Listener { name: name.into(), address: Some(pipe(path)), ..Listener::default() })
}

/// A grant: an internal listener that leads to `service`, and the cluster that leads to it.
pub fn grant(name: &str, service: &str) -> [Resource; 2] {
    let listener = Listener {
        name: name.into(),
        listener_specifier: Some(ListenerSpecifier::InternalListener(InternalListenerConfig {})),
        filter_chains: tcp_proxy(service),
        ..Listener::default()
    };
    let to = AddressNameSpecifier::ServerListenerName(name.into());
    let address = Address {
        address: Some(AddressKind::EnvoyInternalAddress(EnvoyInternalAddress {
            address_name_specifier: Some(to),
            ..EnvoyInternalAddress::default()
        })),
    };
    let cluster = Cluster {
        name: name.into(),
        connect_timeout: Some(duration(Duration::from_secs(1))),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        load_assignment: Some(assignment(name, address)),
        ..Cluster::default()
    };
    [Resource::listener(&listener), Resource::cluster(&cluster)]
}

/// HTTP on a Unix socket, routed by scopes; with the filter `deny` by ECDS if `discovered`.
pub fn http_listener(name: &str, path: &Path, discovered: Option<&str>) -> Resource {
    let by_host = HeaderValueExtractor {
        name: ":authority".into(),
        extract_type: Some(ExtractType::Index(0)),
        element_separator: ":".into(),
    };
    let fragment = FragmentBuilder { r#type: Some(fragment_builder::Type::HeaderValueExtractor(by_host)) };
    let scoped = ScopedRoutes {
        name: "scopes".into(),
        scope_key_builder: Some(ScopeKeyBuilder { fragments: vec![fragment] }),
        rds_config_source: Some(ads()),
        config_specifier: Some(scoped_routes::ConfigSpecifier::ScopedRds(ScopedRds {
            scoped_rds_config_source: Some(ads()),
            ..ScopedRds::default()
        })),
    };
    let mut http_filters = Vec::new();
    if let Some(filter) = discovered {
        let type_url = format!("type.googleapis.com/{}", Rbac::full_name());
        http_filters.push(HttpFilter {
            name: filter.into(),
            config_type: Some(http_filter::ConfigType::ConfigDiscovery(ExtensionConfigSource {
                config_source: Some(ads()),
                type_urls: vec![type_url],
                ..ExtensionConfigSource::default()
            })),
            ..HttpFilter::default()
        });
    }
    http_filters.push(HttpFilter {
        name: "router".into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(any(&Router::default()))),
        ..HttpFilter::default()
    });
    let manager = HttpConnectionManager {
        stat_prefix: "http".into(),
        route_specifier: Some(RouteSpecifier::ScopedRoutes(scoped)),
        http_filters,
        ..HttpConnectionManager::default()
    };
    Resource::listener(&Listener {
        name: name.into(),
        address: Some(pipe(path)),
        filter_chains: network("http", &manager),
        ..Listener::default()
    })
}

/// The RBAC filter of a listener: lets all pass, or refuses all.
pub fn rbac(name: &str, refuse: bool) -> Resource {
    let rules = refuse.then(envoy_types::pb::envoy::config::rbac::v3::Rbac::default);
    let typed_config = Some(any(&Rbac { rules, ..Rbac::default() }));
    Resource::filter(&TypedExtensionConfig { name: name.into(), typed_config })
}

/// A filter configuration that Envoy rejects: of another type than the listener allows.
pub fn bad_filter(name: &str) -> Resource {
    Resource::filter(&TypedExtensionConfig { name: name.into(), typed_config: Some(any(&Router::default())) })
}

pub fn scope_message(host: &str, cluster: &str) -> ScopedRouteConfiguration {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.into())),
        ..RouteAction::default()
    };
    let path =
        RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..RouteMatch::default() };
    let route = Route { r#match: Some(path), action: Some(Action::Route(action)), ..Route::default() };
    let all = VirtualHost {
        name: "all".into(),
        domains: vec!["*".into()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    let key = Fragment { r#type: Some(fragment::Type::StringKey(host.into())) };
    ScopedRouteConfiguration {
        name: host.into(),
        key: Some(Key { fragments: vec![key] }),
        route_configuration: Some(RouteConfiguration {
            name: host.into(),
            virtual_hosts: vec![all],
            ..RouteConfiguration::default()
        }),
        ..ScopedRouteConfiguration::default()
    }
}

/// Requests for `host` go to `cluster`.
pub fn scope(host: &str, cluster: &str) -> Resource {
    Resource::scope(&scope_message(host, cluster))
}

/// A scope that Envoy rejects: a virtual host without domains.
pub fn bad_scope(host: &str) -> Resource {
    let mut message = scope_message(host, "none");
    message.route_configuration.as_mut().unwrap().virtual_hosts[0].domains.clear();
    Resource::scope(&message)
}
