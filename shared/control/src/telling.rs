//! What becomes of the marks of one step: which wait, and of which keys some group hears something else than before. Without
//! the feature `transit` nothing waits, and there is nothing to remember.

#[cfg(feature = "transit")]
use alloc::collections::BTreeSet;
#[cfg(feature = "transit")]
use alloc::vec::Vec;

use catalyst_route_table::RouteKey;

use crate::export::Mark;

/// The marks of one step.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// Keys whose announcements wait.
    #[cfg(feature = "transit")]
    pub(crate) waits: BTreeSet<RouteKey>,
    /// Keys that were told, in their order.
    #[cfg(feature = "transit")]
    pub(crate) tells: Vec<RouteKey>,
}

#[cfg(feature = "transit")]
impl Telling {
    /// Whether a mark waits. What is taken back never does.
    pub(crate) fn waits(&self, mark: &Mark) -> bool {
        mark.announce.is_some() && self.waits.contains(&mark.key)
    }

    /// A group hears something else of this key than before.
    pub(crate) fn tells(&mut self, key: RouteKey) {
        if self.tells.last() != Some(&key) {
            self.tells.push(key);
        }
    }
}

#[cfg(not(feature = "transit"))]
impl Telling {
    pub(crate) fn waits(&self, _: &Mark) -> bool {
        false
    }

    pub(crate) fn tells(&mut self, _: RouteKey) {}
}
