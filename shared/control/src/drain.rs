//! A node that is about to stop: what it announces is marked, so that neighbours use other ways first (RFC 8326), and the
//! marks go again when it stays.
//!
//! The table is not copied, and no step takes long: the marks go through the export groups as any change does, in a walk
//! (`walks.rs`). What changes meanwhile, and what a new session is told, has the mark anyway.

use catalyst_route_table::Store;

use crate::core::Core;
use crate::event::SessionId;

impl<S: Store> Core<S> {
    /// From now on all that is announced is marked, or none of it.
    pub(crate) fn drain_changed(&mut self, draining: bool) {
        if self.state.draining != draining {
            self.state.draining = draining;
            self.walk_for_marks();
        }
    }

    /// Whether every neighbour with a session was sent all that this node has to say, as far as its credit lets this be
    /// known: the marks too, when it drains.
    #[must_use]
    pub fn all_told(&self) -> bool {
        let told = |session: SessionId| self.groups.digest(session).is_some();
        let hears = |session: &SessionId| self.groups.has(*session);
        let nothing_waits = self.walk.is_none() && self.paused().next().is_none();
        nothing_waits && self.state.peers().filter_map(|peer| peer.session).filter(hears).all(told)
    }
}
