//! Cursors of neighbours that want to hear of some services only: not a place in the journal, but the set of keys that
//! they have yet to hear of, bounded by what they want. A change that none of them wants touches none of them.
//!
//! A cursor passes over its keys in their order, round and round. What was there when a pass began is told when it ends:
//! then END_OF_RIB is due, or the end of a refresh.
//!
//! A new list begins with a way through the whole table, in pieces, so that no step takes long. Nothing is told before its
//! end. What changes meanwhile is compared with the new list, and with what the cursor holds.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use catalyst_route_table::{RouteKey, Sym};
use catalyst_wire::{Limits as WireLimits, Reader};

use crate::event::SessionId;
use crate::export::entry::Entry;
use crate::export::interest::{Index, Interest};
use crate::sum::Sum;

/// What is due when a pass is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Nothing may be told before INTEREST has come.
    Interest,
    EndOfRib,
    /// BEGIN, then a pass, then END.
    Begin,
    End,
}

/// One such cursor.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) peer: Sym,
    pub(super) interest: Interest,
    /// What it has yet to hear of.
    pub(super) dirty: BTreeSet<RouteKey>,
    /// What it holds, with the hash of each: its digest is their sum.
    pub(super) held: BTreeMap<RouteKey, Sum>,
    pub(super) sum: Sum,
    /// How far the pass is.
    pub(super) after: Option<RouteKey>,
    pub(super) due: Due,
    /// END_OF_RIB has to go out before the refresh that is wanted.
    pub(super) again: bool,
    /// The way through the table for a new list is not at its end; after which key it goes on.
    pub(super) look: Option<Option<RouteKey>>,
}

/// All such cursors of a group.
#[derive(Debug, Default)]
pub(super) struct Selective {
    pub(super) cursors: BTreeMap<SessionId, Selected>,
    index: Index,
    /// How many cursors have yet to hear of a key: it must not be forgotten.
    pending: BTreeMap<RouteKey, usize>,
    /// Cursors that have something new to hear of.
    touched: BTreeSet<SessionId>,
    /// Cursors with a new list, on their way through the table.
    looking: BTreeSet<SessionId>,
}

/// The service of an encoded announcement or withdrawal.
fn service(element: &[u8]) -> &str {
    let body = Reader::new(element).bytes(WireLimits::ENTRY).unwrap_or_default();
    Reader::new(body).text(WireLimits::ENTRY).unwrap_or_default()
}

impl Selected {
    pub(super) fn waiting(peer: Sym) -> Self {
        Selected {
            peer,
            interest: Interest::default(),
            dirty: BTreeSet::new(),
            held: BTreeMap::new(),
            sum: Sum::default(),
            after: None,
            due: Due::Interest,
            again: false,
            look: None,
        }
    }

    pub(super) fn wants(&self, entry: &Entry) -> bool {
        !entry.withdrawn && entry.source != self.peer && self.interest.matches(service(&entry.element))
    }

    pub(super) fn hold(&mut self, key: RouteKey, sum: Option<Sum>) {
        let old = match sum {
            Some(sum) => self.held.insert(key, sum),
            None => self.held.remove(&key),
        };
        self.sum.subtract(old.unwrap_or_default());
        self.sum.add(sum.unwrap_or_default());
    }
}

