//! How long an overtaken route stays so, when nothing that is there says why any more.
//!
//! What is newer is known by its numbers alone. They can be wrong: a neighbour inside may forge them, and a machine that
//! goes back to a snapshot counts from an old number on. Then what it goes on to say would be taken for old for as long as
//! it does not restart. So a route that its neighbour still announces after [`Limits::OVERTAKEN_MS`] counts again, unless
//! a way that is used instead has a newer word even then: by that time, whoever has given it up would have said so.

use alloc::vec::Vec;

use catalyst_route_table::{Slot, Store};

use crate::changes::Changes;
use crate::core::Core;
use crate::delta::{Delta, Write};
use crate::limits::Limits;
use crate::news::NUMBERED;
use crate::now::Now;
use crate::state::State;

impl<S: Store> State<S> {
    /// Remembers the routes that were overtaken in this step.
    pub(crate) fn hold_down(&mut self, changes: &mut Changes) {
        if !NUMBERED {
            return;
        }
        for slot in self.table.take_overtaken() {
            let at = self.now.saturating_add(Limits::OVERTAKEN_MS);
            if let Some(first) = self.hold_down.put(slot, at) {
                changes.routes.extend(self.table.take_back(first));
            }
        }
    }

    /// Routes that were overtaken for long enough count again, where nothing says why they should not.
    pub(crate) fn take_back(&mut self, changes: &mut Changes) {
        let own = self.settings.name.clone();
        let due = core::iter::from_fn(|| self.hold_down.take(self.now)).take(Limits::TAKEN_BACK);
        let due: Vec<Slot> = due.collect();
        // First all are looked at, then all are taken back: so their order does not count.
        let is_free =
            |slot: &Slot| self.table.is_overtaken_by_none(*slot, own.node()) && !mutant!(OvertakenForEver);
        let (free, bound): (Vec<Slot>, Vec<Slot>) = due.into_iter().partition(is_free);
        changes.routes.extend(free.into_iter().filter_map(|slot| self.table.take_back(slot)));
        for slot in bound {
            if !mutant!(BoundForEver)
                && self.table.route(slot.key, slot.neighbour).is_some_and(|route| route.overtaken)
            {
                self.hold_down.put(slot, self.now.saturating_add(Limits::OVERTAKEN_MS));
            }
        }
    }
}

impl<S: Store> Core<S> {
    /// Looks at the routes that were overtaken for long enough.
    pub(crate) fn tick_hold_down(&mut self, now: Now) {
        if NUMBERED && self.state.hold_down.due().is_some_and(|due| due <= now.mono) {
            let mut delta = Delta::default();
            delta.push(Write::TakeBack);
            self.commit(delta);
        }
    }
}
