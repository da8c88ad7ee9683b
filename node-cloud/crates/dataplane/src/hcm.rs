//! The HTTP connection managers of all listeners: alike but for where a request's service and caller are read.

use std::path::Path;

use crate::answers;
use crate::clusters::{http1, http2};
use crate::door::Door;
use crate::headers;
use crate::limits::Limits;
use crate::proto::{
    Any, accesslog, ads, any, core, duration, exactly, ext, format_text, listener, rbac, route, yes,
};
use crate::site::names;
use crate::tls::extension;

use ext::filters::network::http_connection_manager::v3 as manager;

/// What is the same for all doors of a node.
#[derive(Clone, Debug)]
pub(crate) struct Manager<'a> {
    pub(crate) access_log: &'a Path,
}

impl Manager<'_> {
    /// The last filter of a chain.
    pub(crate) fn filter(&self, door: Door<'_>) -> listener::Filter {
        self.behind(Vec::new(), door)
    }

    /// The last filters of a chain of the mesh: for these callers, asked once a connection, for with the chain its connections
    /// go; or for those of a list that changes without the listener, asked with each request.
    pub(crate) fn mesh(&self, callers: Option<rbac::Rbac>) -> Vec<listener::Filter> {
        match callers {
            Some(rules) => vec![once(rules), self.behind(vec![health()], Door::Mesh)],
            None => vec![self.behind(vec![health(), neighbours()], Door::Mesh)],
        }
    }

    fn behind(&self, mut filters: Vec<manager::HttpFilter>, door: Door<'_>) -> listener::Filter {
        // Clients of this node may do what it may: for them, what is not there is not found rather than forbidden.
        if !matches!(door, Door::Ingress | Door::Port(_)) {
            filters.push(http(RBAC, any(deny_all())));
        }
        filters.push(router());
        let config = manager::HttpConnectionManager {
            stat_prefix: door.word().into(),
            codec_type: self.codec(door) as i32,
            http2_protocol_options: Some(http2(door == Door::Mesh)),
            delayed_close_timeout: duration(Limits::DELAYED_CLOSE),
            stream_idle_timeout: duration(std::time::Duration::ZERO),
            request_headers_timeout: duration(Limits::HEADERS),
            server_header_transformation:
                manager::http_connection_manager::ServerHeaderTransformation::PassThrough as i32,
            use_remote_address: door.is_client().then(yes).flatten(),
            preserve_external_request_id: !door.is_client(),
            upgrade_configs: ["websocket", "CONNECT"].map(upgrade).into(),
            access_log: self.access_log(door).into_iter().collect(),
            early_header_mutation_extensions: vec![extension(
                "envoy.http.early_header_mutation.header_mutation",
                any(headers::early(door)),
            )],
            local_reply_config: Some(answers::local(door)),
            http_protocol_options: Some(http1()),
            // Whether an upload may begin, the service says.
            proxy_100_continue: true,
            http_filters: filters,
            route_specifier: Some(manager::http_connection_manager::RouteSpecifier::ScopedRoutes(scopes(
                door,
            ))),
            ..Default::default()
        };
        network("envoy.filters.network.http_connection_manager", any(config))
    }

    fn codec(&self, door: Door<'_>) -> manager::http_connection_manager::CodecType {
        use manager::http_connection_manager::CodecType;
        match door {
            Door::Mesh | Door::Inner => CodecType::Http2,
            _ => CodecType::Auto,
        }
    }

    fn access_log(&self, door: Door<'_>) -> Option<accesslog::AccessLog> {
        let caller = format!("%FILTER_STATE({}:PLAIN)%", names::CALLER);
        let fields = [
            ("time", "%START_TIME%"),
            ("door", door.word()),
            ("caller", &caller),
            ("authority", "%REQ(:AUTHORITY)%"),
            ("method", "%REQ(:METHOD)%"),
            // What follows the '?' may be a secret of the client's.
            ("path", "%PATH(NQ:PATH):256%"),
            ("protocol", "%PROTOCOL%"),
            ("status", "%RESPONSE_CODE%"),
            ("flags", "%RESPONSE_FLAGS%"),
            ("details", "%RESPONSE_CODE_DETAILS%"),
            ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
            // The next node, by its certificate.
            ("peer", "%UPSTREAM_PEER_URI_SAN%"),
            ("tries", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
            ("received", "%BYTES_RECEIVED%"),
            ("sent", "%BYTES_SENT%"),
            ("ms", "%DURATION%"),
            ("request_id", "%REQ(X-REQUEST-ID)%"),
        ];
        let file = crate::log_line::file(&self.access_log.to_string_lossy(), &fields);
        Some(accesslog::AccessLog {
            name: "envoy.access_loggers.file".into(),
            filter: (door == Door::Mesh).then(|| accesslog::AccessLogFilter {
                filter_specifier: Some(accesslog::access_log_filter::FilterSpecifier::NotHealthCheckFilter(
                    Default::default(),
                )),
            }),
            config_type: Some(accesslog::access_log::ConfigType::TypedConfig(file)),
        })
    }
}

const RBAC: &str = "envoy.filters.http.rbac";

/// `catalyst.caller` from this text; `shared` with the internal listener behind.
pub(crate) fn caller(text: &str, shared: bool) -> listener::Filter {
    set_state(vec![state_value(names::CALLER, text, shared)], vec![])
}

