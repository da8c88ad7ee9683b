//! What Envoy answers itself: marks for the node before, and words for people at the ingress.

use crate::door::Door;
use crate::proto::{accesslog, ext, format_text, inline, route, set_header};
use crate::site::names;

use ext::filters::network::http_connection_manager::v3 as manager;

/// The answers of a door.
pub(crate) fn local(door: Door<'_>) -> manager::LocalReplyConfig {
    let mut mappers = vec![unreached(&["UF", "UH", "NC", "UO", "LH", "NR"])];
    if door == Door::Ingress {
        let mut nobody = unreached(&["NR"]);
        nobody.body_format_override = Some(format_text(
            "Nothing here answers to '%REQ(:AUTHORITY):200%'. This ingress finds a service by its full name, such as \
             'web.acme.example', in the Host of the request; 'catalyst route ls' lists those that this node knows. \
             A service of TCP has a local port instead: 'expose' in catalyst.json.\n",
        ));
        mappers.insert(0, nobody);
    }
    manager::LocalReplyConfig { mappers, ..Default::default() }
}

/// Marks the answers that Envoy gives because the service was not reached, so that the node before tries another.
fn unreached(flags: &[&str]) -> manager::ResponseMapper {
    use accesslog::access_log_filter::FilterSpecifier;
    let flags = flags.iter().map(ToString::to_string).collect();
    let filter = FilterSpecifier::ResponseFlagFilter(accesslog::ResponseFlagFilter { flags });
    manager::ResponseMapper {
        filter: Some(accesslog::AccessLogFilter { filter_specifier: Some(filter) }),
        headers_to_add: vec![set_header(names::UNAVAILABLE_HEADER, "%RESPONSE_FLAGS%")],
        ..Default::default()
    }
}

const KEYS: &str = r#"{"error":"not_found","path":"/.well-known/jwks.json","message":"Here a node publishes the public keys of the tokens that it signs. This node signs none."}"#;
const GRAPH: &str = r#"{"error":"not_found","path":"/graphql","message":"Here a node answers GraphQL over the services that it knows. This node serves none. The endpoint of one service is under that service's own Host."}"#;

/// What the ingress answers under a name of the node itself: two paths are reserved, and all others say how to go on. It has
/// the shape of a service's scope, so that it can change without the listener. No other door lets anybody in here.
pub(crate) fn own_host(host: &str) -> route::ScopedRouteConfiguration {
    use route::route_match::PathSpecifier;
    use route::scoped_route_configuration::{Key, key};
    let exact = |path: &str| PathSpecifier::Path(path.to_owned());
    let help = "This is the ingress of a Catalyst node. It finds a service by its full name in the Host of the request: \
                curl -H 'Host: web.acme.example' ...\n";
    let routes = vec![
        says(exact("/.well-known/jwks.json"), "application/json", KEYS),
        says(exact("/graphql"), "application/json", GRAPH),
        says(PathSpecifier::Prefix("/".into()), "text/plain", help),
    ];
    let virtual_host =
        route::VirtualHost { name: host.to_owned(), domains: vec!["*".into()], routes, ..Default::default() };
    let routes = route::RouteConfiguration {
        name: host.to_owned(),
        virtual_hosts: vec![virtual_host],
        ..Default::default()
    };
    let fragment = key::Fragment { r#type: Some(key::fragment::Type::StringKey(host.to_owned())) };
    route::ScopedRouteConfiguration {
        name: host.to_owned(),
        key: Some(Key { fragments: vec![fragment] }),
        route_configuration: Some(routes),
        ..Default::default()
    }
}

fn says(path: route::route_match::PathSpecifier, kind: &str, body: &str) -> route::Route {
    let answer = route::DirectResponseAction { status: 404, body: inline(body), ..Default::default() };
    route::Route {
        r#match: Some(route::RouteMatch { path_specifier: Some(path), ..Default::default() }),
        action: Some(route::route::Action::DirectResponse(answer)),
        response_headers_to_add: vec![set_header("content-type", kind)],
        ..Default::default()
    }
}
