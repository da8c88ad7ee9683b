//! Keys of which this node uses a way that it does not tell for a while, and who had a way of its own of late (ADR 0043).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use catalyst_route_table::{RouteKey, Sym};

use crate::limits::Limits;

/// Since when a way is not told, and until when. Times are of the monotonic clock, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Held {
    since: u64,
    until: u64,
}

/// What is not told, and what is remembered for the choice. A key without a best path has no entry.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    of: BTreeMap<RouteKey, Held>,
    /// The same by the end: the first is the first to be told.
    order: BTreeSet<(u64, RouteKey)>,
    /// Neighbours that took back a way of their own, and when.
    fallen: BTreeMap<(RouteKey, Sym), u64>,
    /// The same by time; a line that is not in `fallen` with its time counts no more.
    falls: VecDeque<(u64, RouteKey, Sym)>,
}

impl Withheld {
    /// Whether nothing is told of a key for now.
    pub(crate) fn holds(&self, key: RouteKey) -> bool {
        self.of.contains_key(&key)
    }

    /// Whether one key more may be withheld.
    pub(crate) fn has_room(&self) -> bool {
        self.of.len() < Limits::WITHHELD
    }

    /// The way of a key is not told from now on; for longer, if it was not already and another way is lost. When there is no
    /// room it is told at once.
    pub(crate) fn hold(&mut self, key: RouteKey, now: u64) {
        let since = match self.release(key) {
            Some(since) => since,
            None if self.has_room() => now,
            None => return,
        };
        let last = since.saturating_add(if mutant!(EndMovesOn) { u64::MAX } else { Limits::WITHHELD_MAX_MS });
        let lost = if mutant!(FirstLossCounts) { since } else { now };
        let until = lost.saturating_add(Limits::WITHHELD_MS).min(last);
        self.of.insert(key, Held { since, until });
        self.order.insert((until, key));
    }

    /// The way of a key may be told. Since when it was not, if so.
    pub(crate) fn release(&mut self, key: RouteKey) -> Option<u64> {
        let held = self.of.remove(&key)?;
        self.order.remove(&(held.until, key));
        Some(held.since)
    }

    /// The way of a key, if it is withheld, is told as soon as this step is over.
    pub(crate) fn hasten(&mut self, key: RouteKey, now: u64) {
        let Some(held) = self.of.get_mut(&key) else { return };
        self.order.remove(&(held.until, key));
        held.until = now;
        self.order.insert((now, key));
    }

    /// There is no way of a key any more.
    pub(crate) fn forget(&mut self, key: RouteKey) {
        self.release(key);
        let range = (key, Sym(0))..=(key, Sym(u32::MAX));
        while let Some(line) = self.fallen.range(range.clone()).next().map(|(line, _)| *line) {
            self.fallen.remove(&line);
        }
    }

    /// Nobody is there who could be told.
    pub(crate) fn clear(&mut self) {
        *self = Withheld::default();
    }

    /// A neighbour takes back its way of a key. When there is no room the oldest is forgotten.
    pub(crate) fn falls(&mut self, key: RouteKey, neighbour: Sym, now: u64) {
        let old = |at: u64| at.saturating_add(Limits::FALLEN_MS) < now;
        // Two go for one that comes, so that no step takes long.
        for _ in 0..2 {
            let full = self.falls.len() >= Limits::FALLEN;
            let Some((at, key, who)) = self.falls.front().copied().filter(|(at, ..)| full || old(*at)) else {
                break;
            };
            self.falls.pop_front();
            if self.fallen.get(&(key, who)) == Some(&at) {
                self.fallen.remove(&(key, who));
            }
        }
        self.fallen.insert((key, neighbour), now);
        self.falls.push_back((now, key, neighbour));
    }

    /// Whether a neighbour took back a way of its own within [`Limits::FALLEN_MS`].
    pub(crate) fn has_fallen(&self, key: RouteKey, neighbour: Sym, now: u64) -> bool {
        let at = self.fallen.get(&(key, neighbour)).filter(|_| !mutant!(FallenForgotten));
        at.is_some_and(|at| now <= at.saturating_add(Limits::FALLEN_MS) || mutant!(FallenForEver))
    }

    /// The keys whose ways are to be told now.
    pub(crate) fn take_due(&mut self, now: u64) -> Vec<RouteKey> {
        let due: Vec<_> = self.order.iter().take_while(|(at, _)| *at <= now).copied().collect();
        for (_, key) in &due {
            self.release(*key);
        }
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// When the first of them is due.
    pub(crate) fn due(&self) -> Option<u64> {
        self.order.first().filter(|_| !mutant!(WithheldForEver)).map(|(at, _)| *at)
    }

    /// The keys of which nothing is told for now.
    pub(crate) fn keys(&self) -> impl Iterator<Item = RouteKey> {
        self.of.keys().copied()
    }
}
