//! What becomes of routes that change too often: counted where neighbours speak, put behind, and back after a rest.

use alloc::vec::Vec;

use catalyst_route_table::{Rank, RouteKey, Slot, Store, Sym};

use crate::changes::Changes;
use crate::core::Core;
use crate::delta::{Delta, Write};
use crate::flap::Seen;
use crate::limits::Limits;
use crate::now::Now;
use crate::state::State;

impl<S: Store> State<S> {
    /// How many routes rank behind others because they changed too often. What is gone is none of them, though it would
    /// come back with its mark. Looks at all that changed of late: [`Limits::FLAPS`] at most.
    #[must_use]
    pub fn flapping(&self) -> usize {
        let there = |slot: Slot| self.table.route(slot.key, slot.neighbour).is_some();
        self.flaps.seen.iter().filter(|seen| seen.demoted && there(seen.slot)).count()
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
            let seen = Seen { slot, gone: false, demoted: false, times: Vec::new(), last: now };
            if let Err(at) = self.flaps.find(slot) {
                self.flaps.hold(neighbour);
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
        seen.last = now;
        if !seen.demoted && seen.times.len() > most {
            seen.demoted = true;
            self.counters.demoted += 1;
        }
        self.flaps.due = self.flaps.due.min(seen.until(flap));
        seen.demoted
    }

    /// Forgets one of those that have most, if there is no room for one more.
    fn make_room(&mut self, changes: &mut Changes) {
        if self.flaps.seen.len() >= self.settings.limits.flaps() {
            self.flaps.least().into_iter().for_each(|at| self.forget_flap(at, changes));
        }
    }

    /// Forgets the route at this place; it ranks as before.
    fn forget_flap(&mut self, at: usize, changes: &mut Changes) {
        let seen = self.flaps.seen.remove(at);
        let Slot { key, neighbour } = seen.slot;
        self.flaps.release(neighbour);
        if seen.demoted
            && let Some(route) = self.table.route(key, neighbour)
        {
            let rank = Rank { flapping: false, ..route.rank };
            self.rerank(neighbour, key, rank, changes);
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
