//! What is taken from a request and put into it at each door: who calls is said by this node and by nobody else.

use crate::door::Door;
use crate::proto::{containing, core, ext, mutation, set_header};
use crate::site::names;

use ext::http::early_header_mutation::header_mutation::v3 as first;

/// Of its own words Envoy itself takes those away by which a caller could make it try again or wait, but not these.
const LEFT: [&str; 2] = ["x-envoy-attempt-count", "x-envoy-original-dst-host"];
/// Nor these, where the caller is not the first that the request comes from.
const LEFT_INSIDE: [&str; 5] = [
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-external-address",
    "x-envoy-original-path",
];

/// Before the route is looked for: what a client may not say is taken away, the caller is said, and the service is put where
/// the scope's key is. The route says the rest ([`crate::routes`]).
pub(crate) fn early(door: Door<'_>) -> first::HeaderMutation {
    let caller = format!("%FILTER_STATE({}:PLAIN)%", names::CALLER);
    let mut mutations = vec![
        // In every spelling: many services read '_' and '-' alike.
        remove_all("catalyst"),
        append(set_header(names::CALLER_HEADER, &caller)),
    ];
    mutations.extend(LEFT.iter().map(|name| remove(name)));
    match door.is_client() {
        true => mutations.push(remove(names::VIA_HEADER)),
        false => mutations.extend(LEFT_INSIDE.iter().map(|name| remove(name))),
    }
    let service = match door {
        Door::Port(service) => Some(service.to_owned()),
        Door::Stream => Some(format!("%FILTER_STATE({}:PLAIN)%", names::SERVICE)),
        Door::Mesh | Door::Inner | Door::Ingress => None,
    };
    mutations.extend(service.map(|service| append(set_header(names::SERVICE_HEADER, &service))));
    first::HeaderMutation { mutations }
}

fn append(option: core::HeaderValueOption) -> mutation::HeaderMutation {
    mutation::HeaderMutation { action: Some(mutation::header_mutation::Action::Append(option)) }
}

fn remove(name: &str) -> mutation::HeaderMutation {
    mutation::HeaderMutation { action: Some(mutation::header_mutation::Action::Remove(name.to_owned())) }
}

fn remove_all(part: &str) -> mutation::HeaderMutation {
    let matching = mutation::header_mutation::RemoveOnMatch { key_matcher: Some(containing(part)) };
    mutation::HeaderMutation { action: Some(mutation::header_mutation::Action::RemoveOnMatch(matching)) }
}
