//! What is refused of a neighbour's table for want of room, as it is now: announcements that stand on its side, and not here.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::limits::Limits;
use crate::sum::Sum;

/// The refused announcements of one neighbour. It begins anew with each telling of the neighbour's table.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// Their slots, as hashes of service and origin: names that find no room in the table are not kept for this either.
    /// In order; [`Limits::REFUSED`] at most.
    slots: Vec<[u8; 16]>,
    /// There were more than found room here.
    more: bool,
    /// Their services in order, and how many slots each has here: [`Limits::REFUSED_NAMES`] at most.
    names: Vec<(String, u32)>,
    why: Option<String>,
    total: u64,
    /// Something came or went since this was asked last.
    moved: bool,
}

fn slot((service, origin): (&str, &str)) -> [u8; 16] {
    Sum::of_route(service, origin, &[]).bytes()
}

impl Refusals {
    /// How many are refused now; with [`Refusals::is_more`] so many at least.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Whether there may be more than are counted.
    #[must_use]
    pub fn is_more(&self) -> bool {
        self.more
    }

    /// Whether anything is refused now, as far as is known.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.more || !self.slots.is_empty()
    }

    /// How often something was refused since the start of this node.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Why the last of those that are refused now was refused.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Services of those that are refused now, in the order of their names; not of all, where there are many.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// An announcement is refused. Whether it is the first, or for another reason than the one before.
    pub(crate) fn refuse(&mut self, names: (&str, &str), why: &str) -> bool {
        self.total = self.total.saturating_add(1);
        let first = !self.is_any() || self.why() != Some(why);
        self.why = Some(why.to_string());
        let slot = slot(names);
        let Err(place) = self.slots.binary_search(&slot) else { return first };
        if self.slots.len() >= Limits::REFUSED {
            self.moved |= !self.more;
            self.more = true;
            return first;
        }
        self.slots.insert(place, slot);
        self.moved = true;
        match (self.name(names.0), self.names.len()) {
            (Ok(place), _) => self.names.get_mut(place).into_iter().for_each(|(_, count)| *count += 1),
            (Err(place), 0..Limits::REFUSED_NAMES) => self.names.insert(place, (names.0.to_string(), 1)),
            _ => {}
        }
        first
    }

    /// The neighbour has withdrawn it, or it has found room.
    pub(crate) fn settle(&mut self, names: (&str, &str)) {
        // Mostly there is none, and hashing is not free.
        if self.slots.is_empty() {
            return;
        }
        let Ok(place) = self.slots.binary_search(&slot(names)) else { return };
        self.slots.remove(place);
        self.moved = true;
        if let Ok(place) = self.name(names.0)
            && let Some((_, count)) = self.names.get_mut(place)
        {
            *count -= 1;
            if *count == 0 {
                self.names.remove(place);
            }
        }
        if !self.is_any() {
            self.why = None;
        }
    }

    /// The place of a service among the names, or where it would stand.
    fn name(&self, service: &str) -> Result<usize, usize> {
        self.names.binary_search_by(|(name, _)| name.as_str().cmp(service))
    }

    /// Nothing is known of its table.
    pub(crate) fn clear(&mut self) {
        *self = Refusals { total: self.total, moved: self.moved || self.is_any(), ..Refusals::default() };
    }

    /// Whether something came or went since this was asked last.
    pub(crate) fn take_moved(&mut self) -> bool {
        core::mem::take(&mut self.moved)
    }

    pub(crate) fn has_moved(&self) -> bool {
        self.moved
    }
}
