//! The state in rows, for commands and pages.

use alloc::string::ToString;
use alloc::vec::Vec;

use catalyst_route_table::{Route, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, WellKnown};

pub use crate::rows::RouteRow;
use crate::state::{Peer, State};

/// Puts routes in the order in which they are shown: services in the order of their names, best first within a key.
pub fn sort(rows: &mut [RouteRow]) {
    let order = |r: &RouteRow| match r.standing.as_str() {
        "best" => 0,
        "next" => 1,
        "alternative" => 2,
        _ => 3,
    };
    rows.sort_by(|a, b| {
        (&a.service, &a.origin, order(a), &a.via).cmp(&(&b.service, &b.origin, order(b), &b.via))
    });
}

impl<S: Store> State<S> {
    /// All routes, services in the order of their names, best first within a key.
    #[must_use]
    pub fn route_rows(&self) -> Vec<RouteRow> {
        self.rows_of(self.by_sym.keys().copied().chain([self.own]), usize::MAX, None)
    }

    /// All routes to one service, in the same order, without a look at any other.
    #[must_use]
    pub fn route_rows_to(&self, service: &str) -> Vec<RouteRow> {
        let Some(service) = self.table.store().find(service) else { return Vec::new() };
        self.rows_of(self.by_sym.keys().copied().chain([self.own]), usize::MAX, Some(service))
    }

    /// So many routes of neighbours, or fewer, in the same order: not the first of all, but found without a look at all.
    #[must_use]
    pub fn some_heard_rows(&self, most: usize) -> Vec<RouteRow> {
        self.rows_of(self.by_sym.keys().copied(), most, None)
    }

    fn rows_of(&self, senders: impl Iterator<Item = Sym>, most: usize, only: Option<Sym>) -> Vec<RouteRow> {
        let mut rows: Vec<RouteRow> = Vec::new();
        // The keys of a service stand together.
        let before = only.and_then(|service| service.0.checked_sub(1)).map(|n| RouteKey::range(Sym(n)).1);
        let wanted = |key: &RouteKey| only.is_none_or(|service| key.service == service);
        for sender in senders {
            let mut after = before;
            while rows.len() < most
                && let Some(key) = self.table.next_of(sender, after).filter(wanted)
            {
                rows.extend(self.row(key, sender));
                after = Some(key);
            }
        }
        sort(&mut rows);
        rows
    }

    pub(crate) fn staleness(&self, route: &Route<S::Attrs>, sender: Sym) -> &'static str {
        let lost = |p: &Peer| p.stale.is_some() && p.generation != route.generation;
        match self.peer_by_sym(sender) {
            _ if route.rank.stale => "long-lived stale",
            Some(peer) if lost(peer) => "stale",
            _ => "",
        }
    }

    pub(crate) fn row(&self, key: RouteKey, sender: Sym) -> Option<RouteRow> {
        let route = self.table.route(key, sender)?;
        let attrs = Attrs::read(route.attrs.as_ref()).ok()?;
        let best = self.table.best(key).map(|(best, _)| best);
        let standing = match best {
            Some(b) if b.best == sender => "best",
            Some(b) if b.next == Some(sender) => "next",
            _ if route.effective_rank().eligible => "alternative",
            _ => "ineligible",
        };
        Some(RouteRow {
            service: self.table.text(key.service).to_string(),
            origin: self.table.text(key.origin).to_string(),
            protocol: route.protocol.to_string(),
            via: self.table.text(sender).to_string(),
            standing: standing.to_string(),
            org_path: attrs.org_path.iter().map(ToString::to_string).collect(),
            node_path: attrs.node_path.iter().map(ToString::to_string).collect(),
            local_pref: route.rank.local_pref,
            cost: attrs.cost,
            weight: attrs.weight,
            tags: attrs.tags.iter().map(ToString::to_string).collect(),
            healthy: attrs.health == catalyst_wire::Health::Up,
            stale: self.staleness(route, sender).to_string(),
            draining: attrs.well_known.has(WellKnown::GRACEFUL_SHUTDOWN),
            flapping: route.rank.flapping,
        })
    }
}
