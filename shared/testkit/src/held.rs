//! What is known of a way that a node withholds, and of those that it tells.

use std::collections::BTreeMap;

use catalyst_names::NodeName;

use crate::row::Row;

/// What a neighbour inside has of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) session: u64,
    /// It has a way of its own.
    pub(crate) has_way: bool,
    /// When it took back at last one that led straight to the service's home.
    pub(crate) taken_back: Option<u64>,
}

/// A way that is used and told nobody inside.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) since: u64,
    /// Whose way is used, and what it said of it.
    pub(crate) via: Option<NodeName>,
    pub(crate) said: Option<Row>,
    /// When that was another one.
    pub(crate) lost: u64,
    /// Since when some neighbour has no other.
    pub(crate) needed: Option<u64>,
    /// Neighbours inside with a session.
    pub(crate) inside: BTreeMap<usize, Inside>,
    /// One of them has lost a way around.
    pub(crate) due: bool,
    /// It is or was long-lived stale: such a way is withheld whoever needs it.
    pub(crate) stale: bool,
}

/// What a node uses for a key, and what it tells inside.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Whose way is used.
    pub(crate) via: NodeName,
    /// Whose way is told.
    pub(crate) told: Option<NodeName>,
    /// Neighbours inside with a session and a way that may be used.
    pub(crate) have: usize,
    /// Those with a session and no way.
    pub(crate) bare: Vec<NodeName>,
}
