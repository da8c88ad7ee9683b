//! What Envoy rejects: told to the node where a service cannot be served; and ports that another program had are tried
//! again when they are free.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_node::envoy_row::is_taken;
use catalyst_node::mesh::News;
use catalyst_xds::{Kind, Rejected};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Duration, Instant, sleep};
use tracing::info;

use crate::blame::Blame;
use crate::limits::Limits;
use crate::shared::Shared;

/// Follows what Envoy rejects, and what it accepts after that.
pub(crate) async fn watch(shared: Arc<Shared>, news: Arc<News>) {
    let mut rejections = shared.publisher.rejections();
    loop {
        let all = match rejections.recv().await {
            Ok(rejection) => vec![rejection],
            Err(RecvError::Lagged(_)) => shared.lock().troubles.missed(shared.publisher.rejected()),
            Err(RecvError::Closed) => return,
        };
        for rejection in all {
            let service = {
                let mut state = shared.lock();
                let held = state.holds(rejection.kind, &rejection.name);
                state.troubles.rejection(&rejection, held)
            };
            if let Some(service) = service {
                news.changed(&service).await;
            }
        }
    }
}

/// A port that Envoy did not get.
struct Waiting {
    pause: Duration,
    due: Instant,
}

/// Has Envoy open ports once the program that had them lets them go.
pub(crate) async fn reopen(shared: Arc<Shared>, addresses: BTreeMap<String, SocketAddr>) {
    let mut waiting: BTreeMap<String, Waiting> = BTreeMap::new();
    loop {
        sleep(Limits::REOPEN).await;
        let taken: BTreeMap<String, SocketAddr> = shared
            .publisher
            .rejected()
            .iter()
            .filter(|row| row.kind == Kind::Listener && is_taken(&row.reason))
            .filter_map(|row| Some((row.name.to_string(), address(row, &addresses)?)))
            .collect();
        waiting.retain(|name, _| taken.contains_key(name));
        for (name, at) in taken {
            let now = Instant::now();
            let entry = waiting.entry(name.clone());
            let wait = entry.or_insert_with(|| Waiting { pause: Limits::REOPEN, due: now });
            if now >= wait.due && is_free(at) {
                info!(listener = name, %at, "the port seems to be free: Envoy tries it again");
                wait.pause = wait.pause.saturating_mul(2).min(Limits::REOPEN_MOST);
                wait.due = now + wait.pause;
                shared.publisher.again(Kind::Listener, &name);
            }
        }
    }
}

fn address(row: &Rejected, addresses: &BTreeMap<String, SocketAddr>) -> Option<SocketAddr> {
    match Blame::of(row.kind, &row.name) {
        Blame::Port(_, at) => Some(at),
        _ => addresses.get(&*row.name).copied(),
    }
}

/// Whether nobody listens there. Where this process may not look, Envoy has to.
fn is_free(at: SocketAddr) -> bool {
    match std::net::TcpListener::bind(at) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrInUse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_when_nobody_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        assert!(!is_free(at));
        drop(listener);
        assert!(is_free(at));
    }

    #[test]
    fn the_address_of_a_port_is_in_its_name() {
        let row = |name: &str| Rejected { kind: Kind::Listener, name: name.into(), reason: "taken".into() };
        let known = [("mesh".to_owned(), "127.0.0.1:8443".parse().unwrap())].into();
        assert_eq!(address(&row("mesh"), &known), Some("127.0.0.1:8443".parse().unwrap()));
        let port = row("port|web.acme.example|127.0.0.1:8080");
        assert_eq!(address(&port, &known), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(address(&row("inner"), &known), None);
    }
}
