//! The table: Adj-RIB-In and Loc-RIB over a store, with the decision between them.

use core::cmp::Ordering;

use alloc::vec::Vec;

use catalyst_names::Protocol;

use crate::error::Refusal;
use crate::key::{RouteKey, Slot, Sym};
use crate::rank::{Rank, better};
use crate::store::{Best, Route, Store};

/// What happened to one key of Loc-RIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key. Its names stay readable until [`RouteTable::collect`].
    pub key: RouteKey,
    /// The best before.
    pub old_best: Option<Best>,
    /// The best now.
    pub new_best: Option<Best>,
    /// Whether what neighbours hear of the best is another: another winner, or other attributes of the same.
    pub best_changed: bool,
}

/// What became of an announcement or a withdrawal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes of the attributes that stood in the slot before; `None` if it was empty.
    pub old_len: Option<usize>,
    /// What changed in Loc-RIB, if anything.
    pub change: Option<Change>,
}

/// Routes of all neighbours, and the best of each key.
#[derive(Clone, Debug)]
pub struct RouteTable<S> {
    pub(crate) store: S,
    /// The last [`Best::stamp`] that was given. At its end no new ones are, and routes are not numbered any more.
    stamp: u32,
    /// Routes that were overtaken since [`RouteTable::take_overtaken`] was asked.
    pub(crate) fresh: Vec<Slot>,
}

impl<S: Store> RouteTable<S> {
    /// A table over an empty store.
    pub fn new(store: S) -> Self {
        RouteTable { store, stamp: 0, fresh: Vec::new() }
    }

    /// The store, to look at.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The text of an interned name.
    pub fn text(&self, sym: Sym) -> &str {
        self.store.text(sym)
    }

