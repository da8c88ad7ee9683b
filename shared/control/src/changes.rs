//! What a commit changed: all that phase 2 may look at beside the state.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use catalyst_names::NodeName;
use catalyst_route_table::{Change, Sym};

/// The outcome of one commit.
#[derive(Debug, Default)]
pub struct Changes {
    /// Keys of Loc-RIB whose best or next best changed, in order. A key may stand twice.
    pub routes: Vec<Change>,
    /// Peers whose policy changed: everything towards them is to be looked at again.
    pub policy: BTreeSet<NodeName>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.policy.is_empty()
    }

    /// The services that are touched, each once, in the order of their numbers.
    #[must_use]
    pub fn services(&self) -> BTreeSet<Sym> {
        self.routes.iter().map(|c| c.key.service).collect()
    }
}
