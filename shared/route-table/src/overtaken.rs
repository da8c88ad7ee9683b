//! Routes whose path leads through what one of its nodes has since given up: they stay in Adj-RIB-In, for their neighbours
//! still announce them, and are nobody's best. Without this, nodes that are linked in many ways try each other's old
//! paths one after the other when a service goes away.

use alloc::vec::Vec;

use catalyst_wire::{Seqno, words};

use crate::store::Route;

/// The newest word of each node in the paths of one key.
pub(crate) struct Newest<'a>(Vec<(&'a str, Seqno)>);

impl<'a> Newest<'a> {
    /// Looks at all of them, eligible or not: that a service is down is news too.
    pub(crate) fn of<A: AsRef<[u8]> + 'a>(candidates: impl Iterator<Item = &'a Route<A>>) -> Self {
        let mut newest: Vec<(&str, Seqno)> = Vec::new();
        for (node, seqno) in candidates.flat_map(|route| words(route.attrs.as_ref())) {
            match newest.iter_mut().find(|(known, other)| *known == node && other.run == seqno.run) {
                Some((_, known)) => known.count = known.count.max(seqno.count),
                None => newest.push((node, seqno)),
            }
        }
        Newest(newest)
    }

    /// Whether one of them is newer than a word of this route.
    pub(crate) fn overtakes<A: AsRef<[u8]>>(&self, route: &Route<A>) -> bool {
        let known = |(node, seqno): (&str, Seqno)| {
            self.0.iter().any(|(known, newest)| *known == node && seqno.is_before(*newest))
        };
        !self.0.is_empty() && words(route.attrs.as_ref()).any(known)
    }
}
