//! What changes of routes, one row after the other, for whoever watches. Costs nothing while nobody does.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_route_table::{Best, Change, Rank, Route, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, WellKnown};

use crate::core::Core;
use crate::delta::Write;
use crate::explain::step;
use crate::limits::Limits;
use crate::rows::RouteRow;
use crate::stale::Phase;
use crate::state::State;
pub use crate::watch_row::WatchRow;

/// Why routes change that rules judge anew.
pub(crate) const RULES: &str = "the rules changed";
/// Why routes of a neighbour change that is out of reach.
const LOST: &str = "the session with it is lost";

/// A route as it stood.
pub(crate) struct Glance {
    rank: Rank,
    attrs: Vec<u8>,
    stale: &'static str,
}

/// What is to be seen of two encodings of attributes that differ.
fn difference(before: &Glance, after: &Glance) -> Option<String> {
    let (a, b) = (Attrs::read(&before.attrs).ok()?, Attrs::read(&after.attrs).ok()?);
    let mut words: Vec<String> = Vec::new();
    let mut number = |what: &str, a: u64, b: u64| {
        if a != b {
            words.push(alloc::format!("{what} {a} -> {b}"));
        }
    };
    let drains = |attrs: &Attrs<'_>| attrs.well_known.has(WellKnown::GRACEFUL_SHUTDOWN);
    if drains(&a) == drains(&b) {
        number("local_pref", before.rank.local_pref.into(), after.rank.local_pref.into());
    }
    number("cost", before.rank.cost.into(), after.rank.cost.into());
    if before.rank.cost == after.rank.cost {
        number("announced cost", a.cost.into(), b.cost.into());
    }
    number("weight", a.weight.into(), b.weight.into());
    let mut path = |what: &str, a: Vec<&str>, b: Vec<&str>| {
        if a != b {
            words.push(alloc::format!("{what} {} -> {}", a.join(" "), b.join(" ")));
        }
    };
    path("org_path", a.org_path.iter().collect(), b.org_path.iter().collect());
    path("node_path", a.node_path.iter().collect(), b.node_path.iter().collect());
    path("tags", a.tags.iter().collect(), b.tags.iter().collect());
    if a.protocol != b.protocol {
        words.push(alloc::format!("protocol {} -> {}", a.protocol, b.protocol));
    }
    let marks = WellKnown::GRACEFUL_SHUTDOWN | WellKnown::STALE;
    let other = Attrs {
        well_known: WellKnown(b.well_known.0 & !marks | a.well_known.0 & marks),
        health: a.health,
        ..b
    };
    if words.is_empty() && other != a {
        words.push("other attributes".to_string());
    }
    (!words.is_empty()).then(|| words.join(", "))
}

impl<S: Store> State<S> {
    /// The route in a slot as it stands, if somebody watches.
    pub(crate) fn glance(&self, key: Option<RouteKey>, neighbour: Sym) -> Option<Glance> {
        self.observed.as_ref()?;
        let route = self.table.route(key?, neighbour)?;
        let stale = self.staleness(route, neighbour);
        Some(Glance { rank: route.rank, attrs: route.attrs.as_ref().to_vec(), stale })
    }

    /// The same where nothing is heard of the neighbour: its routes become stale all at once, and are looked at one by one.
    pub(crate) fn glance_before(&self, key: RouteKey, neighbour: Sym) -> Option<Glance> {
        let glance = self.glance(Some(key), neighbour)?;
        let stale = self.peer_by_sym(neighbour).and_then(|peer| peer.stale.as_ref());
        let ages = self.observed.as_ref().is_some_and(|observed| observed.cause == LOST);
        let begins = ages && glance.stale == "stale" && stale.is_some_and(|stale| stale.phase == Phase::Kept);
        Some(Glance { stale: if begins { "" } else { glance.stale }, ..glance })
    }

    /// Why routes change from now on.
    pub(crate) fn because(&mut self, write: &Write<'_>) {
        if self.observed.is_none() {
            return;
        }
        self.because_of(match write {
            Write::Announce { .. } => "announced",
            Write::Withdraw { .. } => "withdrawn",
            Write::Flush(_) | Write::RemovePeer(_) => "the neighbour is no longer configured",
            Write::SetPolicy { .. } => RULES,
            Write::Age(sym) => match self.peer_by_sym(*sym).and_then(|peer| peer.stale.as_ref()) {
                Some(stale) if stale.phase == Phase::Swept && !stale.path_lost => "not announced again",
                _ => LOST,
            },
            Write::Rest => "at rest",
            _ => "",
        });
    }

    /// The same in words.
    pub(crate) fn because_of(&mut self, cause: &'static str) {
        if let Some(observed) = &mut self.observed {
            observed.cause = cause;
        }
    }