impl Selective {
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.cursors.contains_key(&session)
    }

    pub(super) fn is_pending(&self, key: RouteKey) -> bool {
        self.pending.contains_key(&key)
    }

    /// Whether a cursor has yet to hear of something.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What a cursor holds.
    pub(super) fn held(&self, session: SessionId) -> Option<impl Iterator<Item = RouteKey>> {
        self.cursors.get(&session).map(|cursor| cursor.held.keys().copied())
    }

    /// A cursor that has yet to hear of a key.
    pub(super) fn behind(&self, key: RouteKey) -> Option<SessionId> {
        self.cursors.iter().find(|(_, c)| c.dirty.contains(&key)).map(|(s, _)| *s)
    }

    /// The cursors with something new to hear of since this was asked before.
    pub(super) fn take_touched(&mut self) -> BTreeSet<SessionId> {
        core::mem::take(&mut self.touched)
    }

    fn mark(&mut self, session: SessionId, key: RouteKey) {
        if let Some(cursor) = self.cursors.get_mut(&session)
            && cursor.dirty.insert(key)
        {
            *self.pending.entry(key).or_default() += 1;
        }
        self.touched.insert(session);
    }

    /// A cursor is up to date with a key.
    pub(super) fn settle(&mut self, key: RouteKey) {
        if let Some(count) = self.pending.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.pending.remove(&key);
            }
        }
    }

    /// A key changed: whoever wants it has to hear of it.
    pub(super) fn changed(&mut self, key: RouteKey, element: &[u8]) {
        if self.cursors.is_empty() {
            return;
        }
        let service = service(element);
        for session in self.index.sessions(service) {
            if self.cursors.get(&session).is_some_and(|c| c.interest.matches(service)) {
                self.mark(session, key);
            }
        }
        if !self.looking.is_empty() {
            // Their lists name it no longer, perhaps, but they were not told so.
            let holds = |s: &SessionId| self.cursors.get(s).is_some_and(|c| c.held.contains_key(&key));
            let sessions: Vec<SessionId> = self.looking.iter().copied().filter(holds).collect();
            sessions.into_iter().for_each(|session| self.mark(session, key));
        }
    }

    /// Another list: the way through the table begins. What the cursor has yet to hear of it looks at once more, when its
    /// turn comes.
    pub(super) fn select(&mut self, session: SessionId, interest: Interest) {
        let Some(cursor) = self.cursors.get_mut(&session) else { return };
        self.index.remove(session, &cursor.interest);
        self.index.insert(session, &interest);
        if cursor.due == Due::Interest {
            cursor.due = Due::EndOfRib;
        }
        (cursor.interest, cursor.after, cursor.look) = (interest, None, Some(None));
        self.looking.insert(session);
    }

    /// A piece of the way through the table: where a cursor holds what it does not want, or the other way round, and after
    /// which key there is more.
    pub(super) fn looked(&mut self, session: SessionId, news: Vec<RouteKey>, rest: Option<RouteKey>) {
        news.into_iter().for_each(|key| self.mark(session, key));
        if let Some(cursor) = self.cursors.get_mut(&session) {
            cursor.look = rest.map(Some);
        }
        if rest.is_none() {
            self.looking.remove(&session);
        }
    }

    pub(super) fn insert(&mut self, session: SessionId, cursor: Selected) {
        self.index.insert(session, &cursor.interest);
        if cursor.look.is_some() {
            self.looking.insert(session);
        }
        cursor.dirty.iter().for_each(|key| *self.pending.entry(*key).or_default() += 1);
        self.cursors.insert(session, cursor);
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Selected> {
        let cursor = self.cursors.remove(&session)?;
        self.index.remove(session, &cursor.interest);
        self.touched.remove(&session);
        self.looking.remove(&session);
        cursor.dirty.iter().for_each(|key| self.settle(*key));
        Some(cursor)
    }

    /// A cursor leaves. Says whose it was.
    pub(super) fn leave(&mut self, session: SessionId) -> Option<Sym> {
        self.remove(session).map(|cursor| cursor.peer)
    }

    /// Only this cursor of another group, with all that it holds.
    pub(super) fn copy_of(other: &Selective, session: SessionId) -> Option<(Self, Sym)> {
        let cursor = other.cursors.get(&session)?.clone();
        let (mut copy, peer) = (Selective::default(), cursor.peer);
        copy.insert(session, cursor);
        Some((copy, peer))
    }

    pub(super) fn digest(&self, session: SessionId) -> Option<Sum> {
        let cursor = self.cursors.get(&session)?;
        let told = cursor.due == Due::Nothing && cursor.look.is_none() && cursor.dirty.is_empty();
        told.then_some(cursor.sum)
    }

    /// Starts a refresh, unless all of what is wanted is on its way in any case.
    pub(super) fn refresh(&mut self, session: SessionId) {
        if let Some(cursor) = self.cursors.get_mut(&session).filter(|c| c.due == Due::Nothing) {
            cursor.due = Due::Begin;
        }
    }

    /// BEGIN was said: all that a cursor holds is to be told again, in one pass.
    pub(super) fn begin(&mut self, session: SessionId) {
        let Some(cursor) = self.cursors.get_mut(&session) else { return };
        (cursor.due, cursor.after, cursor.sum) = (Due::End, None, Sum::default());
        let mut held = core::mem::take(&mut cursor.held);
        held.values_mut().for_each(|sum| *sum = Sum::default());
        let keys: Vec<RouteKey> = held.keys().copied().collect();
        cursor.held = held;
        keys.into_iter().for_each(|key| self.mark(session, key));
    }
}
