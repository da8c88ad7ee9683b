//! Two Envoys as a person would configure them who knows what is wanted: the same ports, the same mutual TLS and HTTP/2
//! between them, the same windows, the same fields in the access log, the caller's identity in a header and forged ones
//! removed, calls allowed by SPIFFE ID. All of it static, with the shortest means that Envoy has.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use catalyst_dataplane::names;
use serde_json::{Value, json};

use crate::edge::load::free_port;
use crate::org::Org;

use super::envoy::Envoy;

/// The pair; client side first.
pub struct Pair {
    /// Where clients name the service by Host.
    pub ingress: SocketAddr,
    /// A local port of the TCP service.
    pub port: SocketAddr,
    /// The two processes.
    pub envoys: [Envoy; 2],
}

const HTTP: &str = "web.acme.example";
const TCP: &str = "db.acme.example";

impl Pair {
    /// Two Envoys before these services.
    pub fn start(program: &Path, folder: &Path, org: &Org, web: SocketAddr, db: SocketAddr) -> Result<Pair> {
        let (ingress, port, mesh) = (free_port()?, free_port()?, free_port()?);
        let (near, far) = (folder.join("near"), folder.join("far"));
        fs::create_dir_all(&near)?;
        fs::create_dir_all(&far)?;
        let near_side = json!({
            "listeners": [entry(&near, ingress), expose(port)],
            "clusters": [peer(org, mesh)?],
        });
        let far_side = json!({
            "listeners": [mesh_listener(&far, org, mesh)?],
            "clusters": [
                cluster("web", web, Some(json!({ "http_protocol_options": {} }))),
                cluster("db", db, None),
            ],
        });
        let envoys = [start(program, &near, near_side)?, start(program, &far, far_side)?];
        Ok(Pair { ingress, port, envoys })
    }
}

fn start(program: &Path, folder: &Path, resources: Value) -> Result<Envoy> {
    let admin = folder.join("admin.sock");
    let bootstrap = json!({
        "admin": { "address": { "pipe": { "path": admin } } },
        "static_resources": resources,
    });
    let path = folder.join("bootstrap.json");
    fs::write(&path, bootstrap.to_string())?;
    Envoy::start(program, &path, admin, folder.join("log"))
}

fn typed(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = Value::String(format!("type.googleapis.com/{message}"));
    json!({ "name": name, "typed_config": config })
}

fn socket(at: SocketAddr) -> Value {
    json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } })
}

fn http2() -> Value {
    json!({
        "max_concurrent_streams": 24,
        "initial_stream_window_size": 1 << 20,
        "initial_connection_window_size": 32 << 20,
        "allow_connect": true,
        "connection_keepalive": { "interval": "1s", "timeout": "2s" },
    })
}

fn access_log(folder: &Path, caller: &str) -> Value {
    let fields = json!({
        "time": "%START_TIME%", "door": "hand", "caller": caller, "authority": "%REQ(:AUTHORITY)%",
        "method": "%REQ(:METHOD)%", "path": "%PATH(NQ:PATH):256%", "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%", "peer": "%UPSTREAM_PEER_URI_SAN%", "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "received": "%BYTES_RECEIVED%", "sent": "%BYTES_SENT%", "ms": "%DURATION%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    });
    let config = json!({ "path": folder.join("access.log"), "log_format": { "json_format": fields } });
    let message = "envoy.extensions.access_loggers.file.v3.FileAccessLog";
    typed("envoy.access_loggers.file", message, config)
}

fn set(name: &str, value: &str, action: &str) -> Value {
    json!({ "header": { "key": name, "value": value }, "append_action": action })
}

/// What both connection managers have: headers of the route configuration, the log.
fn manager(folder: &Path, caller: &str, mut config: Value, routes: Value, filters: Vec<Value>) -> Value {
    config["stat_prefix"] = json!("hand");
    config["http2_protocol_options"] = http2();
    config["stream_idle_timeout"] = json!("0s");
    config["request_headers_timeout"] = json!("10s");
    config["server_header_transformation"] = json!("PASS_THROUGH");
    config["upgrade_configs"] = json!([{ "upgrade_type": "websocket" }, { "upgrade_type": "CONNECT" }]);
    config["access_log"] = json!([access_log(folder, caller)]);
    config["http_filters"] = Value::Array(filters);
    config["route_config"] = json!({
        "name": "hand",
        "virtual_hosts": routes,
        "request_headers_to_remove": [names::CALLER_HEADER, names::LOCAL_HEADER],
        "request_headers_to_add": [
            set(names::CALLER_HEADER, caller, "OVERWRITE_IF_EXISTS_OR_ADD"),
            set(names::VIA_HEADER, "0123456789abcdef", "APPEND_IF_EXISTS_OR_ADD"),
        ],
    });
    let message = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    typed("envoy.filters.network.http_connection_manager", message, config)
}

