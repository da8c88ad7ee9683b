//! A pause before better news: which announcements wait, and when they go out after all (ADR 0039).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use catalyst_route_table::{Change, Rank, RouteKey, Store, Sym};

use crate::changes::Changes;
use crate::core::Core;
use crate::export::Mark;
use crate::now::Now;
use crate::state::State;
use crate::telling::Telling;

impl<S: Store> State<S> {
    /// A neighbour is about to say this of a key, to rank so, or without a route to take it back.
    pub(crate) fn speaks(&mut self, key: RouteKey, neighbour: Sym, route: Option<(Rank, Option<&[u8]>)>) {
        if self.pauses.source(key, self.now) != Some(neighbour) {
            return;
        }
        let old = self.table.route(key, neighbour);
        let same = old.zip(route).is_some_and(|(old, (rank, attrs))| {
            old.rank == rank && attrs.is_none_or(|attrs| old.attrs.as_ref() == attrs)
        });
        if !same {
            self.pauses.shake(key);
        }
    }

    /// Words have come that may have overtaken what was told of a key.
    pub(crate) fn overtook(&mut self, key: RouteKey) {
        let told = self.pauses.source(key, self.now).map(|source| self.table.route(key, source));
        if told.is_some_and(|route| route.is_none_or(|route| route.overtaken)) {
            self.pauses.shake(key);
        }
    }

    /// Adds the keys of which neighbours hold what is true no longer.
    pub(crate) fn shaken(&mut self, changes: &mut Changes) {
        let keys = self.pauses.take_shaken();
        changes.routes.extend(keys.into_iter().filter_map(|key| self.again(key)));
    }

    /// The best of a key is to be told, whatever it was.
    fn again(&self, key: RouteKey) -> Option<Change> {
        let best = Some(self.table.store().best(key)?);
        Some(Change { key, old_best: best, new_best: best, best_changed: true })
    }

    /// Whose route neighbours were told of a key, if what is better may wait. Where a route ranks behind for its changes,
    /// what is better here is not better there.
    fn may_wait(&self, key: RouteKey) -> Option<Sym> {
        let source = self.pauses.may_wait(key, self.now)?;
        self.table.route(key, source).filter(|route| !route.rank.flapping).map(|_| source)
    }
}

impl<S: Store> Core<S> {
    /// Which of these marks wait. Where one group has to hear, all do: so each group holds the way that was told, or nothing.
    pub(crate) fn put_off(&mut self, marks: &[Mark]) -> Telling {
        let (mut waits, mut tells) = (BTreeSet::new(), BTreeSet::new());
        if self.state.pauses.is_empty() {
            return Telling::default();
        }
        for mark in marks {
            let Some((source, _)) = &mark.announce else { continue };
            let Some(told) = self.state.may_wait(mark.key) else { continue };
            let waiting = *source != told && self.groups.source(mark.group, mark.key) == Some(told);
            if waiting {
                waits.insert(mark.key)
            } else {
                tells.insert(mark.key)
            };
        }
        waits.retain(|key| !tells.contains(key));
        waits.iter().for_each(|key| self.state.pauses.wait(*key, self.state.now));
        Telling { waits, tells: Vec::new() }
    }

    /// Neighbours hold the best of all these keys, but for those that wait; of some they have just been told.
    pub(crate) fn were_told(&mut self, changes: &Changes, telling: &Telling) {
        let State { pauses, table, withheld, now, .. } = &mut self.state;
        if !pauses.is_empty() {
            let is_told = |change: &&Change| change.best_changed && !telling.waits.contains(&change.key);
            for change in changes.routes.iter().filter(is_told) {
                match table.store().best(change.key).filter(|_| !withheld.holds(change.key)) {
                    Some(best) => pauses.settle(change.key, best.best),
                    None => pauses.forget(change.key),
                }
            }
        }
        let is_told = |key: &&RouteKey| !telling.waits.contains(*key) && !withheld.holds(**key);
        for key in telling.tells.iter().filter(is_told) {
            if let Some(best) = table.store().best(*key) {
                pauses.told(*key, best.best, *now);
            }
        }
    }

    /// Nobody is there who could have been told.
    pub(crate) fn forget_told(&mut self) {
        self.state.pauses = Default::default();
        self.state.withheld.clear();
    }

    /// Pauses that are over.
    pub(crate) fn tick_pauses(&mut self, now: Now) {
        if self.state.pauses.due().is_some_and(|due| due <= now.mono) {
            let keys = self.state.pauses.take_due(now.mono);
            self.tell_best(keys);
        }
    }

    /// Ends all pauses now.
    pub(crate) fn end_pauses(&mut self) {
        let keys = self.state.pauses.take_all();
        self.tell_best(keys);
    }

    /// Tells what is best of these keys now.
    pub(crate) fn tell_best(&mut self, keys: Vec<RouteKey>) {
        let routes = keys.into_iter().filter_map(|key| self.state.again(key)).collect();
        if !mutant!(PausedForgotten) {
            self.retell(&Changes { routes, ..Changes::default() });
        }
    }

    /// When the first pause is over.
    pub(crate) fn pause_due(&self) -> Option<u64> {
        self.state.pauses.due()
    }

    /// Keys of which neighbours hold a way that is as good as it was told, and will hear of a better one.
    pub fn paused(&self) -> impl Iterator<Item = RouteKey> {
        self.state.pauses.waiting()
    }
}
