//! INTEREST, both ways: what this node wants to hear of, and what its neighbours do.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_peering::Failure;
use catalyst_policy::Relation;
use catalyst_route_table::Store;
use catalyst_wire::{Capabilities, FrameError, HEADER, Limits as WireLimits};

use crate::core::Core;
use crate::effect::Notice;
use crate::event::SessionId;
use crate::export::{Interest, is_all};

impl<S: Store> Core<S> {
    /// What OPEN says that this node can do.
    pub(crate) fn capabilities(&self) -> u32 {
        let first = if self.state.interest.is_some() { Capabilities::INTERESTED } else { 0 };
        Capabilities::REFRESH | Capabilities::INTEREST | first
    }

    /// This node wants to hear of something else from now on. Sessions stay.
    pub(crate) fn interest_changed(&mut self, patterns: Option<&[String]>) {
        let list = patterns.map(|patterns| {
            let (mut bytes, mut stars) = (0, 0);
            let fits = |pattern: &&String| {
                bytes += pattern.len();
                let star = pattern.contains('*');
                stars += usize::from(star);
                bytes <= WireLimits::INTEREST_BYTES && !(star && stars > WireLimits::INTEREST_STARS)
            };
            patterns.iter().filter(fits).take(WireLimits::INTEREST).cloned().collect::<Vec<String>>()
        });
        let asked = patterns.map_or(0, <[String]>::len);
        let left_out = asked.saturating_sub(list.as_ref().map_or(0, Vec::len));
        if left_out > 0 {
            self.notice(Notice::InterestCut(left_out));
        }
        if self.state.interest == list {
            return;
        }
        self.state.interest = list;
        let sessions: Vec<SessionId> = self.state.by_session.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.tell_from_now(session));
    }

    /// A session is established: INTEREST goes first, if there is any, or if OPEN promised one.
    pub(crate) fn begin_interest(&mut self, session: SessionId) {
        let Some(link) = self.links.get(&session) else { return };
        let promised = link.session.terms().capabilities & Capabilities::INTERESTED != 0;
        if promised || self.state.interest.is_some() {
            self.tell_from_now(session);
        }
    }

    /// INTEREST is due, from its first pattern, to a peer that reads it.
    fn tell_from_now(&mut self, session: SessionId) {
        let Some(link) = self.links.get_mut(&session) else { return };
        let able = link
            .session
            .established()
            .is_some_and(|running| running.agreed.capabilities & Capabilities::INTEREST != 0);
        if able {
            if link.interest_due.is_some_and(|from| from > 0) {
                // The list that was under way ends here.
                let mut buf = [0u8; 16];
                let none = Some(core::iter::empty::<&str>());
                if let Ok((frame, _)) = catalyst_wire::Interest::write(none, &mut buf) {
                    link.queue(frame);
                }
            }
            link.interest_due = Some(0);
            self.mark_ready(session);
        }
    }

    /// Queues the next frame of the list.
    pub(crate) fn tell_interest(&mut self, session: SessionId) {
        let Some(link) = self.links.get_mut(&session) else { return };
        let Some(from) = link.interest_due.take() else { return };
        let mut buf = [0u8; HEADER + WireLimits::FRAME_BODY];
        let list = self.state.interest.as_ref();
        let texts = list.map(|list| list.iter().skip(from).map(String::as_str));
        if let Ok((frame, fit)) = catalyst_wire::Interest::write(texts, &mut buf) {
            link.queue(frame);
            let end = from.saturating_add(fit);
            link.interest_due = list.filter(|list| end < list.len()).map(|_| end);
        }
    }

    /// A peer says what it wants to hear of.
    ///
    /// # Errors
    /// The failure with which the session ends, when the list is too long.
    pub(crate) fn interest_came(
        &mut self,
        session: SessionId,
        part: &catalyst_wire::Interest<'_>,
    ) -> Result<(), Failure> {
        let Some(link) = self.links.get_mut(&session) else { return Ok(()) };
        link.interest.extend(part.patterns().map(ToString::to_string));
        let bytes: usize = link.interest.iter().map(String::len).sum();
        let stars = link.interest.iter().filter(|pattern| pattern.contains('*')).count();
        if link.interest.len() > WireLimits::INTEREST
            || bytes > WireLimits::INTEREST_BYTES
            || stars > WireLimits::INTEREST_STARS
        {
            return Err(Failure::Malformed(FrameError::Value));
        }
        if part.more {
            return Ok(());
        }
        let patterns = core::mem::take(&mut link.interest);
        // A table of what is held, for who wants all of it, would cost memory and save nothing.
        let all = part.all || patterns.iter().any(|pattern| is_all(pattern));
        let interest = (!all).then(|| Interest::new(&patterns));
        self.groups.select(session, interest, &mut self.state.table);
        // What is withheld may be just what it wants.
        let inside = self.state.peer_of(session).is_some_and(|p| p.relation == Some(Relation::Internal));
        if inside && !mutant!(NewInterestWaits) {
            self.end_withholding();
        }
        self.mark_ready(session);
        Ok(())
    }
}
