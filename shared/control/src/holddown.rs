//! Which routes were overtaken of late, and when they are looked at again (a hold-down timer).

use alloc::collections::{BTreeMap, BTreeSet};

use catalyst_route_table::Slot;

use crate::limits::Limits;

/// Routes that were overtaken of late, with the moments at which they are looked at. Numbers of names that are given anew
/// meanwhile do no harm: a route that is not overtaken is passed over.
#[derive(Debug, Default)]
pub(crate) struct HoldDown {
    due: BTreeMap<Slot, u64>,
    order: BTreeSet<(u64, Slot)>,
}

impl HoldDown {
    /// A route is overtaken and to be looked at then. With no room for one more, the one that would be next is given back.
    pub(crate) fn put(&mut self, slot: Slot, at: u64) -> Option<Slot> {
        if let Some(before) = self.due.insert(slot, at) {
            self.order.remove(&(before, slot));
        }
        self.order.insert((at, slot));
        if self.order.len() > Limits::OVERTAKEN { self.take(u64::MAX) } else { None }
    }

    /// The next of those that are due.
    pub(crate) fn take(&mut self, now: u64) -> Option<Slot> {
        let (at, slot) = self.order.first().copied().filter(|(at, _)| *at <= now)?;
        self.order.remove(&(at, slot));
        self.due.remove(&slot);
        Some(slot)
    }

    /// When [`crate::Write::TakeBack`] is due.
    pub(crate) fn due(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}
