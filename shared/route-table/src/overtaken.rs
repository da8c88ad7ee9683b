//! Routes whose path leads through what one of its nodes has since given up: they stay in Adj-RIB-In, for their neighbours
//! still announce them, and are nobody's best. Without this, nodes that are linked in many ways try each other's old
//! paths one after the other when a service goes away.
//!
//! What was overtaken once stays so until its neighbour announces something else, whether or not whoever brought the news
//! is still heard: else two nodes could turn each other's choice for as long as a message is under way.

use catalyst_wire::words;

use crate::store::Route;

/// Whether a path has an older word of a node than another path has.
pub(crate) fn is_older<A: AsRef<[u8]>>(route: &Route<A>, than: &Route<A>) -> bool {
    let newer = || words(than.attrs.as_ref());
    words(route.attrs.as_ref())
        .any(|(node, seqno)| newer().any(|(other, newest)| other == node && seqno.is_before(newest)))
}
