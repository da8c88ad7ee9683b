//! What flows have read on one side and the other side has not taken: one budget for all of them.
//!
//! A flow reads much at a time while there is room, and little when there is none. So however many flows stand still,
//! they hold the budget, and a little each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget of a node.
#[derive(Debug)]
pub struct Held {
    limit: usize,
    used: AtomicUsize,
}

impl Held {
    /// What a flow may still read at once when the budget is used up.
    pub const SIP: usize = 1024;

    /// Of this many bytes. When full: flows read [`Held::SIP`] at a time, which each may hold besides.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Held { limit, used: AtomicUsize::new(0) })
    }

    /// How much to read when this much would do.
    #[must_use]
    pub fn appetite(&self, wanted: usize) -> usize {
        if self.used() < self.limit { wanted } else { wanted.min(Self::SIP) }
    }

    /// Held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// One direction's part of it. Given back when dropped.
#[derive(Debug)]
pub struct Share {
    held: Arc<Held>,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    #[must_use]
    pub fn of(held: &Arc<Held>) -> Self {
        Share { held: held.clone(), bytes: 0 }
    }

    /// As [`Held::appetite`].
    #[must_use]
    pub fn appetite(&self, wanted: usize) -> usize {
        self.held.appetite(wanted)
    }

    /// Its part.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// So much is held now.
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.held.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.held.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_budget_leaves_each_flow_a_sip_and_is_whole_again_at_the_end() {
        let held = Held::new(10_000);
        let (mut a, mut b) = (Share::of(&held), Share::of(&held));
        assert_eq!(a.appetite(64_000), 64_000);
        a.set(10_000);
        assert_eq!((b.appetite(64_000), b.appetite(7)), (Held::SIP, 7));
        b.set(500);
        a.set(200);
        assert_eq!((held.used(), b.appetite(64_000)), (700, 64_000));
        drop((a, b));
        assert_eq!(held.used(), 0);
    }
}