/// Caller and serial number, of the certificate that a neighbour shows.
pub(crate) fn from_certificate() -> listener::Filter {
    let values = vec![
        state_value(names::CALLER, "%DOWNSTREAM_PEER_URI_SAN%", false),
        state_value(names::SERIAL, "%DOWNSTREAM_PEER_SERIAL%", false),
    ];
    set_state(vec![], values)
}

/// Caller and service of a stream from the tunnel, of what the PROXY protocol brought. By way of the filter state, for the
/// metadata cannot be used in headers.
pub(crate) fn from_proxy() -> listener::Filter {
    let metadata = |key| format!("%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:{key})%");
    let values = vec![
        state_value(names::CALLER, &metadata(names::CALLER), true),
        state_value(names::SERVICE, &metadata(names::SERVICE), false),
    ];
    set_state(values, vec![])
}

fn set_state(
    on_new_connection: Vec<ext::filters::common::set_filter_state::v3::FilterStateValue>,
    on_downstream_tls_handshake: Vec<ext::filters::common::set_filter_state::v3::FilterStateValue>,
) -> listener::Filter {
    let config = ext::filters::network::set_filter_state::v3::Config {
        on_new_connection,
        on_downstream_tls_handshake,
        ..Default::default()
    };
    network("envoy.filters.network.set_filter_state", any(config))
}

fn state_value(
    key: &str,
    text: &str,
    shared: bool,
) -> ext::filters::common::set_filter_state::v3::FilterStateValue {
    use ext::filters::common::set_filter_state::v3::{FilterStateValue, filter_state_value as value};
    let share = if shared { value::SharedWithUpstream::Once } else { value::SharedWithUpstream::None };
    FilterStateValue {
        key: Some(value::Key::ObjectKey(key.to_owned())),
        // Hashable: connections into an internal listener are not shared by callers.
        factory_key: if shared { "envoy.hashable_string" } else { "envoy.string" }.into(),
        shared_with_upstream: share as i32,
        value: Some(value::Value::FormatString(format_text(text))),
        ..Default::default()
    }
}

/// Lets only these open a connection: before it has sent anything that is read further on, it is ended.
fn once(rules: rbac::Rbac) -> listener::Filter {
    let config = ext::filters::network::rbac::v3::Rbac {
        rules: Some(rules),
        stat_prefix: names::NEIGHBOURS.into(),
        ..Default::default()
    };
    network("envoy.filters.network.rbac", any(config))
}

pub(crate) fn network(name: &str, config: Any) -> listener::Filter {
    listener::Filter {
        name: name.to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(config)),
    }
}

fn http(name: &str, config: Any) -> manager::HttpFilter {
    manager::HttpFilter {
        name: name.to_owned(),
        config_type: Some(manager::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

pub(crate) fn router() -> manager::HttpFilter {
    http("envoy.filters.http.router", any(ext::filters::http::router::v3::Router::default()))
}

pub(crate) fn upgrade(kind: &str) -> manager::http_connection_manager::UpgradeConfig {
    manager::http_connection_manager::UpgradeConfig { upgrade_type: kind.to_owned(), ..Default::default() }
}

/// The scopes of all services; all doors share one copy.
fn scopes(door: Door<'_>) -> manager::ScopedRoutes {
    use builder::fragment_builder::{HeaderValueExtractor, Type, header_value_extractor::ExtractType};
    use manager::scoped_routes::{ConfigSpecifier, ScopeKeyBuilder, scope_key_builder as builder};
    let header = match door {
        Door::Mesh | Door::Inner | Door::Ingress => ":authority",
        Door::Port(_) | Door::Stream => names::SERVICE_HEADER,
    };
    // Without the port.
    let extractor = HeaderValueExtractor {
        name: header.into(),
        element_separator: ":".into(),
        extract_type: Some(ExtractType::Index(0)),
    };
    manager::ScopedRoutes {
        name: "services".into(),
        scope_key_builder: Some(ScopeKeyBuilder {
            fragments: vec![builder::FragmentBuilder { r#type: Some(Type::HeaderValueExtractor(extractor)) }],
        }),
        rds_config_source: ads(),
        config_specifier: Some(ConfigSpecifier::ScopedRds(manager::ScopedRds {
            scoped_rds_config_source: ads(),
            ..Default::default()
        })),
    }
}

/// Answers the question whether this port answers.
fn health() -> manager::HttpFilter {
    let asked = route::HeaderMatcher {
        name: ":authority".into(),
        header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(exactly(
            names::HEALTH,
        ))),
        ..Default::default()
    };
    let filter = ext::filters::http::health_check::v3::HealthCheck {
        pass_through_mode: Some(Default::default()),
        headers: vec![asked],
        ..Default::default()
    };
    http("envoy.filters.http.health_check", any(filter))
}

/// Only those of a list that changes without the listener.
fn neighbours() -> manager::HttpFilter {
    let source = core::ExtensionConfigSource {
        config_source: ads(),
        type_urls: vec!["type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC".into()],
        ..Default::default()
    };
    manager::HttpFilter {
        name: names::NEIGHBOURS.to_owned(),
        config_type: Some(manager::http_filter::ConfigType::ConfigDiscovery(source)),
        ..Default::default()
    }
}

/// Nobody may do anything, but where a scope says otherwise.
fn deny_all() -> ext::filters::http::rbac::v3::Rbac {
    let rules = rbac::Rbac { action: rbac::rbac::Action::Allow as i32, ..Default::default() };
    ext::filters::http::rbac::v3::Rbac { rules: Some(rules), ..Default::default() }
}
