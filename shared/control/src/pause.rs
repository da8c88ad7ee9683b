//! Keys that neighbours were told of a moment ago: what is better than that may wait for a while (ADR 0039).
//!
//! An entry says which way was told, and when. While that way stands as it was told, the best may be another, better one,
//! and neighbours hear of it when the pause is over. As soon as the way that was told is another, or gone, they hear at once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use catalyst_route_table::{RouteKey, Sym};

use crate::limits::Limits;

/// What was told of a key last.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// Whose route it was.
    source: Sym,
    /// When, by the monotonic clock.
    at: u64,
    /// That route has not changed since.
    stands: bool,
    /// There is a better one that was not told.
    waits: bool,
}

/// The keys that were told of late. A key has no entry without a best path, so its names stay readable.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    of: BTreeMap<RouteKey, Told>,
    /// Those that do not wait, by the time of their telling: the first is the first to be forgotten.
    idle: BTreeSet<(u64, RouteKey)>,
    /// Those that wait.
    waiting: BTreeSet<(u64, RouteKey)>,
    /// Those that may not wait any longer: [`Limits::PAUSED`] at most, for each is named once.
    shaken: Vec<RouteKey>,
}

impl Pauses {
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Whose route was told of a key, if it matters whether it stands: it was told of late, or something better waits.
    pub(crate) fn source(&self, key: RouteKey, now: u64) -> Option<Sym> {
        if self.of.is_empty() {
            return None;
        }
        let of_late = |told: &&Told| told.waits || now < told.at.saturating_add(Limits::PAUSE_MS);
        self.of.get(&key).filter(of_late).map(|told| told.source)
    }

    /// The same, if a better one may wait now.
    pub(crate) fn may_wait(&self, key: RouteKey, now: u64) -> Option<Sym> {
        let told = self.of.get(&key).filter(|told| told.stands || mutant!(BadNewsPauses))?;
        (now < told.at.saturating_add(Limits::PAUSE_MS)).then_some(told.source)
    }

    /// The route that was told is not what it was.
    pub(crate) fn shake(&mut self, key: RouteKey) {
        if let Some(told) = self.of.get_mut(&key).filter(|told| told.stands) {
            told.stands = false;
            if told.waits && !mutant!(BadNewsPauses) {
                self.shaken.push(key);
            }
        }
    }

    /// The keys of which neighbours have to hear now, since this was asked before.
    pub(crate) fn take_shaken(&mut self) -> Vec<RouteKey> {
        core::mem::take(&mut self.shaken)
    }

    /// Something better waits.
    pub(crate) fn wait(&mut self, key: RouteKey, now: u64) {
        let Some(told) = self.of.get_mut(&key) else { return };
        self.idle.remove(&(told.at, key));
        self.waiting.remove(&(told.at, key));
        told.at = if mutant!(PauseBeginsAnew) { now } else { told.at };
        told.waits = true;
        self.waiting.insert((told.at, key));
    }

    /// Neighbours hold the route of this one, and nothing waits.
    pub(crate) fn settle(&mut self, key: RouteKey, source: Sym) {
        if let Some(told) = self.of.get_mut(&key) {
            self.waiting.remove(&(told.at, key));
            self.idle.insert((told.at, key));
            (told.source, told.waits) = (source, false);
        }
    }

    /// Neighbours are told this route. When there is no room it is not remembered, and what follows is told at once.
    pub(crate) fn told(&mut self, key: RouteKey, source: Sym, now: u64) {
        self.forget(key);
        // Two go for one that comes, so that no step takes long.
        for _ in 0..2 {
            if let Some((at, first)) = self.idle.first().copied()
                && at.saturating_add(Limits::PAUSE_MS) <= now
            {
                self.idle.pop_first();
                self.of.remove(&first);
            }
        }
        if self.of.len() < Limits::PAUSED {
            self.of.insert(key, Told { source, at: now, stands: true, waits: false });
            self.idle.insert((now, key));
        }
    }

    /// There is nothing to tell of a key any more.
    pub(crate) fn forget(&mut self, key: RouteKey) {
        if let Some(told) = self.of.remove(&key) {
            let of = if told.waits { &mut self.waiting } else { &mut self.idle };
            of.remove(&(told.at, key));
        }
    }

    /// The keys whose pause is over.
    pub(crate) fn take_due(&mut self, now: u64) -> Vec<RouteKey> {
        let over = |at: u64| at.saturating_add(Limits::PAUSE_MS) <= now;
        let due: Vec<_> = self.waiting.iter().take_while(|(at, _)| over(*at)).copied().collect();
        self.end(due)
    }

    /// All keys that wait.
    pub(crate) fn take_all(&mut self) -> Vec<RouteKey> {
        let all: Vec<_> = self.waiting.iter().copied().collect();
        self.end(all)
    }

    fn end(&mut self, lines: Vec<(u64, RouteKey)>) -> Vec<RouteKey> {
        for line in &lines {
            self.waiting.remove(line);
            self.idle.insert(*line);
            if let Some(told) = self.of.get_mut(&line.1) {
                told.waits = false;
            }
        }
        lines.into_iter().map(|(_, key)| key).collect()
    }

    /// When the first pause is over.
    pub(crate) fn due(&self) -> Option<u64> {
        let first = self.waiting.first().filter(|_| !mutant!(PauseEndless));
        first.map(|(at, _)| at.saturating_add(Limits::PAUSE_MS))
    }

    /// The keys that wait, the first to end first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = RouteKey> {
        self.waiting.iter().map(|(_, key)| *key)
    }
}
