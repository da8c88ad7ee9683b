//! Best path: a pure and total order of candidates.
//!
//! eligible > not long-lived stale > not flapping > higher local_pref (0 while its node is about to stop) > local origin >
//! shorter org_path > lower cost > shorter node_path > lowest neighbour id. A service ranks the winners of its keys by the same order, then by
//! origin id. Weight is not part of it: it shares load among equals.

use core::cmp::Ordering;

use catalyst_wire::{Attrs, Health, WellKnown};

/// What best path looks at, read from the attributes once when the route comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rank {
    /// Policy, validity, health and data path allow its use.
    pub eligible: bool,
    /// Long-lived stale (RFC 9494): any fresh route is better.
    pub stale: bool,
    /// It changed too often of late: any fresh route that did not is better. Not an attribute: whoever keeps the table sets it.
    pub flapping: bool,
    /// Higher is better.
    pub local_pref: u32,
    /// A service of this node.
    pub local: bool,
    /// Shorter is better.
    pub org_len: u8,
    /// Lower is better, compared always.
    pub cost: u32,
    /// Shorter is better.
    pub node_len: u8,
}

impl Rank {
    /// The rank of a route with these attributes and the local_pref that import gave it.
    #[must_use]
    pub fn of(attrs: &Attrs<'_>, local_pref: u32, local: bool) -> Self {
        let short = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        Rank {
            eligible: attrs.health == Health::Up || mutant!(HealthIgnored),
            stale: attrs.well_known.has(WellKnown::STALE) && !mutant!(StaleMarkUnread),
            flapping: false,
            // RFC 8326 section 4.2: last among those that are fresh.
            local_pref: if attrs.well_known.has(WellKnown::GRACEFUL_SHUTDOWN) { 0 } else { local_pref },
            local,
            org_len: short(attrs.org_path.len()),
            cost: attrs.cost,
            node_len: short(attrs.node_path.len()),
        }
    }

    fn compare_cost(&self, other: &Self) -> Ordering {
        let order = self.cost.cmp(&other.cost);
        if mutant!(CostUpside) { order.reverse() } else { order }
    }

    /// Orders two candidates, the better one first, but for the last step: see [`better`].
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        // Swapped where more is better.
        other
            .eligible
            .cmp(&self.eligible)
            .then(self.stale.cmp(&other.stale))
            .then(self.flapping.cmp(&other.flapping))
            .then(other.local_pref.cmp(&self.local_pref))
            .then(other.local.cmp(&self.local))
            .then(self.org_len.cmp(&other.org_len))
            .then(self.compare_cost(other))
            .then(self.node_len.cmp(&other.node_len))
    }
}

/// Orders two candidates of one key with the names of their neighbours, the better one first.
#[must_use]
pub fn better(a: (&Rank, &str), b: (&Rank, &str)) -> Ordering {
    let (low, high) = if mutant!(HighestNeighbour) { (b.1, a.1) } else { (a.1, b.1) };
    a.0.compare(b.0).then_with(|| low.cmp(high))
}
