//! Between the protobuf messages of the protocol and those of the state machine.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as Delta,
};
use envoy_types::pb::google::protobuf::Any;

use crate::message::{Request, Response, version_text};

pub fn request(message: DeltaDiscoveryRequest) -> Request {
    Request {
        type_url: message.type_url,
        subscribe: message.resource_names_subscribe,
        unsubscribe: message.resource_names_unsubscribe,
        held: message.initial_resource_versions.into_iter().collect(),
        nonce: message.response_nonce,
        error: message.error_detail.map(|status| status.message),
    }
}

pub fn response(response: Response) -> DeltaDiscoveryResponse {
    let type_url = response.kind.type_url();
    let resources = response.set.iter().map(|resource| Delta {
        name: resource.name().to_owned(),
        version: version_text(resource.version()),
        resource: Some(Any { type_url: type_url.to_owned(), value: resource.body().to_vec() }),
        ..Delta::default()
    });
    DeltaDiscoveryResponse {
        resources: resources.collect(),
        type_url: type_url.to_owned(),
        removed_resources: response.remove.iter().map(|name| name.to_string()).collect(),
        nonce: response.nonce.to_string(),
        ..DeltaDiscoveryResponse::default()
    }
}

/// Envoy's version as it says it in its node: `1.40.0`.
pub fn version(node: &Node) -> String {
    match &node.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentVersion(text)) => text.clone(),
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => build
            .version
            .as_ref()
            .map_or_else(String::new, |v| format!("{}.{}.{}", v.major_number, v.minor_number, v.patch)),
        None => String::new(),
    }
}
