//! What the engine does for those that watch routes: it hands on what changed, and shows what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::bounded;
use catalyst_control::observe::WatchRow;
use catalyst_route_table::Store;

use crate::engine::Engine;
use crate::limits::Limits;
use crate::watchers::{Piece, STOPS, Wanted, Watch, WatchAsk, Watcher, json, moment};

impl<S: Store> Engine<S> {
    /// Hands on what changed. Costs a look at an empty list while nobody watches.
    pub(crate) fn tell_watchers(&mut self) {
        if self.watchers.all.is_empty() {
            return;
        }
        let (rows, missed) = self.core.observed();
        if rows.is_empty() && missed == 0 {
            return;
        }
        self.watchers.all.retain(|watcher| !watcher.rows.is_closed());
        if self.watchers.all.is_empty() {
            return self.core.watch(false);
        }
        let at = moment(self.clocks.now().wall);
        rows.into_iter().for_each(|row| self.watchers.tell(&WatchRow { at, ..row }));
        if missed > 0 {
            for watcher in &self.watchers.all {
                watcher.missed.fetch_add(missed, Ordering::Relaxed);
                // Its task may wait for a row. If there is no room, it does not.
                let _ = watcher.rows.try_send("".into());
            }
        }
    }

    /// Answers a watcher's task.
    pub(crate) fn watch_asked(&mut self, ask: WatchAsk) {
        match ask {
            WatchAsk::Begin(wanted, reply) => {
                let watch = self.begin_watch(wanted);
                // It may be gone.
                let _ = reply.try_send(watch);
            }
            WatchAsk::Piece(wanted, after, reply) => {
                let at = moment(self.clocks.now().wall);
                let wants = |service: &str| wanted.matches(service);
                let (mut rows, next) = self.core.state().routes_behind(after, Limits::WATCH_PIECE, wants);
                rows.sort_by(|a, b| (&a.service, &a.origin, &a.via).cmp(&(&b.service, &b.origin, &b.via)));
                let rows = rows.into_iter().map(|row| json(&WatchRow { at, ..WatchRow::of_route(row) }));
                let _ = reply.try_send(Piece { rows: rows.collect(), next });
            }
        }
    }

    fn begin_watch(&mut self, wanted: Wanted) -> Result<Watch, String> {
        self.watchers.all.retain(|watcher| !watcher.rows.is_closed());
        if self.facts.stopping {
            return Err(STOPS.to_string());
        }
        if self.watchers.all.len() >= Limits::WATCHERS {
            return Err(format!(
                "{} programs watch this node's routes already, which is the most: end one of them ('route watch')",
                Limits::WATCHERS
            ));
        }
        // What changed before is of no interest.
        self.core.watch(true);
        self.tell_watchers();
        let (send, rows) = bounded(Limits::WATCH_QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        self.watchers.all.push(Watcher { wanted, rows: send, missed: missed.clone() });
        let (alive, _) = self.watchers.alive.get_or_insert_with(|| bounded(1));
        Ok(Watch { rows, missed, _alive: alive.clone() })
    }
}