    /// What became of the route in a slot.
    pub(crate) fn observe(&mut self, key: Option<RouteKey>, neighbour: Sym, before: Option<Glance>) {
        let (Some(observed), Some(key)) = (&self.observed, key) else { return };
        let cause = observed.cause;
        let after = self.glance(Some(key), neighbour);
        let mut rows: Vec<(&str, String, bool)> = Vec::new();
        match (&before, &after) {
            (None, None) => return,
            (None, Some(new)) => {
                let rank = new.rank;
                let usable = if rank.eligible { "" } else { ", not usable" };
                let why = alloc::format!("local_pref {}, cost {}{usable}", rank.local_pref, rank.cost);
                rows.push(("new", why, true));
            }
            (Some(_), None) => rows.push(("gone", cause.to_string(), false)),
            (Some(a), Some(b)) => {
                rows.extend(difference(a, b).map(|why| ("changed", why, true)));
                let mut turn = |a: bool, b: bool, words: (&'static str, &'static str), why: &str| {
                    if a != b {
                        rows.push((if b { words.0 } else { words.1 }, why.to_string(), false));
                    }
                };
                let unhealthy = |glance: &Glance| {
                    Attrs::read(&glance.attrs).is_ok_and(|attrs| attrs.health != catalyst_wire::Health::Up)
                };
                let why = match (unhealthy(a), unhealthy(b)) {
                    (false, true) => "unhealthy",
                    (true, false) => "healthy",
                    _ => cause,
                };
                turn(a.rank.eligible, b.rank.eligible, ("usable", "unusable"), why);
                let drains = |glance: &Glance| {
                    Attrs::read(&glance.attrs)
                        .is_ok_and(|attrs| attrs.well_known.has(WellKnown::GRACEFUL_SHUTDOWN))
                };
                turn(drains(a), drains(b), ("draining", "staying"), "as its node says");
                let why = if b.rank.flapping { "it changed too often" } else { cause };
                turn(a.rank.flapping, b.rank.flapping, ("flapping", "steady"), why);
                if a.stale != b.stale {
                    let why = if b.stale.is_empty() { cause } else { b.stale };
                    let what = if b.stale.is_empty() { "fresh" } else { "stale" };
                    rows.push((what, why.to_string(), false));
                }
            }
        }
        let route = self.row(key, neighbour).map(Box::new);
        let text = |sym| self.table.text(sym).to_string();
        let (service, origin, via) = (text(key.service), text(key.origin), text(neighbour));
        let Some(observed) = &mut self.observed else { return };
        for (what, why, whole) in rows {
            observed.push(WatchRow {
                service: service.clone(),
                origin: origin.clone(),
                via: via.clone(),
                route: route.clone().filter(|_| whole),
                ..WatchRow::of_watch(what, &why, None)
            });
        }
    }

    /// Which ways are the best ones now.
    pub(crate) fn observe_bests(&mut self, changes: &[Change]) {
        if self.observed.is_none() {
            return;
        }
        for change in changes {
            let row = self.best_row(change.key, change.old_best, change.new_best);
            if let (Some(row), Some(observed)) = (row, &mut self.observed) {
                observed.push(row);
            }
        }
    }

    fn best_row(&self, key: RouteKey, old: Option<Best>, new: Option<Best>) -> Option<WatchRow> {
        let (was, is) = (old.map(|b| b.best), new.map(|b| b.best));
        if was == is {
            return None;
        }
        let text = |sym| self.table.text(sym).to_string();
        let rank = |sym| self.table.route(key, sym).map(Route::effective_rank);
        let against = |sym: Sym, other: Sym| {
            let (better, worse) = (rank(sym)?, rank(other).filter(|rank| rank.eligible)?);
            Some(
                step(&better, &worse)
                    .unwrap_or_else(|| "all else is equal: the lowest neighbour id".to_string()),
            )
        };
        let why = match (is, was) {
            (None, _) => "no usable way is left".to_string(),
            (Some(is), Some(was)) => match against(is, was) {
                Some(why) => alloc::format!("before {}: {why}", text(was)),
                None if rank(was).is_some() => alloc::format!("{} is not usable", text(was)),
                None => alloc::format!("the way by {} is gone", text(was)),
            },
            (Some(is), None) => {
                match new.and_then(|b| b.next).and_then(|next| Some((next, against(is, next)?))) {
                    Some((next, why)) => alloc::format!("before {}: {why}", text(next)),
                    None => "the only usable way".to_string(),
                }
            }
        };
        Some(WatchRow {
            service: text(key.service),
            origin: text(key.origin),
            via: is.or(was).map(text).unwrap_or_default(),
            ..WatchRow::of_watch(if is.is_some() { "best" } else { "unreachable" }, &why, None)
        })
    }

    /// Routes behind a place, of services that are wanted, and the place behind which to go on, if there is more. Looks at
    /// [`Limits::OBSERVED`] routes at most and gives `most` at most.
    #[must_use]
    pub fn routes_behind(
        &self,
        after: Option<(Sym, RouteKey)>,
        most: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> (Vec<RouteRow>, Option<(Sym, RouteKey)>) {
        let mut rows = Vec::new();
        let mut looked = 0;
        let mut at = after;
        let senders = self.by_sym.keys().copied().chain([self.own]);
        let mut senders: Vec<Sym> =
            senders.filter(|sym| after.is_none_or(|(from, _)| *sym >= from)).collect();
        senders.sort_unstable();
        for sender in senders {
            let mut behind = after.filter(|(from, _)| *from == sender).map(|(_, key)| key);
            while let Some(key) = self.table.next_of(sender, behind) {
                if rows.len() >= most || looked >= Limits::OBSERVED {
                    return (rows, at);
                }
                looked += 1;
                behind = Some(key);
                at = Some((sender, key));
                if wanted(self.table.text(key.service)) {
                    rows.extend(self.row(key, sender));
                }
            }
        }
        (rows, None)
    }
}

impl<S: Store> Core<S> {
    /// Whether changes of routes are to be written down from now on. At most [`Limits::OBSERVED`] rows wait to be taken.
    pub fn watch(&mut self, on: bool) {
        if on != self.state.observed.is_some() {
            self.state.observed = on.then(Box::default);
        }
    }

    /// The rows since this was asked before, and how many more there were.
    pub fn observed(&mut self) -> (Vec<WatchRow>, u64) {
        let Some(observed) = &mut self.state.observed else { return (Vec::new(), 0) };
        (core::mem::take(&mut observed.rows), core::mem::take(&mut observed.missed))
    }
}
