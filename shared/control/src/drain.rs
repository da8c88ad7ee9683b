//! A node that is about to stop: what it announces is marked, so that neighbours use other ways first (RFC 8326), and the
//! marks go again when it stays.
//!
//! The table is not copied, and no step takes long: the marks go through the export groups as any change does, so many
//! keys a step. What changes meanwhile, and what a new session is told, has the mark anyway.

use catalyst_route_table::{RouteKey, Store};

use crate::core::Core;
use crate::event::SessionId;
use crate::limits::Limits;
use crate::now::Now;

impl<S: Store> Core<S> {
    /// From now on all that is announced is marked, or none of it.
    pub(crate) fn drain_changed(&mut self, draining: bool, now: Now) {
        if self.state.draining == draining {
            return;
        }
        self.state.draining = draining;
        self.marking = Some((None, now.mono));
        self.go_on_marking(now);
    }

    /// One step of the way through the table; the next is due at once, and others come in between.
    pub(crate) fn go_on_marking(&mut self, now: Now) {
        let Some((after, due)) = self.marking else { return };
        if due <= now.mono {
            // Each key is encoded for each group.
            let most = (Limits::MARKED / self.groups.infos().len().max(1)).max(1);
            self.marking = self.mark_some(after, most).map(|last| (Some(last), now.mono));
        }
    }

    /// Marks the next keys. What this node says of them is newer than what others pass on of before.
    fn mark_some(&mut self, after: Option<RouteKey>, most: usize) -> Option<RouteKey> {
        let mut last = after;
        for _ in 0..most {
            let Some((key, _)) = self.state.table.store().best_after(last) else { break };
            self.state.table.touch(key);
            last = Some(key);
        }
        self.rebuild_some(after, None, most)
    }

    /// Whether every neighbour with a session was sent all that this node has to say, as far as its credit lets this be
    /// known: the marks too, when it drains.
    #[must_use]
    pub fn all_told(&self) -> bool {
        let told = |session: SessionId| self.groups.digest(session).is_some();
        let hears = |session: &SessionId| self.groups.has(*session);
        self.marking.is_none() && self.state.peers().filter_map(|peer| peer.session).filter(hears).all(told)
    }
}