fn router() -> Value {
    typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({}))
}

fn to(cluster: &str) -> Value {
    json!({
        "cluster": cluster, "timeout": "0s",
        "retry_policy": { "retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 3 },
    })
}

fn entry(folder: &Path, at: SocketAddr) -> Value {
    let mut route = to("far");
    route["host_rewrite_literal"] = json!(HTTP);
    route["append_x_forwarded_host"] = json!(true);
    let routes = json!([{
        "name": HTTP, "domains": [HTTP], "routes": [{ "match": { "prefix": "/" }, "route": route }],
    }]);
    let config = json!({ "use_remote_address": true });
    let filter = manager(folder, "spiffe://acme.example/node/a", config, routes, vec![router()]);
    listener("ingress", at, json!({ "filters": [filter] }))
}

fn expose(at: SocketAddr) -> Value {
    let config = json!({
        "stat_prefix": "port", "cluster": "far", "idle_timeout": "0s",
        "tunneling_config": { "hostname": format!("{TCP}:1") },
    });
    let message = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
    listener("port", at, json!({ "filters": [typed("envoy.filters.network.tcp_proxy", message, config)] }))
}

fn listener(name: &str, at: SocketAddr, chain: Value) -> Value {
    json!({
        "name": name, "address": socket(at), "per_connection_buffer_limit_bytes": 1 << 20,
        "filter_chains": [chain],
    })
}

fn mesh_listener(folder: &Path, org: &Org, at: SocketAddr) -> Result<Value> {
    let mut connect = to("db");
    connect["upgrade_configs"] = json!([{ "upgrade_type": "CONNECT", "connect_config": {} }]);
    let routes = json!([
        { "name": HTTP, "domains": [HTTP], "routes": [{ "match": { "prefix": "/" }, "route": to("web") }] },
        {
            "name": TCP, "domains": [TCP, format!("{TCP}:1")],
            "routes": [{ "match": { "connect_matcher": {} }, "route": connect }],
        },
    ]);
    let allowed =
        json!({ "authenticated": { "principal_name": { "prefix": "spiffe://acme.example/node/" } } });
    let rules = json!({
        "action": "ALLOW",
        "policies": { "callers": { "permissions": [{ "any": true }], "principals": [allowed] } },
    });
    let rbac = typed(
        "envoy.filters.http.rbac",
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({ "rules": rules }),
    );
    let config = json!({ "codec_type": "HTTP2", "preserve_external_request_id": true });
    let filter = manager(folder, "%DOWNSTREAM_PEER_URI_SAN%", config, routes, vec![rbac, router()]);
    let mut context = json!({ "require_client_certificate": true });
    context["common_tls_context"] = tls(org, "b", json!({}))?;
    let message = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    let chain = json!({
        "filters": [filter],
        "transport_socket": typed("envoy.transport_sockets.tls", message, context),
    });
    Ok(listener("mesh", at, chain))
}

fn tls(org: &Org, node: &str, mut validation: Value) -> Result<Value> {
    let identity = org.identity(node)?;
    validation["trusted_ca"] = json!({ "inline_string": org.roots() });
    Ok(json!({
        "alpn_protocols": ["h2"],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
            "ecdh_curves": ["X25519MLKEM768", "X25519"],
        },
        "tls_certificates": [{
            "certificate_chain": { "inline_string": identity.chain },
            "private_key": { "inline_string": identity.key },
        }],
        "validation_context": validation,
    }))
}

fn cluster(name: &str, at: SocketAddr, protocol: Option<Value>) -> Value {
    let mut cluster = json!({
        "name": name, "type": "STATIC", "connect_timeout": "2s",
        "per_connection_buffer_limit_bytes": 1 << 20,
        "circuit_breakers": { "thresholds": [{
            "max_connections": 4096, "max_pending_requests": 16384, "max_requests": 65536, "max_retries": 4096,
        }] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(at) } }] }],
        },
    });
    if let Some(protocol) = protocol {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": protocol,
            },
        });
    }
    cluster
}

fn peer(org: &Org, at: SocketAddr) -> Result<Value> {
    let mut cluster = cluster("far", at, Some(json!({ "http2_protocol_options": http2() })));
    let san = json!([{ "san_type": "URI", "matcher": { "exact": "spiffe://acme.example/node/b" } }]);
    let context =
        json!({ "common_tls_context": tls(org, "a", json!({ "match_typed_subject_alt_names": san }))? });
    let message = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    cluster["transport_socket"] = typed("envoy.transport_sockets.tls", message, context);
    Ok(cluster)
}
