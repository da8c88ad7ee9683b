//! Whether neighbours' mesh ports answer: Envoy is asked, by a task, and what it said last is what `status` shows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalyst_envoy::{Admin, Stats};
use catalyst_names::NodeName;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::limits::Limits;

/// Counters that tell it: `cluster.peer|b.acme.example.membership_healthy`.
const FILTER: &str = r"^cluster\.peer\|.*\.membership_(healthy|total)$";

/// What Envoy said last.
#[derive(Default)]
pub(crate) struct Neighbours {
    said: Mutex<BTreeMap<String, bool>>,
    wanted: Notify,
}

impl Neighbours {
    /// Whether the mesh port of this neighbour answers, as far as that is known; Envoy is asked anew.
    pub(crate) fn of(&self, peer: &NodeName) -> Option<bool> {
        self.wanted.notify_one();
        self.lock().get(peer.as_str()).copied()
    }

    /// Asks when somebody wants to know, and now and then. An Envoy that does not answer has said nothing.
    pub(crate) async fn watch(&self, admin: Admin) {
        loop {
            let _ = timeout(Limits::NEIGHBOURS, self.wanted.notified()).await;
            let begun = Instant::now();
            let said = admin.stats(FILTER).await.map(|stats| healthy(&stats)).unwrap_or_default();
            *self.lock() = said;
            // A question costs Envoy time in which it does nothing else, the more the more it has to do with.
            let pause = begun.elapsed().saturating_mul(Limits::NEIGHBOURS_SHARE);
            sleep(pause.max(Limits::NEIGHBOURS_PAUSE)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        // Nothing panics while it is held.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neighbours that have addresses at all, and whether one of them answers.
fn healthy(stats: &Stats) -> BTreeMap<String, bool> {
    let of = |name: &str, what: &str| {
        let name = name.strip_prefix("cluster.")?.strip_suffix(what)?;
        name.split_once('|').filter(|(kind, _)| *kind == "peer").map(|(_, peer)| peer.to_owned())
    };
    let with_addresses = stats.iter().filter(|(_, count)| **count > 0);
    let peers = with_addresses.filter_map(|(name, _)| of(name, ".membership_total"));
    let answers = |peer: &str| {
        let cluster = format!("cluster.peer|{peer}.membership_healthy");
        stats.get(&cluster).is_some_and(|count| *count > 0)
    };
    peers.map(|peer| (peer.clone(), answers(&peer))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_no_address_is_not_known_and_others_answer_or_not() {
        let stat = |peer: &str, what: &str, count| (format!("cluster.peer|{peer}.membership_{what}"), count);
        let stats: Stats = [
            stat("a.acme.example", "healthy", 1),
            stat("a.acme.example", "total", 2),
            stat("b.acme.example", "healthy", 0),
            stat("b.acme.example", "total", 1),
            stat("c.acme.example", "healthy", 0),
            stat("c.acme.example", "total", 0),
            ("cluster.local|x.acme.example.membership_total".to_owned(), 1),
        ]
        .into();
        let said = healthy(&stats);
        assert_eq!(said, [("a.acme.example".to_owned(), true), ("b.acme.example".to_owned(), false)].into());
        let peer: NodeName = "a.acme.example".parse().unwrap();
        assert_eq!(catalyst_dataplane::names::peer(&peer), "peer|a.acme.example");
    }
}
