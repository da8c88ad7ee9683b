//! The digests of what the cursors of one group hold, kept up to date with each change.

use alloc::collections::BTreeMap;

use catalyst_route_table::Sym;

use crate::sum::Sum;

/// The sum over all announced entries, and over those of each source: split horizon keeps its own from a cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    total: Sum,
    /// How many entries a source has, and their sum.
    of: BTreeMap<Sym, (usize, Sum)>,
}

impl Sums {
    pub(super) fn add(&mut self, source: Sym, element: &[u8]) {
        let sum = Sum::of_element(element);
        self.total.add(sum);
        let (count, own) = self.of.entry(source).or_default();
        *count += 1;
        own.add(sum);
    }

    pub(super) fn remove(&mut self, source: Sym, element: &[u8]) {
        let sum = Sum::of_element(element);
        self.total.subtract(sum);
        if let Some((count, own)) = self.of.get_mut(&source) {
            *count = count.saturating_sub(1);
            own.subtract(sum);
            if *count == 0 {
                self.of.remove(&source);
            }
        }
    }

    /// What a cursor at the head holds when its peer is this one.
    pub(super) fn held_by(&self, peer: Sym) -> Sum {
        let mut sum = self.total;
        if let Some((_, own)) = self.of.get(&peer).filter(|_| !mutant!(OwnRoutesSummed)) {
            sum.subtract(*own);
        }
        sum
    }
}
