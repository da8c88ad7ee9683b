//! Who watches routes: what each wants, and the queue in which rows wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_channel::{Receiver, Sender, TrySendError};
use catalyst_control::observe::WatchRow;
use catalyst_route_table::{RouteKey, Sym};

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

    pub(crate) fn matches(&self, service: &str) -> bool {
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
    pub(crate) rows: Vec<Arc<str>>,
    pub(crate) next: Place,
}

/// The queue of a watcher, as its task has it.
pub(crate) struct Watch {
    pub(crate) rows: Receiver<Arc<str>>,
    pub(crate) missed: Arc<AtomicU64>,
    /// The node waits for its end, for a moment, before it stops.
    pub(crate) _alive: Sender<()>,
}

/// A watcher, as the engine has it.
pub(crate) struct Watcher {
    pub(crate) wanted: Wanted,
    pub(crate) rows: Sender<Arc<str>>,
    /// Rows that found no room since it had all routes.
    pub(crate) missed: Arc<AtomicU64>,
}

/// All watchers.
#[derive(Default)]
pub(crate) struct Watchers {
    pub(crate) all: Vec<Watcher>,
    pub(crate) alive: Option<(Sender<()>, Receiver<()>)>,
}

impl Watchers {
    /// Hands a row to all that want it.
    pub(crate) fn tell(&self, row: &WatchRow) {
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

pub(crate) fn json(row: &WatchRow) -> Arc<str> {
    serde_json::to_string(row).unwrap_or_default().into()
}

/// Milliseconds since 1970, not before what is known to have passed.
pub(crate) fn moment(wall: u64) -> u64 {
    let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(system.as_millis()).unwrap_or(u64::MAX).max(wall.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use async_channel::bounded;

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
