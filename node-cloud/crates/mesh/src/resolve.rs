//! Names of services' sockets and of neighbours' mesh ports: asked by the node, so that Envoy gets addresses alone, and a
//! name that stands for nothing is said where people look.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_config::HostPort;
use catalyst_node::mesh::News;
use tokio::net::lookup_host;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::limits::Limits;
use crate::shared::Shared;
use crate::state::Owner;

type Answer = (Owner, HostPort, io::Result<Vec<SocketAddr>>);

/// Asks again and again, and at once when a name is new. Nobody waits for the name of another.
pub(crate) async fn watch(shared: Arc<Shared>, new: Arc<Notify>, news: Arc<News>) {
    let mut failing = BTreeSet::new();
    loop {
        let names = shared.names();
        failing.retain(|owner| names.iter().any(|(known, _)| known == owner));
        let mut names = names.into_iter();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < Limits::LOOKUPS
                && let Some((owner, address)) = names.next()
            {
                asked.spawn(ask(owner, address));
            }
            let Some(answer) = asked.join_next().await else { break };
            if let Ok(answer) = answer {
                tell(&shared, &news, &mut failing, answer).await;
            }
        }
        let wait = if failing.is_empty() { Limits::RESOLVE } else { Limits::RESOLVE_AGAIN };
        let _ = timeout(wait, new.notified()).await;
    }
}

async fn ask(owner: Owner, address: HostPort) -> Answer {
    let lookup = async {
        let found = lookup_host((address.host.as_str(), address.port)).await?;
        Ok(found.collect::<Vec<_>>())
    };
    let found = timeout(Limits::LOOKUP, lookup).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let found = match found {
        Ok(found) if found.is_empty() => Err(io::Error::other("it has no address")),
        found => found,
    };
    (owner, address, found)
}

async fn tell(shared: &Shared, news: &News, failing: &mut BTreeSet<Owner>, answer: Answer) {
    let (owner, address, found) = answer;
    let service = match found {
        Ok(found) => {
            if failing.remove(&owner) {
                info!(name = %address, %owner, "the name stands for an address again");
            }
            shared.looked_up(&owner, &address, Ok(found))
        }
        Err(error) => {
            if failing.insert(owner.clone()) {
                warn!(name = %address, %owner, %error, "the name stands for no address");
            }
            shared.looked_up(&owner, &address, Err(&error.to_string()))
        }
    };
    if let Some(service) = service {
        news.changed(&service).await;
    }
}
