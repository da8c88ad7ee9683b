//! What goes out: credit, turns, and which frame is next.

use alloc::vec::Vec;

use catalyst_route_table::Store;
use catalyst_wire::{HEADER, Limits as WireLimits, Refresh, Refused, small};

use crate::core::Core;
use crate::event::SessionId;
use crate::export::Fill;

impl<S: Store> Core<S> {
    pub(crate) fn writable(&mut self, session: SessionId, bytes: usize) {
        if let Some(link) = self.links.get_mut(&session).filter(|_| bytes > 0) {
            link.credit = link.credit.saturating_add(bytes);
            link.session.moved();
            self.mark_ready(session);
        }
    }

    /// Puts a connection into the row of those that have something to send.
    pub(crate) fn mark_ready(&mut self, session: SessionId) {
        if let Some(link) = self.links.get_mut(&session)
            && !link.listed
        {
            link.listed = true;
            self.ready.push_back(session);
        }
    }

    /// One neighbour with a new INTEREST goes one step on: the step after it is due at once, and others come in between.
    pub(crate) fn go_on_looking(&mut self) {
        if let Some(session) = self.looking.pop_front() {
            self.mark_ready(session);
        }
    }

    /// Whether a neighbour waits for its turn: its new INTEREST is on its way through the table, or that table is.
    #[must_use]
    pub fn is_looking(&self) -> bool {
        !self.looking.is_empty()
    }

    /// The next frame to send, and on which connection. Connections take turns; each gets at most its credit.
    pub fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)> {
        while let Some(session) = self.ready.pop_front() {
            let Some(link) = self.links.get_mut(&session) else { continue };
            link.listed = false;
            if let Some(frame) = self.next_frame(session) {
                self.mark_ready(session);
                return Some((session, frame));
            }
        }
        self.state.table.collect();
        None
    }

    /// What one connection sends next: frames that wait, then TRUST, then REFUSED, then routes, then END_OF_RIB.
    fn next_frame(&mut self, session: SessionId) -> Option<Vec<u8>> {
        if let Some(link) = self.links.get_mut(&session)
            && link.trust_due
            && !link.queued()
        {
            link.trust_due = false;
            link.queue(&self.trust);
        }
        if self.links.get(&session).is_some_and(|l| l.interest_due.is_some() && !l.queued()) {
            self.tell_interest(session);
        }
        if let Some(link) = self.links.get_mut(&session)
            && link.refresh_due
            && !link.queued()
        {
            link.refresh_due = false;
            let mut buf = [0u8; 16];
            if let Ok(frame) = Refresh::REQUEST.write(&mut buf) {
                link.queue(frame);
            }
        }
        if self.links.get(&session).is_some_and(|l| l.refused_due && !l.queued()) {
            self.tell_refused(session);
        }
        let link = self.links.get_mut(&session)?;
        if link.queued() {
            return link.next();
        }
        if self.looking.contains(&session) {
            return None;
        }
        let judging = self.state.judging.as_ref().filter(|_| !mutant!(OldRulesTold));
        let waits = |service| judging.is_some_and(|judging| judging.awaits(service));
        let (credit, table) = (link.credit, &mut self.state.table);
        match self.groups.fill(session, credit, &mut self.scratch, table, &waits) {
            Fill::Update(len) => {
                link.credit = link.credit.saturating_sub(len);
                self.scratch.get(..len).map(<[u8]>::to_vec)
            }
            Fill::EndOfRib => {
                self.end_of_rib(session);
                self.links.get_mut(&session)?.next()
            }
            Fill::Refresh(refresh) => {
                let mut buf = [0u8; 16];
                if let Ok(frame) = refresh.write(&mut buf) {
                    link.queue(frame);
                }
                link.next()
            }
            Fill::Blocked => {
                link.stuck = true;
                None
            }
            Fill::Later => {
                link.stuck = false;
                self.looking.push_back(session);
                None
            }
            Fill::Idle => {
                link.stuck = false;
                None
            }
        }
    }

    /// Tells a peer how many of its routes are refused. The number is that of the moment when it leaves.
    fn tell_refused(&mut self, session: SessionId) {
        let Some(link) = self.links.get_mut(&session) else { return };
        link.refused_due = false;
        let Some(peer) = self.state.peers.get_mut(&link.peer) else { return };
        peer.refused.take_moved();
        let count = peer.refused.count();
        link.refused_told = count;
        let mut buf = [0u8; HEADER + 16 + 2 * WireLimits::REASON];
        let reason = peer.refused.why().unwrap_or_default();
        let names: Vec<&str> = peer.refused.names().collect();
        let services = &*names.join(" ");
        if let Ok(frame) = (Refused { count, reason, services }).write(&mut buf) {
            link.queue(frame);
        }
    }

    /// Says that the table is complete.
    pub(crate) fn end_of_rib(&mut self, session: SessionId) {
        let mut buf = [0u8; 16];
        if let (Some(link), Ok(frame)) = (self.links.get_mut(&session), small::write_end_of_rib(&mut buf)) {
            link.queue(frame);
        }
    }
}
