//! Listeners. None of them is ever changed in place, for that would cut its flows: what varies is in scopes, secrets,
//! clusters and filters. The one exception is the mesh port, whose parts for single neighbours come and go.

use std::net::SocketAddr;
use std::path::Path;

use catalyst_names::{NodeName, Protocol, ServiceName};

use crate::answers;
use crate::callers::{Callers, only};
use crate::clusters::http2;
use crate::door::Door;
use crate::hcm::{Manager, from_certificate, from_proxy, network, router, upgrade};
use crate::limits::Limits;
use crate::ports;
use crate::proto::{any, core, duration, ext, listener, number, pipe, rbac, route, set_header, socket};
use crate::site::{Site, names};
use crate::tls;

use ext::filters::network::http_connection_manager::v3 as manager;
use ext::filters::network::tcp_proxy::v3 as proxy;

fn base(name: &str, address: Option<core::Address>, chain: listener::FilterChain) -> listener::Listener {
    listener::Listener {
        name: name.to_owned(),
        address,
        filter_chains: vec![chain],
        per_connection_buffer_limit_bytes: number(Limits::BUFFER),
        ..Default::default()
    }
}

fn inside(name: &str, filters: Vec<listener::Filter>) -> listener::Listener {
    let mut listener = base(name, None, chain(filters));
    listener.listener_specifier = Some(listener::listener::ListenerSpecifier::InternalListener(
        listener::listener::InternalListenerConfig::default(),
    ));
    listener
}

fn chain(filters: Vec<listener::Filter>) -> listener::FilterChain {
    listener::FilterChain { filters, ..Default::default() }
}

fn manager(site: &Site) -> Manager<'_> {
    Manager { access_log: &site.access_log }
}

/// All that a node has from its start, but for the mesh.
pub(crate) fn fixed(site: &Site) -> Vec<listener::Listener> {
    let mut all = vec![inner(site), terminate()];
    all.push(streams(site));
    all.push(http_streams(site));
    all
}

/// Neighbours, by HTTP/2 over mutual TLS. Nothing of it ever changes but the chains: Envoy then ends the connections of
/// chains that go or are others now, and leaves all others alone.
pub(crate) fn mesh(site: &Site, callers: &Callers) -> listener::Listener {
    let mut chains: Vec<listener::FilterChain> =
        callers.alone().map(|(peer, allowed)| own_chain(site, peer, allowed)).collect();
    chains.push(mesh_chain(site, &format!("others|{}", callers.moves()), Vec::new(), None));
    let mut listener = listener::Listener {
        name: names::MESH.to_owned(),
        address: Some(socket(site.mesh)),
        filter_chains: chains,
        per_connection_buffer_limit_bytes: number(Limits::BUFFER),
        ..Default::default()
    };
    listener.listener_filters = vec![listener::ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".into(),
        config_type: Some(listener::listener_filter::ConfigType::TypedConfig(any(
            ext::filters::listener::tls_inspector::v3::TlsInspector::default(),
        ))),
        ..Default::default()
    }];
    listener.listener_filters_timeout = duration(Limits::HEADERS);
    listener
}

/// The part of one neighbour: with it, all that came from the neighbour goes.
fn own_chain(site: &Site, peer: &NodeName, allowed: Vec<rbac::Principal>) -> listener::FilterChain {
    mesh_chain(site, peer.as_str(), vec![names::server_name(peer, &site.own)], Some(only(allowed)))
}

