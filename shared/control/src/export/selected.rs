//! What selective cursors of a group are told, and when.

use alloc::vec::Vec;
use core::ops::Bound;

use catalyst_route_table::RouteKey;
use catalyst_wire::{HEADER, Limits as WireLimits, Refresh};

use crate::event::SessionId;
use crate::export::entry::{Fill, write};
use crate::export::group::{Cursor, Group};
use crate::export::interest::Interest;
use crate::export::selective::{Due, Selected};
use crate::export::walk::Walk;
use crate::sum::Sum;

impl Group {
    /// What a selective cursor holds.
    pub(crate) fn held(&self, session: SessionId) -> Option<impl Iterator<Item = RouteKey>> {
        self.selective.held(session)
    }

    /// Whether a cursor is to hear of this service.
    pub(crate) fn is_wanted(&self, session: SessionId, service: &str) -> bool {
        self.selective.cursors.get(&session).is_none_or(|cursor| cursor.interest.matches(service))
    }

    /// A cursor that has just joined must hear nothing before its INTEREST has come.
    pub(crate) fn await_interest(&mut self, session: SessionId) {
        if let Some(cursor) = self.cursors.remove(&session) {
            self.selective.insert(session, Selected::waiting(cursor.peer));
        }
    }

    /// A cursor wants to hear of this from now on; of everything without a list.
    pub(crate) fn select(&mut self, session: SessionId, interest: Option<Interest>) {
        let Some(interest) = interest else { return self.select_all(session) };
        let mut cursor = match (self.selective.remove(session), self.cursors.remove(&session)) {
            (Some(cursor), _) => cursor,
            // It holds what was told until now: the end of a refresh takes away what it does not want.
            (None, Some(full)) => {
                let (due, again) =
                    if full.sync.is_some() { (Due::EndOfRib, true) } else { (Due::Begin, false) };
                Selected { due, again, ..Selected::waiting(full.peer) }
            }
            (None, None) => return,
        };
        if cursor.due == Due::Interest {
            cursor.due = Due::EndOfRib;
        }
        cursor.interest = interest;
        cursor.after = None;
        // What it holds and does not want is withdrawn; what it wants and does not hold is told.
        let news =
            self.entries.iter().filter(|(key, entry)| cursor.wants(entry) != cursor.held.contains_key(key));
        let news: Vec<RouteKey> = news.map(|(key, _)| *key).collect();
        cursor.dirty.extend(news);
        self.selective.insert(session, cursor);
    }

    fn select_all(&mut self, session: SessionId) {
        let Some(cursor) = self.selective.remove(session) else { return };
        let fresh = matches!(cursor.due, Due::Interest | Due::EndOfRib);
        // What it holds already it hears again: who wants everything is told so by a walk.
        let walk = (cursor.due != Due::Interest).then(Walk::default);
        let at = if fresh { 0 } else { self.head };
        self.cursors.insert(session, Cursor { peer: cursor.peer, at, sync: None, walk });
        if fresh {
            self.sync(session);
        }
    }

    /// The next frame for a selective cursor. The second value says whether [`Group::sweep`] is worth a call.
    pub(super) fn fill_selected(&mut self, session: SessionId, max: usize, buf: &mut [u8]) -> (Fill, bool) {
        match self.selective.cursors.get(&session).map(|cursor| cursor.due) {
            None | Some(Due::Interest) => return (Fill::Idle, false),
            Some(Due::Begin) => {
                self.selective.begin(session);
                return (Fill::Refresh(Refresh::BEGIN), false);
            }
            Some(Due::Nothing | Due::EndOfRib | Due::End) => {}
        }
        let room = max.min(HEADER + WireLimits::FRAME_BODY).min(buf.len());
        let mut sweep = false;
        loop {
            let Some(cursor) = self.selective.cursors.get_mut(&session) else { return (Fill::Idle, sweep) };
            let mut used = HEADER + 6;
            let mut passed: Vec<(RouteKey, Option<Sum>)> = Vec::new();
            let (mut announced, mut withdrawn): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
            let mut full = false;
            let low = cursor.after.map_or(Bound::Unbounded, Bound::Excluded);
            for key in cursor.dirty.range((low, Bound::Unbounded)) {
                let entry = self.entries.get(key);
                let element = entry.map_or(&[][..], |entry| &entry.element);
                let sum = entry.filter(|entry| cursor.wants(entry)).map(|_| Sum::of_element(element));
                if sum.as_ref() != cursor.held.get(key) {
                    if used + element.len() > room {
                        full = true;
                        break;
                    }
                    used += element.len();
                    if sum.is_some() { announced.push(element) } else { withdrawn.push(element) }
                }
                passed.push((*key, sum));
            }
            let news = !announced.is_empty() || !withdrawn.is_empty();
            let written = if news { write(&announced, &withdrawn, buf) } else { Ok(0) };
            let Ok(len) = written else { return (Fill::Blocked, sweep) };
            for (key, sum) in &passed {
                cursor.hold(*key, *sum);
                cursor.dirty.remove(key);
                cursor.after = Some(*key);
            }
            passed.iter().for_each(|(key, _)| self.selective.settle(*key));
            sweep |= !passed.is_empty();
            match (len, full) {
                (0, true) => return (Fill::Blocked, sweep),
                (0, false) => {}
                (len, _) => return (Fill::Update(len), sweep),
            }
            let Some(cursor) = self.selective.cursors.get_mut(&session) else { return (Fill::Idle, sweep) };
            // The pass is over; what came up behind it is told in the next.
            cursor.after = None;
            match cursor.due {
                Due::EndOfRib => {
                    cursor.due = if cursor.again { Due::Begin } else { Due::Nothing };
                    cursor.again = false;
                    return (Fill::EndOfRib, sweep);
                }
                Due::End => {
                    cursor.due = Due::Nothing;
                    return (Fill::Refresh(Refresh::END), sweep);
                }
                _ if cursor.dirty.is_empty() => return (Fill::Idle, sweep),
                _ => {}
            }
        }
    }
}
