//! What is taken from a request and put into it at each door: who calls is said by this node and by nobody else.

use crate::door::Door;
use crate::proto::{Any, add_header, any, beginning, core, ext, mutation, set_header};
use crate::site::names;

use ext::filters::http::header_mutation::v3 as filter;
use ext::http::early_header_mutation::header_mutation::v3 as first;

/// Before the route is looked for: what a client may not say is taken away, and the service is put where the scope's key is.
pub(crate) fn early(door: Door<'_>) -> first::HeaderMutation {
    let mut mutations = vec![
        remove(names::CALLER_HEADER),
        remove(names::LOCAL_HEADER),
        // An empty value would not replace what is there, so it is taken away first.
        remove(names::SERVICE_HEADER),
        // Of Envoy's own words some make it try again or wait: not for a caller to say.
        remove_all("x-envoy-"),
        // Many services read '_' and '-' alike.
        remove_all("x_catalyst"),
        remove_all("x-catalyst_"),
    ];
    if door.is_client() {
        mutations.push(remove(names::VIA_HEADER));
    }
    let service = match door {
        Door::Port(service) => Some(service.to_owned()),
        Door::Stream => Some(format!("%FILTER_STATE({}:PLAIN)%", names::SERVICE)),
        Door::Mesh | Door::Inner | Door::Ingress => None,
    };
    mutations.extend(service.map(|service| append(set_header(names::SERVICE_HEADER, &service))));
    first::HeaderMutation { mutations }
}

/// When the route is known: the caller, and that this node was passed.
pub(crate) fn request(door: Door<'_>, token: &str) -> filter::HeaderMutation {
    let caller = format!("%FILTER_STATE({}:PLAIN)%", names::CALLER);
    let mut requests =
        vec![append(set_header(names::CALLER_HEADER, &caller)), append(add_header(names::VIA_HEADER, token))];
    if door.is_client() {
        requests.push(remove(names::SERVICE_HEADER));
    }
    mutations(requests, Vec::new())
}

/// On the way to a service: the nodes that were passed are not its business, and its answer does not speak for the nodes.
pub(crate) fn to_service() -> Any {
    any(mutations(vec![remove(names::VIA_HEADER)], vec![remove(names::UNAVAILABLE_HEADER)]))
}

/// On the way out of this Envoy: how it finds its own clusters stays inside.
pub(crate) fn outward() -> Any {
    any(mutations(vec![remove(names::LOCAL_HEADER)], Vec::new()))
}

fn mutations(
    request_mutations: Vec<mutation::HeaderMutation>,
    response_mutations: Vec<mutation::HeaderMutation>,
) -> filter::HeaderMutation {
    let mutations = filter::Mutations { request_mutations, response_mutations, ..Default::default() };
    filter::HeaderMutation { mutations: Some(mutations), ..Default::default() }
}

fn append(option: core::HeaderValueOption) -> mutation::HeaderMutation {
    mutation::HeaderMutation { action: Some(mutation::header_mutation::Action::Append(option)) }
}

fn remove(name: &str) -> mutation::HeaderMutation {
    mutation::HeaderMutation { action: Some(mutation::header_mutation::Action::Remove(name.to_owned())) }
}

fn remove_all(prefix: &str) -> mutation::HeaderMutation {
    let matching = mutation::header_mutation::RemoveOnMatch { key_matcher: Some(beginning(prefix)) };
    mutation::HeaderMutation { action: Some(mutation::header_mutation::Action::RemoveOnMatch(matching)) }
}
