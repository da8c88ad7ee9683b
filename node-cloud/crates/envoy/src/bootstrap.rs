//! What Envoy knows before the node tells it anything: who it is, and the two Unix sockets. Nothing in it reaches the
//! network, and it has no listener: every port comes by xDS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::Limits;
use crate::place::Place;

/// The static cluster that is the node's xDS server; resources whose configuration comes by ADS need no name.
const XDS: &str = "xds";

/// What a bootstrap is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapSpec {
    /// `node.id` in xDS: the node's full name.
    pub node: String,
    /// `node.cluster` in xDS: its organisation.
    pub cluster: String,
    /// Where the node answers the xDS stream.
    pub xds_socket: PathBuf,
    /// Where Envoy is to answer questions about itself; mode 0600.
    pub admin_socket: PathBuf,
    /// How long Envoy waits for the first clusters and listeners before it goes on without. `None`: for ever, so that it
    /// takes no traffic on a half of its configuration.
    pub first_config: Option<Duration>,
    /// Downstream connections at once.
    pub connections: u64,
    /// Bytes of heap from which Envoy gives memory back (at 90 %), refuses requests (at 95 %) and connections (at
    /// 98 %). `None`: no bound.
    pub heap: Option<u64>,
    /// Makes statistics of a cluster with its first request: a third less memory at 10,000 services, but the load of
    /// the first request of each pays for it.
    pub deferred_stats: bool,
}

impl BootstrapSpec {
    /// For the Envoy of this node, with sockets in their usual place.
    #[must_use]
    pub fn new(node: &str, cluster: &str, place: &Place) -> Self {
        BootstrapSpec {
            node: node.to_owned(),
            cluster: cluster.to_owned(),
            xds_socket: place.xds_socket(),
            admin_socket: place.admin_socket(),
            first_config: None,
            connections: Limits::CONNECTIONS,
            heap: None,
            deferred_stats: false,
        }
    }
}

/// The bootstrap (`envoy.config.bootstrap.v3.Bootstrap`) as JSON.
#[must_use]
pub fn bootstrap(spec: &BootstrapSpec) -> Value {
    // 0 switches Envoy's own 15 s off.
    let first = seconds(spec.first_config.unwrap_or_default());
    let by_ads = json!({ "resource_api_version": "V3", "ads": {}, "initial_fetch_timeout": first });
    let mut value = json!({
        "node": { "id": spec.node, "cluster": spec.cluster },
        "admin": { "address": { "pipe": { "path": text(&spec.admin_socket), "mode": 0o600 } } },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": {
                    "cluster_name": XDS,
                    // Envoy's own would let a node that starts again wait for up to 30 s.
                    "retry_policy": { "retry_back_off": {
                        "base_interval": seconds(Limits::XDS_RETRY_FIRST),
                        "max_interval": seconds(Limits::XDS_RETRY_MOST),
                    } },
                } }],
            },
            "lds_config": by_ads,
            "cds_config": by_ads,
        },
        "static_resources": { "clusters": [xds_cluster(&spec.xds_socket)] },
        // Grants are internal listeners.
        "bootstrap_extensions": [typed(
            "envoy.bootstrap.internal_listener",
            "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            json!({}),
        )],
        "overload_manager": overload(spec),
    });
    if spec.deferred_stats {
        value["deferred_stat_options"] = json!({ "enable_deferred_creation_stats": true });
    }
    value
}

/// The same as text for a person, with a line end.
#[must_use]
pub fn print_bootstrap(spec: &BootstrapSpec) -> String {
    // A value of strings and numbers can always be written.
    serde_json::to_string_pretty(&bootstrap(spec)).map(|text| text + "\n").unwrap_or_default()
}

fn xds_cluster(socket: &Path) -> Value {
    let address = json!({ "pipe": { "path": text(socket) } });
    json!({
        "name": XDS,
        "type": "STATIC",
        "connect_timeout": seconds(Limits::XDS_CONNECT),
        "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        } },
        "load_assignment": {
            "cluster_name": XDS,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

fn overload(spec: &BootstrapSpec) -> Value {
    const ALL: &str = "envoy.resource_monitors.global_downstream_max_connections";
    const HEAP: &str = "envoy.resource_monitors.fixed_heap";
    let mut monitors = vec![typed(
        ALL,
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        json!({ "max_active_downstream_connections": spec.connections }),
    )];
    let mut value = json!({ "refresh_interval": seconds(Limits::OVERLOAD_LOOK) });
    if let Some(bytes) = spec.heap {
        monitors.push(typed(
            HEAP,
            "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
            json!({ "max_heap_size_bytes": bytes }),
        ));
        let at = |action: &str, full: f64| json!({ "name": action, "triggers": [{ "name": HEAP, "threshold": { "value": full } }] });
        value["actions"] = json!([
            at("envoy.overload_actions.shrink_heap", 0.9),
            at("envoy.overload_actions.stop_accepting_requests", 0.95),
            at("envoy.overload_actions.stop_accepting_connections", 0.98),
        ]);
    }
    value["resource_monitors"] = Value::Array(monitors);
    value
}

/// An extension with its configuration.
fn typed(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = Value::String(format!("type.googleapis.com/{message}"));
    json!({ "name": name, "typed_config": config })
}

/// `google.protobuf.Duration` in JSON.
fn seconds(duration: Duration) -> String {
    format!("{}.{:03}s", duration.as_secs(), duration.subsec_millis())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> BootstrapSpec {
        BootstrapSpec::new("cloud-1.acme.example", "acme.example", &Place::of(Path::new("/state")))
    }

    #[test]
    fn nothing_reaches_the_network() {
        let printed = print_bootstrap(&BootstrapSpec { heap: Some(1 << 30), ..spec() });
        assert!(!printed.contains("socket_address") && !printed.contains("port_value"), "{printed}");
        assert!(printed.contains("/state/envoy/xds.sock") && printed.contains("/state/envoy/admin.sock"));
        assert!(printed.ends_with("}\n"));
    }

    #[test]
    fn the_same_spec_gives_the_same_bytes() {
        assert_eq!(print_bootstrap(&spec()), print_bootstrap(&spec()));
        let other = BootstrapSpec { node: "cloud-2.acme.example".to_owned(), ..spec() };
        assert_ne!(print_bootstrap(&spec()), print_bootstrap(&other));
    }

    #[test]
    fn the_admin_socket_is_for_this_user_alone() {
        assert_eq!(bootstrap(&spec())["admin"]["address"]["pipe"]["mode"], 384);
    }

    #[test]
    fn times_are_written_as_protobuf_has_them() {
        assert_eq!(seconds(Duration::from_millis(50)), "0.050s");
        assert_eq!(seconds(Duration::from_secs(15)), "15.000s");
        assert_eq!(bootstrap(&spec())["dynamic_resources"]["lds_config"]["initial_fetch_timeout"], "0.000s");
    }
}
