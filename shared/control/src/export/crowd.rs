//! Services of other organisations to which there are more ways than one organisation is told of.
//!
//! Beyond each border an origin has another id, so every chain of organisations that passes a service on makes a key of its
//! own. Without a bound, whoever sits between many others would multiply them. A group hears of the best
//! [`crate::Limits::origins`] keys of such a service; the others are kept here, ready to take the place of one that goes.
//!
//! The order is that of the service but for one thing: what is marked stale or draining comes last and then the shorter
//! `org_path` comes first, before local_pref. All three only grow on the way from organisation to organisation, so which
//! keys are told depends on nothing that follows from it, and no two organisations can wait for each other's choice.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use catalyst_route_table::{DenseMap, Rank, RouteKey, RouteTable, Store, Sym};
use catalyst_wire::{Attrs, WellKnown};

use crate::export::entry::Entry;

/// An announcement: whose route it is, and its bytes.
pub(super) type Announcement = (Sym, Box<[u8]>);

/// Where a key stands among those of its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    leaving: bool,
    rank: Rank,
    origin: Box<str>,
}

impl Standing {
    /// Of a key of Loc-RIB that came from another organisation; nothing for services of one's own, which are all told.
    pub(super) fn of<S: Store>(table: &RouteTable<S>, key: RouteKey) -> Option<Self> {
        let (_, route) = table.best(key)?;
        if route.rank.org_len == 0 {
            return None;
        }
        let marks = Attrs::read(route.attrs.as_ref()).ok()?.well_known;
        let leaving = marks.has(WellKnown::GRACEFUL_SHUTDOWN);
        Some(Standing { leaving, rank: route.rank, origin: Box::from(table.text(key.origin)) })
    }
}

impl Ord for Standing {
    fn cmp(&self, other: &Self) -> Ordering {
        let first = |s: &Self| (s.rank.stale, s.leaving, s.rank.org_len);
        first(self)
            .cmp(&first(other))
            .then_with(|| self.rank.compare(&other.rank))
            .then_with(|| self.origin.cmp(&other.origin))
    }
}

impl PartialOrd for Standing {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The keys of one service that had more of them than are told.
#[derive(Clone, Debug, Default)]
struct Crowd {
    told: BTreeMap<Standing, RouteKey>,
    kept: BTreeMap<Standing, (RouteKey, Announcement)>,
    of_origin: BTreeMap<Sym, Standing>,
}

/// What becomes of a mark: announcements come before withdrawals, so that a service that stays is never gone.
pub(super) type Outcome = Vec<(RouteKey, Option<Announcement>)>;

/// All such services of a group. A service stays here until it has no key left.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowds {
    of_service: BTreeMap<Sym, Crowd>,
}

impl Crowds {
    /// Whether a key is kept back.
    pub(super) fn keeps(&self, key: RouteKey) -> bool {
        let crowd = self.of_service.get(&key.service);
        crowd.is_some_and(|crowd| {
            crowd.of_origin.get(&key.origin).is_some_and(|standing| crowd.kept.contains_key(standing))
        })
    }

    /// Takes a mark, of which at most `most` keys of its service are to be told; `count` are now.
    pub(super) fn choose<S: Store>(
        &mut self,
        (key, announcement): (RouteKey, Option<Announcement>),
        (count, most): (usize, usize),
        entries: &DenseMap<RouteKey, Entry>,
        table: &RouteTable<S>,
    ) -> Outcome {
        if !self.of_service.contains_key(&key.service) {
            let live = |key| entries.get(&key).is_some_and(|e| !e.withdrawn);
            let fits = count < most || announcement.is_none() || live(key);
            if fits || Standing::of(table, key).is_none() || mutant!(OriginsUnbounded) {
                return vec![(key, announcement)];
            }
            self.begin(key.service, entries, table);
        }
        let Some(crowd) = self.of_service.get_mut(&key.service) else { return vec![(key, announcement)] };
        let standing = Standing::of(table, key);
        let (told, gone) = crowd.choose(key, announcement.zip(standing), most, entries);
        if crowd.of_origin.is_empty() {
            self.of_service.remove(&key.service);
        }
        let told = told.into_iter().map(|(key, announcement)| (key, Some(announcement)));
        told.chain(gone.map(|key| (key, None))).collect()
    }

    /// There are too many from now on: those that are told, in their order.
    fn begin<S: Store>(&mut self, service: Sym, entries: &DenseMap<RouteKey, Entry>, table: &RouteTable<S>) {
        let crowd = self.of_service.entry(service).or_default();
        let all = entries.from(&RouteKey { service, origin: Sym(0) });
        for (key, _) in all.take_while(|(key, _)| key.service == service).filter(|(_, e)| !e.withdrawn) {
            if let Some(standing) = Standing::of(table, *key) {
                crowd.told.insert(standing.clone(), *key);
                crowd.of_origin.insert(key.origin, standing);
            }
        }
    }
}

impl Crowd {
    /// What is told from now on, and what no longer.
    fn choose(
        &mut self,
        key: RouteKey,
        new: Option<(Announcement, Standing)>,
        most: usize,
        entries: &DenseMap<RouteKey, Entry>,
    ) -> (Vec<(RouteKey, Announcement)>, impl Iterator<Item = RouteKey> + use<>) {
        // Also one that went in the step in which the crowd began, and is not in it.
        let mut gone = BTreeSet::from([key]);
        if let Some(old) = self.of_origin.remove(&key.origin) {
            self.told.remove(&old);
            self.kept.remove(&old);
        }
        if let Some((announcement, standing)) = new {
            self.of_origin.insert(key.origin, standing.clone());
            self.kept.insert(standing, (key, announcement));
        }
        let mut told = Vec::new();
        while let Some((first, _)) = self.kept.first_key_value() {
            let last = self.told.last_key_value();
            let full = self.told.len() >= most;
            if (full && last.is_some_and(|(last, _)| last < first)) || mutant!(NobodyMovesUp) {
                break;
            }
            if full {
                let Some((standing, key)) = self.told.pop_last() else { break };
                let Some(entry) = entries.get(&key) else { continue };
                self.kept.insert(standing, (key, (entry.source, entry.element.clone())));
                gone.insert(key);
            }
            let Some((standing, (key, announcement))) = self.kept.pop_first() else { break };
            self.told.insert(standing, key);
            gone.remove(&key);
            told.push((key, announcement));
        }
        (told, gone.into_iter())
    }
}