    /// Interns the name of a neighbour or of this node; it keeps its number until released.
    ///
    /// # Errors
    /// [`Refusal::Names`].
    pub fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        self.store.intern(text)
    }

    /// Keeps the names of a key readable.
    pub fn retain(&mut self, key: RouteKey) {
        self.store.retain(key.service);
        self.store.retain(key.origin);
    }

    /// Gives back what [`RouteTable::retain`] took.
    pub fn release(&mut self, key: RouteKey) {
        self.store.release(key.service);
        self.store.release(key.origin);
    }

    /// Gives back a name that [`RouteTable::intern`] took.
    pub fn release_name(&mut self, sym: Sym) {
        self.store.release(sym);
    }

    /// Forgets names that nothing refers to. Call when the changes of a step have been dealt with.
    pub fn collect(&mut self) {
        self.store.collect();
    }

    /// The key of these names, if both are known.
    pub fn key(&self, service: &str, origin: &str) -> Option<RouteKey> {
        Some(RouteKey { service: self.store.find(service)?, origin: self.store.find(origin)? })
    }

    /// Takes an announcement into Adj-RIB-In and decides again.
    ///
    /// # Errors
    /// [`Refusal`]. A new route leaves no trace. A replacement that is refused ([`Refusal::Attrs`]) is the
    /// caller's to withdraw, because what stood there is no longer what the neighbour announces.
    pub fn announce(
        &mut self,
        neighbour: Sym,
        names: (&str, &str),
        rank: Rank,
        data: (Protocol, u16),
        attrs: &[u8],
    ) -> Result<Outcome, Refusal> {
        self.announce_in(0, neighbour, names, rank, data, attrs)
    }

    /// The same within a telling of the neighbour's table: the same route again is a change of its generation alone.
    ///
    /// # Errors
    /// As [`RouteTable::announce`].
    pub fn announce_in(
        &mut self,
        generation: u16,
        neighbour: Sym,
        names: (&str, &str),
        rank: Rank,
        data: (Protocol, u16),
        attrs: &[u8],
    ) -> Result<Outcome, Refusal> {
        let attrs = self.store.attrs(attrs)?;
        let service = self.store.intern(names.0)?;
        let origin = match self.store.intern(names.1) {
            Ok(origin) => origin,
            Err(refusal) => {
                self.store.release(service);
                return Err(refusal);
            }
        };
        let key = RouteKey { service, origin };
        let slot = Slot { key, neighbour };
        let route = Route { rank, protocol: data.0, weight: data.1, generation, overtaken: false, attrs };
        let old = match self.store.put(slot, route) {
            Ok(old) => old,
            Err(refusal) => {
                self.release(key);
                return Err(refusal);
            }
        };
        let Some(old) = old else {
            self.compare_words(slot);
            return Ok(Outcome { old_len: None, change: self.decide(key, Some(neighbour)) });
        };
        // The slot already held its references.
        self.release(key);
        if old.overtaken
            && let Some(again) = self.store.route(slot).filter(|new| new.attrs == old.attrs).cloned()
        {
            // The same word once more is no newer than it was.
            self.store.put(slot, Route { overtaken: true, ..again }).ok();
        }
        let same = self.store.route(slot).is_some_and(|new| *new == Route { generation, ..old.clone() });
        if same && mutant!(SameUnconfirmed) {
            self.store.put(slot, old.clone()).ok();
        }
        if !same {
            self.compare_words(slot);
        }
        let change = if same { None } else { self.decide(key, Some(neighbour)) };
        Ok(Outcome { old_len: Some(old.attrs.as_ref().len()), change })
    }

    /// Takes a withdrawal: it counts only for the neighbour that sent it.
    pub fn withdraw(&mut self, neighbour: Sym, key: RouteKey) -> Outcome {
        let Some(old) = self.store.take(Slot { key, neighbour }) else { return Outcome::default() };
        let change = self.decide(key, None);
        self.release(key);
        Outcome { old_len: Some(old.attrs.as_ref().len()), change }
    }

    /// Ranks a route anew, without another word of its neighbour, and decides again.
    pub fn rerank(&mut self, neighbour: Sym, key: RouteKey, rank: Rank) -> Option<Change> {
        let slot = Slot { key, neighbour };
        let route = self.store.route(slot).filter(|route| route.rank != rank)?;
        let route = Route { rank, ..route.clone() };
        // Never refused: the slot is taken already.
        self.store.put(slot, route).ok()?;
        self.decide(key, Some(neighbour))
    }

    /// The best of a key is told anew without being another: with a newer number.
    pub fn touch(&mut self, key: RouteKey) {
        if let Some(best) = self.store.best(key) {
            let stamp = self.next_stamp();
            self.store.set_best(key, Some(Best { stamp, ..best }));
        }
    }

    /// A number newer than all that were given.
    pub fn next_stamp(&mut self) -> u32 {
        self.stamp = self.stamp.saturating_add(1);
        self.stamp
    }

    /// The next key after `after` that this neighbour announced: to withdraw all of them one by one.
    pub fn next_of(&self, neighbour: Sym, after: Option<RouteKey>) -> Option<RouteKey> {
        self.store.of_neighbour(neighbour, after)
    }

    /// Decides a key again; `touched` is a neighbour whose route has new content.
    pub(crate) fn decide(&mut self, key: RouteKey, touched: Option<Sym>) -> Option<Change> {
        let old_best = self.store.best(key);
        let chosen = self.choose(key);
        let content = chosen.is_some_and(|(best, _)| Some(best) == touched) && !mutant!(AttributesUntold);
        let best_changed = content || old_best.map(|b| b.best) != chosen.map(|(best, _)| best);
        let next_changed = old_best.map(|b| (b.best, b.next)) != chosen
            || chosen.and_then(|(_, next)| next).is_some_and(|next| Some(next) == touched);
        let new_best = chosen.map(|(best, next)| {
            let known = old_best.filter(|_| !best_changed).map(|old| old.stamp);
            Best { best, next, stamp: known.unwrap_or_else(|| self.next_stamp()) }
        });
        if !best_changed && !next_changed {
            return None;
        }
        if old_best != new_best {
            self.store.set_best(key, new_best);
        }
        Some(Change { key, old_best, new_best, best_changed })
    }

    /// The neighbours with the best and the next best path.
    fn choose(&self, key: RouteKey) -> Option<(Sym, Option<Sym>)> {
        let mut best: Option<(Sym, &Rank)> = None;
        let mut next: Option<(Sym, &Rank)> = None;
        let ahead = |a: (Sym, &Rank), b: Option<(Sym, &Rank)>| {
            b.is_none_or(|b| better((a.1, self.text(a.0)), (b.1, self.text(b.0))) == Ordering::Less)
        };
        for (neighbour, route) in self.store.candidates(key) {
            if !route.rank.eligible && !mutant!(IneligibleChosen) {
                continue;
            }
            if route.overtaken && !mutant!(OvertakenChosen) {
                continue;
            }
            let candidate = (neighbour, &route.rank);
            if ahead(candidate, best) {
                next = if mutant!(NextForgotten) { None } else { best };
                best = Some(candidate);
            } else if ahead(candidate, next) {
                next = Some(candidate);
            }
        }
        best.map(|(best, _)| (best, next.map(|n| n.0)))
    }

    /// The best of a key with its route.
    pub fn best(&self, key: RouteKey) -> Option<(Best, &Route<S::Attrs>)> {
        let best = self.store.best(key)?;
        self.store.route(Slot { key, neighbour: best.best }).map(|route| (best, route))
    }

    /// The route of one neighbour.
    pub fn route(&self, key: RouteKey, neighbour: Sym) -> Option<&Route<S::Attrs>> {
        self.store.route(Slot { key, neighbour })
    }

    /// All routes of a key, with the neighbours that announced them.
    pub fn candidates(&self, key: RouteKey) -> impl Iterator<Item = (Sym, &Route<S::Attrs>)> {
        self.store.candidates(key)
    }

    /// Orders two winners of one service, the better one first: as candidates of one key, then by origin id.
    pub fn compare_winners(&self, a: (RouteKey, Best, &Rank), b: (RouteKey, Best, &Rank)) -> Ordering {
        better((a.2, self.text(a.1.best)), (b.2, self.text(b.1.best)))
            .then_with(|| self.text(a.0.origin).cmp(self.text(b.0.origin)))
    }

    /// The winners of a service's keys, in the order of the keys.
    pub fn winners(&self, service: Sym) -> impl Iterator<Item = (RouteKey, Best, &Route<S::Attrs>)> {
        self.store.bests_of(service).filter_map(|(key, best)| {
            self.store.route(Slot { key, neighbour: best.best }).map(|route| (key, best, route))
        })
    }

    /// All of Loc-RIB, in the order of the keys.
    pub fn loc_rib(&self) -> impl Iterator<Item = (RouteKey, Best)> {
        let mut after = None;
        let keys = core::iter::from_fn(move || {
            after = Some(self.store.key_after(after)?);
            after
        });
        keys.filter_map(|key| Some((key, self.store.best(key)?)))
    }
}
