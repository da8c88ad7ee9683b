//! The order of arrival does not matter.

use std::vec::Vec;

use proptest::prelude::*;

use super::model::{Op, Pair, ROOMY, Roomy, op};
use super::reference::Capacity;
use crate::{Heap, Limits, Store};

/// What the table says in the end, if the routes that are left came in this order.
fn settled<S: Store>(store: S, capacity: Capacity, ops: &[Op]) -> Pair<S> {
    let mut pair = Pair::new(store, capacity);
    ops.iter().for_each(|op| pair.run(op));
    pair
}

/// One announcement for each slot that the operations leave filled.
fn last_words(ops: &[Op]) -> Vec<Op> {
    let mut left: Vec<Op> = Vec::new();
    for op in ops {
        if let Op::Announce { neighbour, service, origin, .. } = op {
            let slot = (*neighbour, *service, *origin);
            left.retain(|o| !matches!(o, Op::Announce { neighbour, service, origin, .. } if (*neighbour, *service, *origin) == slot));
            left.push(op.clone());
        }
    }
    left
}

proptest! {
    #[test]
    fn any_order_of_arrival_leads_to_the_same_bests(
        ops in prop::collection::vec(op(), 1..80),
        seed in any::<prop::sample::Index>(),
        turns in 0usize..40,
    ) {
        let mut other = last_words(&ops);
        let announcements = other.clone();
        // Two different orders of the same set.
        other.reverse();
        if !other.is_empty() {
            let by = seed.index(other.len());
            other.rotate_left(by);
            let last = other.len() - 1;
            other.swap(turns % (last + 1), last);
        }
        let room = Capacity { routes: 64, names: 16, bytes: usize::MAX, attrs: 8 };
        let limits = Limits { routes: 64, names: 16, attrs: 8 };
        let mut one = settled(Heap::new(limits), room, &announcements);
        let mut two = settled(Roomy::new(64), ROOMY, &other);
        one.check();
        two.check();
        // Each agrees with its own reference, so it is enough that these agree.
        prop_assert_eq!(&one.reference.routes, &two.reference.routes);
        for key in one.reference.keys() {
            prop_assert_eq!(one.reference.bests(&key), two.reference.bests(&key));
        }
    }
}
