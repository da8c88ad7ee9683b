//! Short names for the parts of Envoy's API that this crate uses, and for its small wrappers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub(crate) use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
pub(crate) use envoy_types::pb::envoy::config::cluster::v3 as cluster;
pub(crate) use envoy_types::pb::envoy::config::common::mutation_rules::v3 as mutation;
pub(crate) use envoy_types::pb::envoy::config::core::v3 as core;
pub(crate) use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
pub(crate) use envoy_types::pb::envoy::config::listener::v3 as listener;
pub(crate) use envoy_types::pb::envoy::config::rbac::v3 as rbac;
pub(crate) use envoy_types::pb::envoy::config::route::v3 as route;
pub(crate) use envoy_types::pb::envoy::extensions as ext;
pub(crate) use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
pub(crate) use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration as ProtoDuration, UInt32Value};
pub(crate) use envoy_types::util::pack_any as any;

use core::address::Address as Kind;

pub(crate) fn duration(time: Duration) -> Option<ProtoDuration> {
    let (seconds, nanos) = (i64::try_from(time.as_secs()), i32::try_from(time.subsec_nanos()));
    Some(ProtoDuration { seconds: seconds.unwrap_or(i64::MAX), nanos: nanos.unwrap_or(0) })
}

pub(crate) fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(crate) fn yes() -> Option<BoolValue> {
    Some(BoolValue { value: true })
}

/// By the stream that everything comes by.
pub(crate) fn ads() -> Option<core::ConfigSource> {
    Some(core::ConfigSource {
        resource_api_version: core::ApiVersion::V3 as i32,
        // 0: for ever. A listener takes no traffic on a half of its configuration.
        initial_fetch_timeout: duration(Duration::ZERO),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource::default(),
        )),
        ..Default::default()
    })
}

pub(crate) fn socket(address: SocketAddr) -> core::Address {
    let socket = core::SocketAddress {
        address: address.ip().to_string(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(address.port().into())),
        ..Default::default()
    };
    core::Address { address: Some(Kind::SocketAddress(socket)) }
}

pub(crate) fn pipe(path: &Path, mode: u32) -> core::Address {
    core::Address {
        address: Some(Kind::Pipe(core::Pipe { path: path.to_string_lossy().into_owned(), mode })),
    }
}

pub(crate) fn internal(listener: &str) -> core::Address {
    let address = core::EnvoyInternalAddress {
        address_name_specifier: Some(core::envoy_internal_address::AddressNameSpecifier::ServerListenerName(
            listener.to_owned(),
        )),
        endpoint_id: String::new(),
    };
    core::Address { address: Some(Kind::EnvoyInternalAddress(address)) }
}

pub(crate) fn exactly(text: &str) -> matcher::StringMatcher {
    string(matcher::string_matcher::MatchPattern::Exact(text.to_owned()))
}

pub(crate) fn beginning(text: &str) -> matcher::StringMatcher {
    string(matcher::string_matcher::MatchPattern::Prefix(text.to_owned()))
}

pub(crate) fn containing(text: &str) -> matcher::StringMatcher {
    string(matcher::string_matcher::MatchPattern::Contains(text.to_owned()))
}

/// A regular expression that the whole text matches.
pub(crate) fn one_of(expression: &str) -> matcher::StringMatcher {
    string(matcher::string_matcher::MatchPattern::SafeRegex(matcher::RegexMatcher {
        regex: expression.to_owned(),
        ..Default::default()
    }))
}

fn string(pattern: matcher::string_matcher::MatchPattern) -> matcher::StringMatcher {
    matcher::StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

pub(crate) fn state(key: &str, matches: matcher::StringMatcher) -> matcher::FilterStateMatcher {
    matcher::FilterStateMatcher {
        key: key.to_owned(),
        matcher: Some(matcher::filter_state_matcher::Matcher::StringMatch(matches)),
    }
}

/// A header in place of any of the name.
pub(crate) fn set_header(name: &str, value: &str) -> core::HeaderValueOption {
    header(name, value, core::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd)
}

/// A header beside others of the name.
pub(crate) fn add_header(name: &str, value: &str) -> core::HeaderValueOption {
    header(name, value, core::header_value_option::HeaderAppendAction::AppendIfExistsOrAdd)
}

fn header(
    name: &str,
    value: &str,
    action: core::header_value_option::HeaderAppendAction,
) -> core::HeaderValueOption {
    core::HeaderValueOption {
        header: Some(core::HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        append_action: action as i32,
        ..Default::default()
    }
}

pub(crate) fn transport(name: &str, config: Any) -> Option<core::TransportSocket> {
    Some(core::TransportSocket {
        name: name.to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(config)),
    })
}

pub(crate) fn inline(text: &str) -> Option<core::DataSource> {
    Some(core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(text.to_owned())),
        ..Default::default()
    })
}

pub(crate) fn format_text(text: &str) -> core::SubstitutionFormatString {
    core::SubstitutionFormatString {
        format: inline(text).map(core::substitution_format_string::Format::TextFormatSource),
        ..Default::default()
    }
}
