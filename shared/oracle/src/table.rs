//! What the solver answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use catalyst_names::{NodeName, OrgId, OriginId, Protocol, ServiceName};

/// A route's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The service's full name.
    pub service: ServiceName,
    /// The origin id, as it is known where the key stands.
    pub origin: OriginId,
}

/// The order of best path, the best first. The neighbour's name is its last step and makes it total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Any fresh route is better than one that is kept for its neighbour's sake (RFC 9494).
    pub stale: bool,
    /// What holds still is better than what changed too often. Never so in what the solver answers.
    pub flapping: bool,
    /// Higher is better.
    pub local_pref: Reverse<u32>,
    /// A service of this very node comes first.
    pub local: Reverse<bool>,
    /// Length of `org_path`.
    pub org_len: usize,
    /// Lower is better.
    pub cost: u32,
    /// Length of `node_path`.
    pub node_len: usize,
    /// Whose route it is: a neighbour, or the node itself.
    pub via: NodeName,
}

/// Well-known marks of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Its node is about to stop.
    pub leaving: bool,
    /// Long-lived stale.
    pub stale: bool,
    /// Better gone than long-lived stale.
    pub closed: bool,
}

/// One route, as a node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it stands in the order.
    pub rank: Rank,
    /// Health and import allow its use.
    pub eligible: bool,
    /// There is newer word of it than this. Never so at rest.
    pub overtaken: bool,
    /// Organisations passed, nearest first.
    pub org_path: Vec<OrgId>,
    /// Nodes of this organisation passed, nearest first.
    pub node_path: Vec<String>,
    /// What the service speaks.
    pub protocol: Protocol,
    /// Share among equals.
    pub weight: u16,
    /// Lower is better, as it came in: the rank has what import made of it.
    pub cost: u32,
    /// It came marked as one whose node is about to stop (RFC 8326), as long-lived stale, and as not to be kept so
    /// (RFC 9494).
    pub marks: Marks,
    /// `org:tag`, as they came in.
    pub tags: Vec<String>,
    /// Who set the only-to-customer mark, as it came in.
    pub mark: Option<String>,
    /// The tags as import left them: what the organisation hears.
    pub tags_inside: Vec<String>,
    /// The mark as the organisation keeps it.
    pub mark_inside: Option<String>,
    /// The node that really offers the service: a place in [`crate::World::nodes`].
    pub home: usize,
}

/// One key of Loc-RIB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The winner.
    pub best: Candidate,
    /// Whose route would win if the winner went away.
    pub next: Option<NodeName>,
}

/// Everything that one node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Loc-RIB.
    pub loc_rib: BTreeMap<Key, Held>,
    /// Adj-RIB-In by key, then by neighbour; the node's own services stand under its own name.
    pub adj_in: BTreeMap<Key, BTreeMap<NodeName, Candidate>>,
    /// Services that each neighbour of another organisation may use.
    pub granted: BTreeMap<NodeName, BTreeSet<ServiceName>>,
}

impl Table {
    /// Ranks Adj-RIB-In into Loc-RIB.
    pub fn elect(&mut self) {
        for (key, candidates) in &self.adj_in {
            let mut usable: Vec<&Candidate> =
                candidates.values().filter(|c| c.eligible && !c.overtaken).collect();
            usable.sort_by(|a, b| a.rank.cmp(&b.rank));
            let mut usable = usable.into_iter();
            let Some(best) = usable.next() else { continue };
            let next = usable.next().map(|c| c.rank.via.clone());
            self.loc_rib.insert(key.clone(), Held { best: best.clone(), next });
        }
    }

    /// The keys of a service, the best first.
    #[must_use]
    pub fn ranking(&self, service: &ServiceName) -> Vec<&Key> {
        let mut keys: Vec<(&Key, &Held)> =
            self.loc_rib.iter().filter(|(key, _)| key.service == *service).collect();
        keys.sort_by(|a, b| (&a.1.best.rank, &a.0.origin).cmp(&(&b.1.best.rank, &b.0.origin)));
        keys.into_iter().map(|(key, _)| key).collect()
    }

    /// All services that can be reached.
    #[must_use]
    pub fn services(&self) -> BTreeSet<&ServiceName> {
        self.loc_rib.keys().map(|key| &key.service).collect()
    }
}
