//! The routes of the last run: so that a node that starts without its neighbours can say what it knew, and since when.
//!
//! They are shown, never used: only a neighbour's own word makes a route. A neighbour that has told its whole table
//! (END_OF_RIB) takes the place of what was remembered of it. The file is one document, written whole or not at all,
//! seldom: it can be lost without harm. Its version leaves room for routes that are kept over a restart.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use catalyst_control::view::RouteRow;
use catalyst_names::NodeName;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::write::Write;

/// The document, version 1.
#[derive(Serialize, Deserialize)]
struct Saved {
    v: u32,
    /// Seconds since 1970.
    at: u64,
    routes: Vec<RouteRow>,
    /// Neighbours with a session.
    #[serde(default)]
    peers: Vec<String>,
}

/// What was known before, and when to write what is known now.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    path: PathBuf,
    /// Of the last run; less with each neighbour that is in step again.
    rows: Vec<RouteRow>,
    at: u64,
    /// Neighbours that were connected when the last run ended.
    connected: Vec<String>,
    due: Option<Instant>,
    /// The most rows to keep.
    most: usize,
}

impl Remembered {
    /// Reads what the last run left. A file that cannot be used is as good as none.
    pub(crate) fn load(state_dir: &Path, most: usize) -> Self {
        let path = state_dir.join("routes.json");
        let saved = std::fs::read(&path).ok().filter(|text| text.len() <= Limits::REMEMBERED_BYTES);
        let saved = saved.and_then(|text| serde_json::from_slice::<Saved>(&text).ok()).filter(|s| s.v == 1);
        let (mut rows, at, connected) = saved.map_or_else(Default::default, |s| (s.routes, s.at, s.peers));
        let most = most.min(Limits::REMEMBERED);
        rows.truncate(most);
        Remembered { path, rows, at, connected, due: None, most }
    }

    /// Something changed: it is to be written before long.
    pub(crate) fn changed(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + Duration::from_millis(Limits::REMEMBER_MS));
    }

    /// When [`Remembered::save`] is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// How many rows are written at most.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether a neighbour was connected when the last run ended.
    pub(crate) fn was_connected(&self, peer: &NodeName) -> bool {
        self.connected.iter().any(|name| name == peer.as_str())
    }

    /// Keeps what came from neighbours of which `out` is true: they have not told their tables since the start.
    pub(crate) fn keep(&mut self, out: impl Fn(&str) -> bool) {
        self.rows.retain(|row| out(&row.via));
    }

    /// What was known of neighbours that have not been in step since the start, and when it was written.
    pub(crate) fn rows(&self) -> (&[RouteRow], u64) {
        (&self.rows, self.at)
    }

    /// The change to write, if there is one. What is still only remembered is kept. `peers` have a session.
    pub(crate) fn save(
        &mut self,
        now: impl IntoIterator<Item = RouteRow>,
        peers: Vec<String>,
        wall: u64,
    ) -> Option<Write> {
        self.due.take()?;
        let mut routes: Vec<RouteRow> = now.into_iter().chain(self.rows.iter().cloned()).collect();
        routes.truncate(self.most);
        let text = serde_json::to_string(&Saved { v: 1, at: wall, routes, peers }).ok()?;
        (text.len() <= Limits::REMEMBERED_BYTES)
            .then(|| Write::default().file(self.path.clone(), text).spare())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(service: &str, via: &str) -> RouteRow {
        serde_json::from_value(serde_json::json!({
            "service": service, "origin": "o", "protocol": "tcp", "via": via, "standing": "best", "org_path": [],
            "node_path": [], "local_pref": 400, "cost": 0, "weight": 100, "tags": [], "healthy": true
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_there_at_the_next_start_until_the_neighbour_speaks() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Remembered::load(dir.path(), 10);
        assert!(first.save([row("a.x", "hub.x")], Vec::new(), 5).is_none(), "nothing has changed");
        first.changed();
        let write = first.save([row("a.x", "hub.x"), row("b.x", "gw.y")], vec!["hub.x".into()], 5).unwrap();
        write.run(&catalyst_store::MemoryStore::default()).unwrap();
        let mut second = Remembered::load(dir.path(), 10);
        assert_eq!((second.rows().0.len(), second.rows().1), (2, 5));
        let known = |name: &str| second.was_connected(&name.parse().unwrap());
        assert!(known("hub.x") && !known("gw.y"));
        second.keep(|via| via != "hub.x");
        assert_eq!(second.rows().0, [row("b.x", "gw.y")]);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"v\":2,\"at\":1,\"routes\":[]}", "[1,2,3]", "\u{0}\u{0}"] {
            std::fs::write(dir.path().join("routes.json"), text).unwrap();
            assert!(Remembered::load(dir.path(), 10).rows().0.is_empty(), "{text:?}");
        }
    }
}
