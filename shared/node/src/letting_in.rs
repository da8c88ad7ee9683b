//! The engine's part of [`crate::granting`]: which frames wait, and what sends them.

use std::time::Instant;

use bytes::Bytes;
use catalyst_control::SessionId;
use catalyst_route_table::Store;

use crate::engine::Engine;

impl<S: Store> Engine<S> {
    /// Behind a flush: neighbours whose flows the program carries, and which it is to let use more, wait for it.
    pub(crate) fn wait_for_grants(&mut self) {
        let fresh = self.granting.fresh();
        let state = self.core.state();
        let carried = fresh.iter().filter(|peer| self.tables.mesh().carries(peer));
        let sessions: Vec<SessionId> = carried.filter_map(|peer| state.peer(peer)?.session).collect();
        if !sessions.is_empty() {
            self.granting.flushed(sessions.into_iter(), Instant::now());
        }
    }

    /// Sends a frame, or has it wait.
    pub(crate) fn pass(&mut self, session: SessionId, frame: Bytes) {
        if let Some(frame) = self.granting.pass(session, frame) {
            self.send(session, frame);
        }
    }

    /// The program has all that was flushed up to `told`.
    pub(crate) fn has_grants(&mut self, told: u64) {
        self.granting.answered();
        self.grants_known(told);
    }

    /// Those go on that have waited for long enough.
    pub(crate) fn grants_due(&mut self) {
        if self.granting.due().is_some_and(|due| due <= Instant::now()) {
            self.grants_known(0);
        }
    }

    fn grants_known(&mut self, told: u64) {
        for (session, frames) in self.granting.known(told, Instant::now()) {
            frames.into_iter().for_each(|frame| self.send(session, frame));
        }
    }

    /// Before a session is closed: what it has to say.
    pub(crate) fn say_all(&mut self, session: SessionId) {
        for frame in self.granting.end(session) {
            self.send(session, frame);
        }
    }

    /// A session is over.
    pub(crate) fn forget_frames(&mut self, session: SessionId) {
        self.granting.end(session);
    }
}
