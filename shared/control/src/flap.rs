//! Routes that change too often: they rank behind what holds still, until they have been at rest for a while.
//!
//! A change is a neighbour's word: other attributes, a withdrawal, or a route again after its withdrawal. What this node
//! does by itself is none: rules, timers, the end of a session, the same table told once more. Memory goes to routes that
//! do change, and for as long as they do: the table holds [`crate::Limits::FLAPS`] of them.

use alloc::vec::Vec;

use catalyst_route_table::{Slot, Sym};

/// When a route changes too often. Nothing is counted with [`Flap::OFF`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flap {
    /// More changes than these within the window are too many; 0: never. [`crate::Limits::FLAP_CHANGES`] at most.
    pub changes: u32,
    /// The window, in milliseconds.
    pub window_ms: u64,
    /// How long a route has to be at rest to rank as before, in milliseconds.
    pub rest_ms: u64,
}

impl Flap {
    /// Any number of changes is fine.
    pub const OFF: Flap = Flap { changes: 0, window_ms: 0, rest_ms: 0 };
}

impl Default for Flap {
    fn default() -> Self {
        Flap::OFF
    }
}

/// A route that has changed of late.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Where it stands, or stood. Its names are kept readable.
    pub(crate) slot: Slot,
    /// Its neighbour has withdrawn it.
    pub(crate) gone: bool,
    /// It ranks behind.
    pub(crate) demoted: bool,
    /// Its last changes, oldest first: one more than are fine at most, one at least.
    pub(crate) times: Vec<u64>,
    /// The last of them, here for those who look at many.
    pub(crate) last: u64,
}

impl Seen {
    /// When it is forgotten, if it does not change before.
    pub(crate) fn until(&self, flap: Flap) -> u64 {
        self.last.saturating_add(if self.demoted { flap.rest_ms } else { flap.window_ms })
    }
}

/// The routes that have changed of late, in the order of their slots.
#[derive(Debug)]
pub(crate) struct Flaps {
    pub(crate) seen: Vec<Seen>,
    /// How many of them each neighbour has, in the order of its number.
    held: Vec<(Sym, usize)>,
    /// Nothing is due before.
    pub(crate) due: u64,
}

impl Default for Flaps {
    fn default() -> Self {
        Flaps { seen: Vec::new(), held: Vec::new(), due: u64::MAX }
    }
}

impl Flaps {
    pub(crate) fn find(&self, slot: Slot) -> Result<usize, usize> {
        self.seen.binary_search_by(|seen| seen.slot.cmp(&slot))
    }

    /// One more is about to be put in its place.
    pub(crate) fn hold(&mut self, neighbour: Sym) {
        match self.held.binary_search_by_key(&neighbour, |held| held.0) {
            Ok(at) => {
                if let Some((_, count)) = self.held.get_mut(at) {
                    *count += 1;
                }
            }
            Err(at) => self.held.insert(at, (neighbour, 1)),
        }
    }

    /// One of this neighbour is forgotten.
    pub(crate) fn release(&mut self, neighbour: Sym) {
        let Ok(at) = self.held.binary_search_by_key(&neighbour, |held| held.0) else { return };
        if let Some((_, count)) = self.held.get_mut(at) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(at);
            }
        }
    }

    /// The place of the one that makes room for another: of a neighbour that has most, so that nobody's restless routes push
    /// out those of others; among these the one that has been at rest for longest, those first that rank as ever.
    pub(crate) fn least(&self) -> Option<usize> {
        let most = self.held.iter().map(|held| held.1).max()?;
        // Mostly one; which of several it is does not matter.
        let (neighbour, _) = self.held.iter().find(|held| held.1 == most)?;
        let places = self.seen.iter().enumerate().filter(|(_, seen)| seen.slot.neighbour == *neighbour);
        places.min_by_key(|(_, seen)| (seen.demoted, seen.last)).map(|(at, _)| at)
    }

    /// Whether the route in a slot ranks behind for its changes.
    pub(crate) fn is_demoted(&self, slot: Slot) -> bool {
        self.find(slot).is_ok_and(|at| self.seen.get(at).is_some_and(|seen| seen.demoted))
    }

    /// When [`crate::Write::Rest`] is due.
    pub(crate) fn due(&self) -> Option<u64> {
        (self.due < u64::MAX).then_some(self.due)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}
