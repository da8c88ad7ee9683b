//! What selective cursors of a group are told, and when.

use alloc::vec::Vec;
use core::ops::Bound;

use catalyst_route_table::{RouteKey, Sym};
use catalyst_wire::{HEADER, Limits as WireLimits, Refresh};

use crate::event::SessionId;
use crate::export::entry::{Fill, write};
use crate::export::group::{Cursor, Group, START, Waits};
use crate::export::interest::{Asked, Interest};
use crate::export::selective::{Due, Selected};
use crate::export::walk::Walk;
use crate::limits::{Limits, PIECES};
use crate::sum::Sum;

impl Group {
    /// What a selective cursor holds.
    pub(crate) fn held(&self, session: SessionId) -> Option<impl Iterator<Item = RouteKey>> {
        self.selective.held(session)
    }

    /// Whether a selective cursor holds this key.
    pub(crate) fn holds(&self, session: SessionId, key: RouteKey) -> Option<bool> {
        self.selective.cursors.get(&session).map(|cursor| cursor.held.contains_key(&key))
    }

    /// How much a selective cursor holds.
    pub(crate) fn held_count(&self, session: SessionId) -> Option<usize> {
        self.selective.cursors.get(&session).map(|cursor| cursor.held.len())
    }

    /// Whether a cursor is to hear of this service.
    pub(crate) fn is_wanted(&self, session: SessionId, service: &str) -> bool {
        self.selective.cursors.get(&session).is_none_or(|cursor| cursor.interest.matches(service))
    }

    /// Whether the INTEREST of a cursor has yet to come.
    #[cfg(feature = "transit")]
    pub(crate) fn awaits_interest(&self, session: SessionId) -> bool {
        self.selective.cursors.get(&session).is_some_and(|cursor| cursor.due == Due::Interest)
    }

    /// What a cursor wants to hear of; everything without a list.
    pub(crate) fn interest(&self, session: SessionId) -> Option<Asked> {
        let cursor = self.selective.cursors.get(&session)?;
        Some(if cursor.due == Due::Interest { Asked::Awaited } else { Asked::These(cursor.interest.texts()) })
    }

    /// A cursor that has just joined must hear nothing before its INTEREST has come.
    pub(crate) fn await_interest(&mut self, session: SessionId) {
        if let Some(cursor) = self.cursors.remove(&session) {
            self.selective.insert(session, Selected::waiting(cursor.peer));
        }
    }

    /// A cursor wants to hear of this from now on; of everything without a list. `services`: those that the list names,
    /// where it has names alone.
    pub(crate) fn select(
        &mut self,
        session: SessionId,
        interest: Option<Interest>,
        services: Option<&[Sym]>,
    ) {
        let Some(interest) = interest else { return self.select_all(session) };
        if let Some(full) = self.cursors.remove(&session) {
            // It holds what was told until now: the end of a refresh takes away what it does not want.
            let (due, again) = if full.sync.is_some() { (Due::EndOfRib, true) } else { (Due::Begin, false) };
            self.selective.insert(session, Selected { due, again, ..Selected::waiting(full.peer) });
        }
        self.selective.select(session, interest);
        if let Some(services) = services {
            self.look_up(session, services);
        }
    }

    /// Names are looked up: a way through the whole table, for each board that comes back, would cost a restart of a large
    /// node minutes. It begins all the same where these services have more keys than one piece of it.
    fn look_up(&mut self, session: SessionId, services: &[Sym]) {
        let Some(cursor) = self.selective.cursors.get(&session) else { return };
        let of = |service: &Sym| {
            let (low, high) = RouteKey::range(*service);
            self.entries.from(&low).map(|(key, _)| *key).take_while(move |key| *key <= high)
        };
        let keys = services.iter().flat_map(of).chain(cursor.held.keys().copied());
        let mut keys: Vec<RouteKey> = keys.take(Limits::LOOKED + 1).collect();
        if keys.len() <= Limits::LOOKED {
            let wants = |key: &RouteKey| self.entries.get(key).is_some_and(|entry| cursor.wants(entry));
            keys.retain(|key| wants(key) != cursor.held.contains_key(key));
            self.selective.looked(session, keys, None);
        }
    }

    /// A piece of the way through the table for a new list: what a cursor holds and does not want is to be withdrawn, and
    /// what it wants and does not hold to be told. Whether it is at its end.
    fn look(&mut self, session: SessionId) -> bool {
        let Some(cursor) = self.selective.cursors.get(&session) else { return true };
        let Some(mut last) = cursor.look else { return true };
        let mut news = Vec::new();
        let mut entries = self.entries.after(last.as_ref());
        for (key, entry) in entries.by_ref().take(Limits::LOOKED) {
            last = Some(*key);
            if cursor.wants(entry) != cursor.held.contains_key(key) {
                news.push(*key);
            }
        }
        let more = entries.next().is_some();
        drop(entries);
        self.selective.looked(session, news, last.filter(|_| more));
        !more
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
    pub(super) fn fill_selected(
        &mut self,
        session: SessionId,
        max: usize,
        buf: &mut [u8],
        waits: Waits<'_>,
    ) -> (Fill, bool) {
        if !self.look(session) {
            return (Fill::Later, false);
        }
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
            let mut used = START;
            let mut passed: Vec<(RouteKey, Option<Sum>)> = Vec::new();
            let (mut announced, mut withdrawn): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
            let mut told: Vec<&[u8]> = Vec::new();
            let (mut full, mut held) = (false, false);
            let low = cursor.after.map_or(Bound::Unbounded, Bound::Excluded);
            for key in cursor.dirty.range((low, Bound::Unbounded)) {
                let entry = self.entries.get(key);
                let element = entry.map_or(&[][..], |entry| &entry.element);
                let sum = entry.filter(|entry| cursor.wants(entry)).map(|_| Sum::of_element(element));
                if sum.as_ref() != cursor.held.get(key) {
                    held = PIECES && sum.is_some() && waits(key.service);
                    if held {
                        break;
                    }
                    let most = room.saturating_sub(START);
                    let version = entry.map_or(0, |entry| entry.version);
                    let (news, needed) = self.told.beside(version, element.len(), most);
                    if used + needed > room {
                        full = true;
                        break;
                    }
                    used += needed;
                    told.extend(news.iter().map(|news| &**news));
                    if sum.is_some() { announced.push(element) } else { withdrawn.push(element) }
                }
                passed.push((*key, sum));
            }
            let news = !announced.is_empty() || !withdrawn.is_empty();
            let written = if news { write(&announced, &withdrawn, &told, buf) } else { Ok(0) };
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
                (0, false) if held => return (Fill::Later, sweep),
                (0, false) => {}
                (len, _) => return (Fill::Update(len), sweep),
            }
            let Some(cursor) = self.selective.cursors.get_mut(&session) else { return (Fill::Idle, sweep) };
            // The pass is over; what came up behind it is told in the next.
            cursor.after = None;
            match cursor.due {
                // While the table is not made there is more to come.
                Due::EndOfRib if !PIECES || !self.incomplete => {
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
