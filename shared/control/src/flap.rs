//! Routes that change too often: they rank behind what holds still, until they have been at rest for a while.
//!
//! A change is a neighbour's word: other attributes, a withdrawal, or a route again after its withdrawal. What this node
//! does by itself is none: rules, timers, the end of a session, the same table told once more. Memory goes to routes that
//! do change, and for as long as they do: the table holds [`Limits::FLAPS`] of them.

use alloc::vec::Vec;

use catalyst_route_table::{Rank, RouteKey, Slot, Store, Sym};

use crate::changes::Changes;
use crate::core::Core;
use crate::delta::{Delta, Write};
use crate::limits::Limits;
use crate::now::Now;
use crate::state::State;

/// When a route changes too often. Nothing is counted with [`Flap::OFF`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flap {
    /// More changes than these within the window are too many; 0: never. [`Limits::FLAP_CHANGES`] at most.
    pub changes: u32,
    /// The window, in milliseconds.
    pub window_ms: u64,
    /// How long a route has to be at rest to rank as before, in milliseconds.
    pub rest_ms: u64,
}

impl Flap {
    /// Any number of changes is fine.
    pub const OFF: Flap = Flap { changes: 0, window_ms: 0, rest_ms: 0 };
}

impl Default for Flap {
    fn default() -> Self {
        Flap::OFF
    }
}

/// A route that has changed of late.
#[derive(Debug)]
struct Seen {
    /// Where it stands, or stood. Its names are kept readable.
    slot: Slot,
    /// Its neighbour has withdrawn it.
    gone: bool,
    /// It ranks behind.
    demoted: bool,
    /// Its last changes, oldest first: one more than are fine at most, one at least.
    times: Vec<u64>,
}

impl Seen {
    fn last(&self) -> u64 {
        self.times.last().copied().unwrap_or(0)
    }

    /// When it is forgotten, if it does not change before.
    fn until(&self, flap: Flap) -> u64 {
        self.last().saturating_add(if self.demoted { flap.rest_ms } else { flap.window_ms })
    }
}

/// The routes that have changed of late, in the order of their slots.
#[derive(Debug)]
pub(crate) struct Flaps {
    seen: Vec<Seen>,
    /// How many of them rank behind.
    demoted: usize,
    /// Nothing is due before.
    due: u64,
}

impl Default for Flaps {
    fn default() -> Self {
        Flaps { seen: Vec::new(), demoted: 0, due: u64::MAX }
    }
}

impl Flaps {
    fn find(&self, slot: Slot) -> Result<usize, usize> {
        self.seen.binary_search_by(|seen| seen.slot.cmp(&slot))
    }

    /// Whether the route in a slot ranks behind for its changes.
    fn is_demoted(&self, slot: Slot) -> bool {
        self.find(slot).is_ok_and(|at| self.seen.get(at).is_some_and(|seen| seen.demoted))
    }

    pub(crate) fn demoted(&self) -> usize {
        self.demoted
    }

    /// When [`Write::Rest`] is due.
    pub(crate) fn due(&self) -> Option<u64> {
        (self.due < u64::MAX).then_some(self.due)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}

impl<S: Store> State<S> {
    /// How many routes rank behind others because they changed too often.
    #[must_use]
    pub fn flapping(&self) -> usize {
        self.flaps.demoted()
    }

    /// A neighbour has said this of a route, or withdrawn it. Whether it ranks behind from now on.
    pub(crate) fn count_change(
        &mut self,
        neighbour: Sym,
        key: Option<RouteKey>,
        attrs: Option<&[u8]>,
        changes: &mut Changes,
    ) -> bool {
        let (flap, now) = (self.settings.flap, self.now);
        // What was never there has not changed.
        let Some(key) = key.filter(|_| flap.changes > 0) else { return false };
        let slot = Slot { key, neighbour };
        let known = self.flaps.find(slot).ok();
        let gone = known.and_then(|at| self.flaps.seen.get(at)).is_some_and(|seen| seen.gone);
        let old = self.table.route(key, neighbour).map(|route| route.attrs.as_ref());
        if (old.is_none() && !gone) || old == attrs {
            return self.flaps.is_demoted(slot);
        }
        if known.is_none() {
            self.make_room(changes);
            self.table.retain(key);
            let seen = Seen { slot, gone: false, demoted: false, times: Vec::new() };
            if let Err(at) = self.flaps.find(slot) {
                self.flaps.seen.insert(at, seen);
            }
        }
        let at = self.flaps.find(slot);
        let Some(seen) = at.ok().and_then(|at| self.flaps.seen.get_mut(at)) else { return false };
        let most = flap.changes.min(Limits::FLAP_CHANGES) as usize;
        seen.gone = attrs.is_none();
        seen.times.retain(|at| now.saturating_sub(*at) < flap.window_ms);
        if seen.times.len() > most {
            seen.times.remove(0);
        }
        seen.times.push(now);
        if !seen.demoted && seen.times.len() > most {
            seen.demoted = true;
            self.flaps.demoted += 1;
            self.counters.demoted += 1;
        }
        self.flaps.due = self.flaps.due.min(seen.until(flap));
        seen.demoted
    }

    /// Forgets the one that has been at rest for longest, those first that rank as ever, if there is no room for one more.
    fn make_room(&mut self, changes: &mut Changes) {
        if self.flaps.seen.len() >= self.settings.limits.flaps() {
            let places = self.flaps.seen.iter().enumerate();
            let oldest = places.min_by_key(|(_, seen)| (seen.demoted, seen.last())).map(|(at, _)| at);
            oldest.into_iter().for_each(|at| self.forget_flap(at, changes));
        }
    }

    /// Forgets the route at this place; it ranks as before.
    fn forget_flap(&mut self, at: usize, changes: &mut Changes) {
        let seen = self.flaps.seen.remove(at);
        let Slot { key, neighbour } = seen.slot;
        if seen.demoted {
            self.flaps.demoted -= 1;
            if let Some(route) = self.table.route(key, neighbour) {
                let rank = Rank { flapping: false, ..route.rank };
                self.rerank(neighbour, key, rank, changes);
            }
        }
        self.table.release(key);
    }

    /// Forgets the routes of these that have been at rest for long enough.
    pub(crate) fn rest(&mut self, changes: &mut Changes) {
        let (flap, now) = (self.settings.flap, self.now);
        self.forget_flaps(|seen| seen.until(flap) <= now, changes);
    }

    /// Forgets all routes of a neighbour that is configured no longer.
    pub(crate) fn forget_flaps_of(&mut self, neighbour: Sym, changes: &mut Changes) {
        self.forget_flaps(|seen| seen.slot.neighbour == neighbour, changes);
    }

    fn forget_flaps(&mut self, which: impl Fn(&Seen) -> bool, changes: &mut Changes) {
        let mut at = 0;
        while let Some(seen) = self.flaps.seen.get(at) {
            if which(seen) {
                self.forget_flap(at, changes);
            } else {
                at += 1;
            }
        }
        let flap = self.settings.flap;
        self.flaps.due = self.flaps.seen.iter().map(|seen| seen.until(flap)).min().unwrap_or(u64::MAX);
    }
}

impl<S: Store> Core<S> {
    /// Routes that were at rest for long enough rank as before.
    pub(crate) fn tick_flaps(&mut self, now: Now) {
        if self.state.flaps.due().is_some_and(|due| due <= now.mono) {
            let mut delta = Delta::default();
            delta.push(Write::Rest);
            self.commit(delta);
        }
    }
}
