//! `route watch`: changes of routes as they happen, to clients that read them at their own pace.
//!
//! ```text
//!   engine ──rows──> queue of each watcher (bounded) ──> its task ──> its socket
//!          when full: counted, and the watcher hears `missed` and every route again
//! ```
//! The engine never waits for a watcher. One that stops reading costs its queue, one piece of a snapshot and what its
//! socket holds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_channel::{Receiver, Sender, TrySendError, bounded};
use catalyst_control::observe::WatchRow;
use catalyst_route_table::{RouteKey, Store, Sym};
use futures_lite::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, future};

use crate::admin::VERSION;
use crate::adopt::timeout;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::serve::{Ask, Asked};
use crate::shell::Shell;

/// Why a watch ends when the node does.
pub(crate) const STOPS: &str = "the node stops";

/// What a watcher wants to hear of: names of services in which `*` stands for any characters. A pattern without a dot is
/// about the label alone, in whatever organisation; without a pattern it is everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(Option<String>);

impl Wanted {
    /// # Errors
    /// The pattern is none: no service has such a name, so the watch would be silent for ever.
    pub(crate) fn new(pattern: Option<String>) -> Result<Self, String> {
        let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '*');
        match pattern {
            Some(text) if text.is_empty() || !text.chars().all(of_name) => Err(format!(
                "'{text}' is no pattern for names of services: lower-case letters, digits, '-', '.', and '*' for any \
                 characters, such as 'orders*' or '*.globex.example'"
            )),
            pattern => Ok(Wanted(pattern)),
        }
    }

    fn matches(&self, service: &str) -> bool {
        let Some(pattern) = &self.0 else { return true };
        let text = if pattern.contains('.') { service } else { service.split('.').next().unwrap_or(service) };
        let mut parts = pattern.split('*');
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
        for part in middle {
            match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// Where a snapshot goes on.
pub(crate) type Place = Option<(Sym, RouteKey)>;

/// What a task of a watcher asks of the engine.
pub(crate) enum WatchAsk {
    /// Changes from now on.
    Begin(Wanted, Sender<Result<Watch, String>>),
    /// The routes that are there, from a place on.
    Piece(Wanted, Place, Sender<Piece>),
}

/// Some routes, one row each, and where to go on.
pub(crate) struct Piece {
    rows: Vec<Arc<str>>,
    next: Place,
}

/// The queue of a watcher, as its task has it.
pub(crate) struct Watch {
    rows: Receiver<Arc<str>>,
    missed: Arc<AtomicU64>,
    /// The node waits for its end, for a moment, before it stops.
    _alive: Sender<()>,
}

/// A watcher, as the engine has it.
struct Watcher {
    wanted: Wanted,
    rows: Sender<Arc<str>>,
    /// Rows that found no room since it had all routes.
    missed: Arc<AtomicU64>,
}

/// All watchers.
#[derive(Default)]
pub(crate) struct Watchers {
    all: Vec<Watcher>,
    alive: Option<(Sender<()>, Receiver<()>)>,
}

impl Watchers {
    /// Hands a row to all that want it.
    fn tell(&self, row: &WatchRow) {
        let mut text: Option<Arc<str>> = None;
        for watcher in self.all.iter().filter(|watcher| watcher.wanted.matches(&row.service)) {
            if watcher.missed.load(Ordering::Relaxed) > 0 {
                watcher.missed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let text = text.get_or_insert_with(|| json(row)).clone();
            if let Err(TrySendError::Full(_)) = watcher.rows.try_send(text) {
                watcher.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// No watcher hears more; what they wait for to end is given back.
    pub(crate) fn end(&mut self) -> Option<Receiver<()>> {
        self.all.clear();
        self.alive.take().map(|(_, ended)| ended)
    }
}

fn json(row: &WatchRow) -> Arc<str> {
    serde_json::to_string(row).unwrap_or_default().into()
}

/// Milliseconds since 1970, not before what is known to have passed.
fn moment(wall: u64) -> u64 {
    let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(system.as_millis()).unwrap_or(u64::MAX).max(wall.saturating_mul(1000))
}

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

async fn asked(engine: &Sender<Asked>, ask: WatchAsk, caller: &Caller) -> bool {
    let (reply, _) = bounded(1);
    engine.send(Asked { ask: Ask::Watch(ask), reply, caller: caller.clone() }).await.is_ok()
}

/// Waits for those that watch to hear the end, for a moment.
pub(crate) async fn ended<Sh: Shell>(shell: &Sh, watchers: Option<Receiver<()>>) {
    if let Some(ended) = watchers {
        let _ = timeout(shell, Limits::WATCH_END, ended.recv()).await;
    }
}

/// Serves a client that watches, until it goes or the node stops. A node that refuses it says why.
pub(crate) async fn serve<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(
    reader: &mut R,
    writer: &mut W,
    engine: &Sender<Asked>,
    (pattern, changes_only): (Option<String>, bool),
    caller: &Caller,
) -> io::Result<Result<(), String>> {
    let wanted = match Wanted::new(pattern) {
        Ok(wanted) => wanted,
        Err(why) => return Ok(Err(why)),
    };
    let (reply, begun) = bounded(1);
    let stops = || STOPS.to_string();
    if !asked(engine, WatchAsk::Begin(wanted.clone(), reply), caller).await {
        return Ok(Err(stops()));
    }
    let watch = match begun.recv().await {
        Ok(Ok(watch)) => watch,
        Ok(Err(why)) => return Ok(Err(why)),
        Err(_) => return Ok(Err(stops())),
    };
    let mut out = Out(writer);
    let work = async {
        if changes_only {
            out.row(&WatchRow::of_watch("synced", "", None)).await?;
        } else if !snapshot(&mut out, engine, &wanted, caller).await? {
            return out.row(&WatchRow::of_watch("end", STOPS, None)).await;
        }
        while let Ok(first) = watch.rows.recv().await {
            let mut rows = vec![first];
            while rows.len() < Limits::WATCH_BATCH
                && let Ok(next) = watch.rows.try_recv()
            {
                rows.push(next);
            }
            out.rows(&rows).await?;
            while watch.rows.is_empty() && watch.missed.load(Ordering::Relaxed) > 0 {
                // What changes from here on is told again, and what it finds in its place is in the snapshot.
                let missed = watch.missed.swap(0, Ordering::Relaxed);
                let why = "it reads too slowly; here is every route again";
                out.row(&WatchRow::of_watch("missed", why, Some(missed))).await?;
                if !snapshot(&mut out, engine, &wanted, caller).await? {
                    break;
                }
            }
        }
        out.row(&WatchRow::of_watch("end", STOPS, None)).await
    };
    // Whatever the client says, or its end, ends the watch.
    let gone = async {
        let _ = reader.fill_buf().await;
        Ok(())
    };
    future::or(work, gone).await.map(Ok)
}

/// Every route that is there; false when the node stops.
async fn snapshot<W: AsyncWrite + Unpin>(
    out: &mut Out<'_, W>,
    engine: &Sender<Asked>,
    wanted: &Wanted,
    caller: &Caller,
) -> io::Result<bool> {
    let (mut after, mut count) = (None, 0u64);
    loop {
        let (reply, piece) = bounded(1);
        if !asked(engine, WatchAsk::Piece(wanted.clone(), after, reply), caller).await {
            return Ok(false);
        }
        let Ok(piece) = piece.recv().await else { return Ok(false) };
        count += piece.rows.len() as u64;
        for rows in piece.rows.chunks(Limits::WATCH_BATCH) {
            out.rows(rows).await?;
        }
        after = piece.next;
        if after.is_none() {
            out.row(&WatchRow::of_watch("synced", "", Some(count))).await?;
            return Ok(true);
        }
    }
}

/// The client, as answers with rows are written to it.
struct Out<'a, W>(&'a mut W);

impl<W: AsyncWrite + Unpin> Out<'_, W> {
    async fn row(&mut self, row: &WatchRow) -> io::Result<()> {
        let at = if row.at == 0 { moment(0) } else { row.at };
        self.rows(&[json(&WatchRow { at, ..row.clone() })]).await
    }

    async fn rows(&mut self, rows: &[Arc<str>]) -> io::Result<()> {
        let rows: Vec<&str> = rows.iter().map(|row| &**row).filter(|row| !row.is_empty()).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let text = format!("{{\"v\":{VERSION},\"ok\":{{\"watch\":[{}]}}}}\n", rows.join(","));
        self.0.write_all(text.as_bytes()).await?;
        self.0.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_names_or_of_labels() {
        let matches =
            |pattern: &str, service: &str| Wanted::new(Some(pattern.into())).unwrap().matches(service);
        for wrong in ["", "UP", "a b", "a\u{1b}"] {
            assert!(Wanted::new(Some(wrong.into())).is_err(), "{wrong:?}");
        }
        assert!(Wanted::default().matches("a.x"));
        assert!(matches("orders", "orders.acme.example") && matches("orders", "orders.globex.example"));
        assert!(!matches("orders", "orders2.acme.example") && !matches("order", "orders.acme.example"));
        assert!(matches("ord*", "orders.acme.example") && matches("*ers", "orders.acme.example"));
        assert!(matches("o*d*s", "orders.acme.example") && !matches("o*x*s", "orders.acme.example"));
        assert!(matches("*.acme.example", "orders.acme.example"));
        assert!(!matches("*.acme.example", "orders.globex.example"));
        assert!(matches("orders.*", "orders.globex.example") && matches("*", "x.y"));
        assert!(matches("orders.acme.example", "orders.acme.example"));
        assert!(!matches("aa*aa.x", "aaa.x"), "parts do not overlap");
    }

    #[test]
    fn a_watcher_that_is_full_is_counted_for_and_holds_nobody_up() {
        let row = |n: usize| WatchRow { service: format!("s{n}.x"), ..WatchRow::of_watch("new", "", None) };
        let mut watchers = Watchers::default();
        let mut ends = Vec::new();
        for most in [2, 100] {
            let (send, rows) = bounded(most);
            let missed = Arc::new(AtomicU64::new(0));
            watchers.all.push(Watcher { wanted: Wanted::default(), rows: send, missed: missed.clone() });
            ends.push((rows, missed));
        }
        (0..50).for_each(|n| watchers.tell(&row(n)));
        assert_eq!((ends[0].0.len(), ends[0].1.load(Ordering::Relaxed)), (2, 48));
        assert_eq!((ends[1].0.len(), ends[1].1.load(Ordering::Relaxed)), (50, 0));
        // Room alone does not mend it: rows between would be missing without a word.
        ends[0].0.try_recv().unwrap();
        watchers.tell(&row(50));
        assert_eq!((ends[0].0.len(), ends[0].1.load(Ordering::Relaxed)), (1, 49));
    }
}