fn mesh_chain(
    site: &Site,
    name: &str,
    server_names: Vec<String>,
    allowed: Option<rbac::Rbac>,
) -> listener::FilterChain {
    let mut filters = vec![from_certificate()];
    filters.extend(manager(site).mesh(allowed));
    listener::FilterChain {
        name: name.to_owned(),
        filters,
        transport_socket: tls::mesh(),
        transport_socket_connect_timeout: duration(Limits::CONNECT),
        // Who asks for anything else is turned away before a handshake.
        filter_chain_match: Some(listener::FilterChainMatch {
            server_names,
            application_protocols: vec!["h2".into()],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Where `CONNECT` of ports and of the tunnel finds its way. The caller comes along with the connection.
fn inner(site: &Site) -> listener::Listener {
    inside(names::INNER, vec![manager(site).filter(Door::Inner)])
}

/// Ends a `CONNECT` at the local cluster that a header names. Used when the same service has other ways beside, which take
/// the `CONNECT` itself.
fn terminate() -> listener::Listener {
    use route::route_action::{ClusterSpecifier, UpgradeConfig, upgrade_config};
    let action = route::RouteAction {
        timeout: duration(std::time::Duration::ZERO),
        cluster_specifier: Some(ClusterSpecifier::ClusterHeader(names::LOCAL_HEADER.into())),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "CONNECT".into(),
            connect_config: Some(upgrade_config::ConnectConfig::default()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let matches = route::RouteMatch {
        path_specifier: Some(route::route_match::PathSpecifier::ConnectMatcher(Default::default())),
        ..Default::default()
    };
    let route = route::Route {
        r#match: Some(matches),
        action: Some(route::route::Action::Route(action)),
        ..Default::default()
    };
    let host = route::VirtualHost {
        name: names::TERMINATE.into(),
        domains: vec!["*".into()],
        routes: vec![route],
        ..Default::default()
    };
    let routes = route::RouteConfiguration {
        name: names::TERMINATE.into(),
        virtual_hosts: vec![host],
        ..Default::default()
    };
    let config = manager::HttpConnectionManager {
        stat_prefix: names::TERMINATE.into(),
        codec_type: manager::http_connection_manager::CodecType::Http2 as i32,
        http2_protocol_options: Some(http2(false)),
        delayed_close_timeout: duration(Limits::DELAYED_CLOSE),
        stream_idle_timeout: duration(std::time::Duration::ZERO),
        upgrade_configs: vec![upgrade("CONNECT")],
        local_reply_config: Some(answers::local(Door::Inner)),
        http_filters: vec![router()],
        route_specifier: Some(manager::http_connection_manager::RouteSpecifier::RouteConfig(routes)),
        ..Default::default()
    };
    let filter = network("envoy.filters.network.http_connection_manager", any(config));
    inside(names::TERMINATE, vec![filter])
}

/// Where local clients name a service by Host.
pub(crate) fn ingress(site: &Site, at: SocketAddr, over_tls: bool) -> listener::Listener {
    let name = if over_tls { "ingress-tls" } else { "ingress" };
    let filters = vec![own(site, false), manager(site).filter(Door::Ingress)];
    let mut chain = chain(filters);
    if over_tls {
        chain.transport_socket = tls::ingress();
        chain.transport_socket_connect_timeout = duration(Limits::HEADERS);
    }
    base(name, Some(socket(at)), chain)
}

/// The name of a service's local port.
pub(crate) fn port_name(service: &ServiceName, at: SocketAddr) -> String {
    format!("port|{service}|{at}")
}

/// The local port of one service.
pub(crate) fn port(
    site: &Site,
    service: &ServiceName,
    protocol: Protocol,
    at: SocketAddr,
) -> listener::Listener {
    let name = port_name(service, at);
    let filters = match protocol {
        Protocol::Tcp | Protocol::Udp => vec![own(site, true), ports::discovered(service)],
        _ => vec![own(site, false), manager(site).filter(Door::Port(service.as_str()))],
    };
    base(&name, Some(socket(at)), chain(filters))
}

/// Byte streams that the node hands in, of its tunnel.
fn streams(site: &Site) -> listener::Listener {
    let authority = format!("%FILTER_STATE({}:PLAIN)%:1", names::SERVICE);
    from_node("streams", &site.stream_socket, tunnel(names::INNER, &authority))
}

/// The same for those that are HTTP.
fn http_streams(site: &Site) -> listener::Listener {
    from_node("http-streams", &site.http_socket, manager(site).filter(Door::Stream))
}

fn from_node(name: &str, path: &Path, last: listener::Filter) -> listener::Listener {
    use ext::filters::listener::proxy_protocol::v3::{ProxyProtocol, proxy_protocol as rules};
    let rule = |tlv: u32, key: &str| rules::Rule {
        tlv_type: tlv,
        on_tlv_present: Some(rules::KeyValuePair { key: key.to_owned(), ..Default::default() }),
    };
    let config = ProxyProtocol {
        rules: vec![rule(names::TLV_CALLER, names::CALLER), rule(names::TLV_SERVICE, names::SERVICE)],
        ..Default::default()
    };
    let mut listener = base(name, Some(pipe(path, 0o600)), chain(vec![from_proxy(), last]));
    listener.listener_filters = vec![listener::ListenerFilter {
        name: "envoy.filters.listener.proxy_protocol".into(),
        config_type: Some(listener::listener_filter::ConfigType::TypedConfig(any(config))),
        ..Default::default()
    }];
    listener
}

/// Takes connections of an HTTP service to the node process, each in a `CONNECT` of its own.
pub(crate) fn tunnelled(name: &str, service: &ServiceName, protocol: Protocol) -> listener::Listener {
    let version = if protocol == Protocol::HttpGrpc { "2" } else { "1" };
    let mut config = ports::tunnel(names::NODE, &format!("{service}:1"));
    if let Some(tunneling) = &mut config.tunneling_config {
        tunneling.headers_to_add = vec![set_header(names::HTTP_HEADER, version)];
    }
    inside(name, vec![network("envoy.filters.network.tcp_proxy", any(config))])
}

/// A grant: all that one organisation's flows to one service pass through. With it, its flows go.
pub(crate) fn grant(name: &str, cluster: &str) -> listener::Listener {
    let config = proxy::TcpProxy {
        stat_prefix: "grant".into(),
        idle_timeout: duration(std::time::Duration::ZERO),
        cluster_specifier: Some(proxy::tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    };
    inside(name, vec![network("envoy.filters.network.tcp_proxy", any(config))])
}

/// Puts a connection's bytes into a `CONNECT`.
fn tunnel(cluster: &str, authority: &str) -> listener::Filter {
    network("envoy.filters.network.tcp_proxy", any(ports::tunnel(cluster, authority)))
}

/// A local client speaks as this node.
fn own(site: &Site, shared: bool) -> listener::Filter {
    crate::hcm::caller(&names::spiffe(&site.own), shared)
}
