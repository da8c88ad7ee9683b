//! Names of services' sockets and of neighbours' mesh ports: asked by the node, so that Envoy gets addresses alone, and a
//! name that stands for nothing is said where people look.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::limits::Limits;
use crate::shared::Shared;

/// Asks again and again, and at once when a name is new.
pub(crate) async fn watch(shared: Arc<Shared>, new: Arc<Notify>) {
    let mut failing = BTreeSet::new();
    loop {
        let names = shared.names();
        failing.retain(|owner| names.iter().any(|(known, _)| known == owner));
        for (owner, address) in names {
            match lookup_host((address.host.as_str(), address.port)).await {
                Ok(found) => {
                    if failing.remove(&owner) {
                        info!(name = %address, %owner, "the name stands for an address again");
                    }
                    shared.resolved(&owner, &address, found.collect());
                }
                Err(error) => {
                    if failing.insert(owner.clone()) {
                        warn!(name = %address, %owner, %error, "the name stands for no address");
                    }
                }
            }
        }
        let wait = if failing.is_empty() { Limits::RESOLVE } else { Limits::RESOLVE_AGAIN };
        let _ = tokio::time::timeout(wait, new.notified()).await;
    }
}
