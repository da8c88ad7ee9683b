//! What a core holds, in plain values to compare.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_control::{Core, SessionId};
use catalyst_names::NodeName;
use catalyst_policy::border_origin;
use catalyst_route_table::{Route, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, Health};

use crate::any::Look;

/// Service and origin id.
pub type Name = (String, String);

/// One route of Adj-RIB-In.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRoute {
    /// Whether it may be used.
    pub eligible: bool,
    /// Rank inside the organisation.
    pub local_pref: u32,
    /// What the service speaks, by the table.
    pub protocol: String,
    /// Share among equals, by the table.
    pub weight: u16,
    /// Organisations passed.
    pub org_path: Vec<String>,
    /// Nodes passed.
    pub node_path: Vec<String>,
    /// Lower is better.
    pub cost: u32,
    /// As import left it.
    pub rank_cost: u32,
    /// Who set the only-to-customer mark.
    pub mark: Option<String>,
    /// `org:tag`.
    pub tags: Vec<String>,
    /// Whether the service answers.
    pub healthy: bool,
    /// Ranks as long-lived stale.
    pub stale: bool,
    /// Ranks behind for its changes.
    pub flapping: bool,
    /// There is newer word of it.
    pub overtaken: bool,
    /// The attributes as they came.
    pub attrs: Vec<u8>,
}

impl SeenRoute {
    fn of<A: AsRef<[u8]>>(route: &Route<A>, overtaken: bool) -> Self {
        let attrs = Attrs::read(route.attrs.as_ref()).unwrap_or_default();
        let texts = |path: catalyst_wire::Path<'_>| path.iter().map(str::to_owned).collect();
        SeenRoute {
            eligible: route.rank.eligible,
            local_pref: route.rank.local_pref,
            protocol: route.protocol.to_string(),
            weight: route.weight,
            org_path: texts(attrs.org_path),
            node_path: texts(attrs.node_path),
            cost: attrs.cost,
            rank_cost: route.rank.cost,
            mark: attrs.only_to_customer.map(str::to_owned),
            tags: texts(attrs.tags),
            healthy: attrs.health == Health::Up,
            stale: route.rank.stale,
            flapping: route.rank.flapping,
            overtaken,
            attrs: route.attrs.as_ref().to_vec(),
        }
    }

    /// Whether this well-known mark came with it.
    pub(crate) fn marked(&self, mark: u32) -> bool {
        Attrs::read(&self.attrs).is_ok_and(|attrs| attrs.well_known.has(mark))
    }
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPeer {
    /// The established session.
    pub session: Option<SessionId>,
    /// Its table is complete.
    pub synced: bool,
    /// The counter of its routes.
    pub routes: usize,
    /// The counter of their bytes.
    pub bytes: usize,
    /// Those of this telling of its table.
    pub confirmed: usize,
    /// Refused for want of room.
    pub refused: u32,
    /// Malformed routes.
    pub malformed: u32,
    /// Routes that policy does not let in.
    pub denied: u32,
}

/// Everything a core holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Adj-RIB-In by key, then by neighbour.
    pub adj_in: BTreeMap<Name, BTreeMap<String, SeenRoute>>,
    /// Loc-RIB: the winner and the next.
    pub loc_rib: BTreeMap<Name, (String, Option<String>)>,
    /// The peers.
    pub peers: BTreeMap<String, SeenPeer>,
    /// Routes in the store, whoever they belong to.
    pub stored: usize,
    /// Names in the store.
    pub names: usize,
}

/// Takes a [`Seen`].
#[derive(Clone, Copy, Debug)]
pub struct See;

impl Look for See {
    type Found = Seen;

    fn look<S: Store>(self, core: &Core<S>) -> Seen {
        let state = core.state();
        let table = state.table();
        let name = |key: RouteKey| (table.text(key.service).to_owned(), table.text(key.origin).to_owned());
        let mut seen = Seen { stored: table.store().len(), names: table.store().names(), ..Seen::default() };
        let senders: BTreeSet<Sym> = state.peers().map(|p| p.sym).chain([state.own()]).collect();
        for sender in senders {
            let mut after = None;
            while let Some(key) = table.next_of(sender, after) {
                after = Some(key);
                let Some(route) = table.route(key, sender) else { continue };
                let row = SeenRoute::of(route, route.overtaken);
                seen.adj_in.entry(name(key)).or_default().insert(table.text(sender).to_owned(), row);
            }
        }
        for (key, best) in table.loc_rib() {
            let next = best.next.map(|n| table.text(n).to_owned());
            seen.loc_rib.insert(name(key), (table.text(best.best).to_owned(), next));
        }
        for peer in state.peers() {
            let row = SeenPeer {
                session: peer.session,
                synced: peer.synced,
                routes: peer.routes,
                bytes: peer.bytes,
                confirmed: peer.confirmed.0,
                refused: peer.refused.count(),
                malformed: peer.malformed,
                denied: peer.denied,
            };
            seen.peers.insert(peer.config.name.to_string(), row);
        }
        seen
    }
}

/// What is held of one neighbour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsOf<'a>(pub(crate) &'a NodeName);

impl Look for RowsOf<'_> {
    type Found = Option<BTreeMap<Name, SeenRoute>>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let table = core.state().table();
        let sender = core.state().peer(self.0)?.sym;
        let (mut rows, mut after) = (BTreeMap::new(), None);
        while let Some(key) = table.next_of(sender, after) {
            after = Some(key);
            let name = (table.text(key.service).to_owned(), table.text(key.origin).to_owned());
            rows.extend(table.route(key, sender).map(|route| (name, SeenRoute::of(route, route.overtaken))));
        }
        Some(rows)
    }
}

/// The keys of Adj-RIB-Out of one session, under the names that they have on the wire.
#[derive(Clone, Copy, Debug)]
pub struct AdjRibOut<'a> {
    /// The session.
    pub session: SessionId,
    /// The peer at its other end.
    pub peer: &'a NodeName,
    /// The secret under which origins cross the border.
    pub secret: &'a [u8; 32],
}

impl Look for AdjRibOut<'_> {
    type Found = BTreeSet<Name>;

    fn look<S: Store>(self, core: &Core<S>) -> BTreeSet<Name> {
        let (state, groups) = (core.state(), core.groups());
        let table = state.table();
        let Some(peer) = state.peer(self.peer) else { return BTreeSet::new() };
        let wire = |key: RouteKey| {
            let (service, origin) = (table.text(key.service), table.text(key.origin));
            let origin = match peer.agreement {
                Some(agreement) => border_origin(self.secret, &agreement, origin).as_str().to_owned(),
                None => origin.to_owned(),
            };
            (service.to_owned(), origin)
        };
        // Split horizon: what it told us itself is not told back.
        let told = |key: &RouteKey| groups.told_from(self.session, *key) != Some(peer.sym);
        groups.announced(self.session).filter(told).map(wire).collect()
    }
}
