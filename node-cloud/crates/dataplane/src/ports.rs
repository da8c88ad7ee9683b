//! Where the connections of a service's local port go. The port's listener never changes, so this is a filter of its own
//! (ECDS): connections that stand keep the one that they began with.
//!
//! A service that is behind one neighbour alone is asked for there at once: that saves the bytes the way through
//! [`names::INNER`]. All others go by it, for there the scope decides, and there a `CONNECT` is tried on the next way.

use catalyst_names::{NodeName, ServiceName};

use crate::limits::Limits;
use crate::log_line;
use crate::proto::{accesslog, add_header, any, core, duration, ext, listener, number};
use crate::site::{Site, names};
use crate::tls::extension;

use ext::filters::network::tcp_proxy::v3 as proxy;

/// The name of the filter of all local ports of a service.
pub(crate) fn filter_name(service: &ServiceName) -> String {
    format!("port|{service}")
}

/// The last filter of a port's listener: it is told by [`filter`].
pub(crate) fn discovered(service: &ServiceName) -> listener::Filter {
    let source = core::ExtensionConfigSource {
        config_source: crate::proto::ads(),
        type_urls: vec!["type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy".into()],
        ..Default::default()
    };
    listener::Filter {
        name: filter_name(service),
        config_type: Some(listener::filter::ConfigType::ConfigDiscovery(source)),
    }
}

/// Where connections go: to this neighbour, or to where the scope of the service says.
pub(crate) fn filter(
    site: &Site,
    service: &ServiceName,
    only: Option<&NodeName>,
) -> core::TypedExtensionConfig {
    let authority = format!("{service}:1");
    let config = match only {
        Some(peer) => direct(site, &authority, peer),
        None => tunnel(names::INNER, &authority),
    };
    extension(&filter_name(service), any(config))
}

/// Puts a connection's bytes into a `CONNECT`.
pub(crate) fn tunnel(cluster: &str, authority: &str) -> proxy::TcpProxy {
    proxy::TcpProxy {
        stat_prefix: "port".into(),
        idle_timeout: duration(std::time::Duration::ZERO),
        cluster_specifier: Some(proxy::tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        tunneling_config: Some(proxy::tcp_proxy::TunnelingConfig {
            hostname: authority.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What [`names::INNER`] and its route would do besides: retries, the token of this node, a line in the access log.
fn direct(site: &Site, authority: &str, peer: &NodeName) -> proxy::TcpProxy {
    let mut config = tunnel(&names::peer(peer), authority);
    if let Some(tunneling) = &mut config.tunneling_config {
        tunneling.headers_to_add = vec![add_header(names::VIA_HEADER, &site.via)];
    }
    config.max_connect_attempts = number(1 + Limits::TRIES);
    config.backoff_options = Some(core::BackoffStrategy {
        base_interval: duration(Limits::AGAIN),
        max_interval: duration(Limits::AGAIN_MOST),
    });
    config.access_log = vec![access_log(site, authority)];
    config
}

/// The same fields as for a request. Envoy knows no status here: what ended well was a 200.
fn access_log(site: &Site, authority: &str) -> accesslog::AccessLog {
    let caller = names::spiffe(&site.own);
    let fields = [
        ("time", "%START_TIME%"),
        ("door", "port"),
        ("caller", &caller),
        ("authority", authority),
        ("method", "CONNECT"),
        ("status", "%CEL(response.flags == 0 ? 200 : 503)%"),
        ("flags", "%RESPONSE_FLAGS%"),
        ("details", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
        ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
        ("peer", "%UPSTREAM_PEER_URI_SAN%"),
        ("tries", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
        ("received", "%BYTES_RECEIVED%"),
        ("sent", "%BYTES_SENT%"),
        ("ms", "%DURATION%"),
    ];
    accesslog::AccessLog {
        name: "envoy.access_loggers.file".into(),
        config_type: Some(accesslog::access_log::ConfigType::TypedConfig(log_line::file(
            &site.access_log.to_string_lossy(),
            &fields,
        ))),
        ..Default::default()
    }
}
