//! What is taken from a request and put into it at each door: who calls is said by this node and by nobody else.

use crate::door::Door;
use crate::proto::{beginning, core, ext, mutation, set_header};
use crate::site::names;

use ext::http::early_header_mutation::header_mutation::v3 as first;

/// Before the route is looked for: what a client may not say is taken away, the caller is said, and the service is put where
/// the scope's key is. The route says the rest ([`crate::routes`]).
pub(crate) fn early(door: Door<'_>) -> first::HeaderMutation {
    let caller = format!("%FILTER_STATE({}:PLAIN)%", names::CALLER);
    let mut mutations = vec![
        // Of Envoy's own words some make it try again or wait: not for a caller to say.
        remove_all("x-envoy-"),
        remove_all("x-catalyst"),
        // Many services read '_' and '-' alike.
        remove_all("x_catalyst"),
        append(set_header(names::CALLER_HEADER, &caller)),
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
