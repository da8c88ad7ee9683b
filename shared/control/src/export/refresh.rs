//! The full table once more, for one cursor (RFC 7313): a walk over the keys beside the journal. The journal goes on
//! meanwhile, so a change waits for no refresh, and what is withdrawn or comes up behind the walk is told by it.

use alloc::vec::Vec;

use catalyst_wire::{HEADER, Limits as WireLimits, Refresh};

use crate::event::SessionId;
use crate::export::entry::{Fill, write};
use crate::export::group::{Group, Waits};
use crate::limits::PIECES;

impl Group {
    /// Starts a refresh for a cursor, unless one is under way.
    pub(crate) fn refresh(&mut self, session: SessionId) {
        if let Some(cursor) = self.cursors.get_mut(&session) {
            cursor.walk.get_or_insert_default();
        }
        self.selective.refresh(session);
    }

    /// The next frame for a cursor, journal and refresh in turns; at most `max` bytes of `buf`.
    /// The second value says whether [`Group::sweep`] is worth a call.
    pub(crate) fn fill(
        &mut self,
        session: SessionId,
        max: usize,
        buf: &mut [u8],
        waits: Waits<'_>,
    ) -> (Fill, bool) {
        let Some(cursor) = self.cursors.get_mut(&session) else {
            return self.fill_selected(session, max, buf, waits);
        };
        // Until END_OF_RIB all of the table is on its way in any case.
        let Some(walk) = cursor.walk.as_mut().filter(|_| cursor.sync.is_none()) else {
            return self.follow(session, max, buf, waits);
        };
        if !walk.begun {
            walk.begun = true;
            return (Fill::Refresh(Refresh::BEGIN), false);
        }
        if core::mem::take(&mut walk.turn) {
            return (self.walk(session, max, buf, waits), false);
        }
        // The buffer is filled anew by the walk when the journal leaves it alone.
        match self.follow(session, max, buf, waits) {
            (Fill::Update(len), sweep) => {
                if let Some(walk) = self.cursors.get_mut(&session).and_then(|c| c.walk.as_mut()) {
                    walk.turn = true;
                }
                (Fill::Update(len), sweep)
            }
            (Fill::Idle, sweep) => (self.walk(session, max, buf, waits), sweep),
            other => other,
        }
    }

    /// The next entries of the walk, or its end.
    fn walk(&mut self, session: SessionId, max: usize, buf: &mut [u8], waits: Waits<'_>) -> Fill {
        let Some(cursor) = self.cursors.get(&session).copied() else { return Fill::Idle };
        let Some(walk) = cursor.walk else { return Fill::Idle };
        let room = max.min(HEADER + WireLimits::FRAME_BODY).min(buf.len());
        let mut used = HEADER + 6;
        let mut after = walk.after;
        let mut announced: Vec<&[u8]> = Vec::new();
        let (mut full, mut held) = (false, false);
        for (key, entry) in self.entries.after(after.as_ref()) {
            // What the journal has yet to tell for the first time is left to it: it would not take it back unheard.
            if !entry.withdrawn && entry.source != cursor.peer && cursor.at >= entry.born {
                held = PIECES && waits(key.service);
                if held {
                    break;
                }
                if used + entry.element.len() > room {
                    full = true;
                    after = if mutant!(RetellSkips) { Some(*key) } else { after };
                    break;
                }
                used += entry.element.len();
                announced.push(&entry.element);
            }
            after = Some(*key);
        }
        if announced.is_empty() {
            if full {
                return Fill::Blocked;
            }
            if held {
                return Fill::Later;
            }
            if let Some(cursor) = self.cursors.get_mut(&session) {
                cursor.walk = None;
            }
            return Fill::Refresh(Refresh::END);
        }
        let Ok(len) = write(&announced, &[], &[], buf) else { return Fill::Blocked };
        if let Some(walk) = self.cursors.get_mut(&session).and_then(|c| c.walk.as_mut()) {
            walk.after = after;
        }
        Fill::Update(len)
    }
}
