//! Ways through the whole table that are under way: after a change of rules, for the table of a new export group, to mark
//! what is announced. In pieces, so that no step takes long and everything else has its turn (`walks.rs`).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use catalyst_route_table::{RouteKey, Sym};

use crate::export::GroupId;
use crate::limits::{Limits, PIECES};

/// What a walk is for, and how far it is.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Behind which key it goes on.
    pub(crate) after: Option<RouteKey>,
    /// Rules have changed: import is asked again, and export for all groups.
    pub(crate) judges: bool,
    /// What is announced is marked, or not any more, and is a new word of this node.
    pub(crate) touches: bool,
    /// Groups whose tables are complete at its end.
    pub(crate) groups: Vec<GroupId>,
}

impl Walk {
    /// Whether every group hears of it.
    pub(crate) fn is_for_all(&self) -> bool {
        self.judges || self.touches
    }
}

/// Which services stand under the rules of now while a walk makes it all of them. A service is always wholly under the
/// rules of before or wholly under those of now.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    /// The last service that the walk has passed, in the order of their numbers.
    pub(crate) passed: Option<Sym>,
    /// Services before it that have changed since, and were judged with the change.
    ahead: BTreeSet<Sym>,
}

impl Judging {
    /// Whether a service stands under the rules of before.
    pub(crate) fn awaits(&self, service: Sym) -> bool {
        PIECES && self.passed.is_none_or(|passed| passed < service) && !self.ahead.contains(&service)
    }

    /// A service was judged before its turn.
    pub(crate) fn judged(&mut self, service: Sym) {
        if self.ahead.len() < Limits::AHEAD {
            self.ahead.insert(service);
        }
    }
}
