//! One export group: table, journal, cursors.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use catalyst_names::{NodeName, OrgId};
use catalyst_policy::{Digest, Relation};
use catalyst_route_table::{DenseMap, RouteKey, Sym};
use catalyst_wire::{HEADER, Limits as WireLimits};

use crate::event::SessionId;
#[cfg(feature = "transit")]
use crate::export::crowd::Crowds;
use crate::export::entry::{Entry, Fill, alike, key_element, write};
use crate::export::selective::Selective;
use crate::export::sums::Sums;
use crate::export::told::Told;
use crate::export::walk::Walk;
use crate::limits::PIECES;
use crate::news::News;
use crate::sum::Sum;

/// What the peers of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// Nodes of our own organisation.
    Internal,
    /// Nodes of one other organisation under one agreement.
    External {
        /// The organisation.
        org: OrgId,
        /// What it is to us.
        relation: Relation,
        /// The agreement.
        agreement: Digest,
        /// The one node, where an export rule names it and not its whole organisation.
        node: Option<NodeName>,
    },
}

/// Until END_OF_RIB is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sync {
    until: u64,
    /// What changed during the first pass went to the end of the journal; a second pass takes it along. There is
    /// no third, or a key that changes all the time would put END_OF_RIB off for ever.
    second: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) peer: Sym,
    pub(super) at: u64,
    pub(super) sync: Option<Sync>,
    /// A refresh under way.
    pub(super) walk: Option<Walk>,
}

/// Whether a service stands under rules that are not those of now: what was announced under them is told to nobody any
/// more who has not heard it.
pub(crate) type Waits<'a> = &'a dyn Fn(Sym) -> bool;

/// Hardly an element is shorter, in bytes.
const SHORT: usize = 32;

/// What a frame needs for itself: the lengths of its regions, three bytes each.
pub(super) const START: usize = HEADER + 9;

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) kind: GroupKind,
    pub(super) head: u64,
    pub(super) entries: DenseMap<RouteKey, Entry>,
    journal: DenseMap<u64, RouteKey>,
    tombstones: BTreeSet<u64>,
    /// The most keys that were announced at one time since there were last no tombstones.
    peak: usize,
    pub(super) cursors: BTreeMap<SessionId, Cursor>,
    of_peer: BTreeMap<Sym, SessionId>,
    /// Members whose session was lost and is expected back: they have no cursor, but what they may use they may use.
    absent: BTreeSet<Sym>,
    /// Its table is not made yet: END_OF_RIB waits.
    pub(super) incomplete: bool,
    sums: Sums,
    pub(super) told: Told,
    pub(super) selective: Selective,
    #[cfg(feature = "transit")]
    pub(super) crowds: Crowds,
}

impl Group {
    pub(crate) fn new(kind: GroupKind) -> Self {
        Group {
            kind,
            head: 0,
            entries: DenseMap::new(),
            journal: DenseMap::new(),
            tombstones: BTreeSet::new(),
            peak: 0,
            cursors: BTreeMap::new(),
            of_peer: BTreeMap::new(),
            absent: BTreeSet::new(),
            incomplete: false,
            sums: Sums::default(),
            told: Told::default(),
            selective: Selective::default(),
            #[cfg(feature = "transit")]
            crowds: Crowds::default(),
        }
    }

    /// Adds a cursor at the beginning. A peer has one session, so one cursor.
    pub(crate) fn join(&mut self, session: SessionId, peer: Sym) {
        self.absent.remove(&peer);
        self.cursors.insert(session, Cursor { peer, at: 0, sync: None, walk: None });
        self.of_peer.insert(peer, session);
    }

    /// A group of one of the cursors alone, which holds all that this one holds.
    pub(crate) fn fork(&self, session: SessionId, node: &NodeName) -> Option<Self> {
        let mut forked = Group::new(self.kind.clone());
        let peer = if let Some(cursor) = self.cursors.get(&session) {
            forked.cursors.insert(session, *cursor);
            cursor.peer
        } else {
            let (selective, peer) = Selective::copy_of(&self.selective, session)?;
            forked.selective = selective;
            peer
        };
        forked.name_node(node);
        forked.head = self.head;
        forked.entries = self.entries.clone();
        forked.journal = self.journal.clone();
        forked.tombstones = self.tombstones.clone();
        forked.peak = self.peak;
        forked.incomplete = self.incomplete;
        forked.sums = self.sums.clone();
        #[cfg(feature = "transit")]
        forked.crowds.clone_from(&self.crowds);
        forked.of_peer.insert(peer, session);
        Some(forked)
    }

    /// From now on a group of this node alone.
    pub(crate) fn name_node(&mut self, name: &NodeName) {
        if let GroupKind::External { node, .. } = &mut self.kind {
            *node = Some(name.clone());
        }
    }

    /// The table is about to be made.
    pub(crate) fn set_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// The table is there: END_OF_RIB is due to those that wait for it when they have passed what stands in the journal now.
    pub(crate) fn set_complete(&mut self) -> impl Iterator<Item = SessionId> {
        self.incomplete = false;
        let head = self.head;
        for cursor in self.cursors.values_mut().filter(|cursor| cursor.sync.is_some()) {
            cursor.sync = Some(Sync { until: head, second: false });
        }
        self.of_peer.values().copied()
    }

    /// The full table is in the journal: END_OF_RIB is due when the cursor has passed what stands there now.
    pub(crate) fn sync(&mut self, session: SessionId) {
        let head = self.head;
        if let Some(cursor) = self.cursors.get_mut(&session) {
            cursor.sync = Some(Sync { until: head, second: false });
        }
    }

    /// Takes a cursor away, and its peer with it or, with `stays`, not. Says whose it was.
    pub(crate) fn leave(&mut self, session: SessionId, stays: bool) -> Option<Sym> {
        let full = self.cursors.remove(&session).map(|cursor| cursor.peer);
        let peer = full.or_else(|| self.selective.leave(session))?;
        if self.of_peer.get(&peer) == Some(&session) {
            self.of_peer.remove(&peer);
            if stays {
                self.absent.insert(peer);
            }
        }
        Some(peer)
    }

    /// An absent member is not expected any more.
    pub(crate) fn forget(&mut self, peer: Sym) {
        self.absent.remove(&peer);
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_peer.is_empty() && self.absent.is_empty()
    }

    /// Those who are in it, the absent ones too.
    pub(crate) fn members(&self) -> impl Iterator<Item = Sym> {
        self.of_peer.keys().chain(&self.absent).copied()
    }

    /// The sessions that hear of every change.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.cursors.keys().copied()
    }

    /// The sessions that hear of what they want, as far as that changed since this was asked before.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<SessionId> {
        self.selective.take_touched()
    }

    /// The only member, if there is only one.
    pub(crate) fn sole_member(&self) -> Option<Sym> {
        let mut peers = self.members();
        let first = peers.next()?;
        peers.all(|p| p == first).then_some(first)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = RouteKey> {
        self.entries.keys().copied()
    }

    pub(crate) fn is_announced(&self, key: RouteKey) -> bool {
        self.entries.get(&key).is_some_and(|e| !e.withdrawn)
    }

    /// How many keys are announced.
    pub(crate) fn announced_count(&self) -> usize {
        self.entries.len() - self.tombstones.len()
    }

    /// Whose route is announced of a key.
    pub(crate) fn source(&self, key: RouteKey) -> Option<Sym> {
        self.entries.get(&key).filter(|e| !e.withdrawn).map(|e| e.source)
    }

    /// Keys that are announced, tombstones aside.
    pub(crate) fn announced(&self) -> impl Iterator<Item = RouteKey> {
        self.entries.iter().filter(|(_, e)| !e.withdrawn).map(|(k, _)| *k)
    }

    /// Keys beyond what was announced at one time: what a slow cursor makes the group remember. A table that is
    /// withdrawn as a whole is no such thing, for it was remembered before.
    pub(crate) fn excess(&self) -> usize {
        self.entries.len().saturating_sub(self.peak)
    }

    /// To be called when a key was announced, or tombstones came or went.
    fn measure(&mut self) {
        let announced = self.announced_count();
        self.peak = if self.tombstones.is_empty() { announced } else { self.peak.max(announced) };
    }

    /// Cursors for which withdrawals have to be remembered. One at the very beginning has heard nothing.
    fn under_way(&self) -> impl Iterator<Item = (SessionId, u64)> {
        self.cursors.iter().map(|(s, c)| (*s, c.at)).filter(|(_, at)| *at > 0)
    }

    /// The session furthest behind.
    pub(crate) fn slowest(&self) -> Option<SessionId> {
        let first = self.tombstones.first().and_then(|version| self.journal.get(version));
        let waits = first.and_then(|key| self.selective.behind(*key));
        waits.or_else(|| self.under_way().min_by_key(|(_, at)| *at).map(|(s, _)| s))
    }

    fn stamp(&mut self, key: RouteKey, old: Option<u64>) -> u64 {
        if let Some(old) = old {
            self.journal.remove(&old);
            self.told.remove(old);
            self.tombstones.remove(&old);
        }
        self.head += 1;
        self.journal.insert(self.head, key);
        self.head
    }

    /// Whether the cursor of `source` may hold something of `old` that is not its own route.
    fn may_hold(&self, source: Sym, old: &Entry) -> bool {
        let Some(cursor) = self.of_peer.get(&source).and_then(|s| self.cursors.get(s)) else { return false };
        if mutant!(SplitHorizonUntold) || cursor.at < old.born {
            return false;
        }
        if old.source == source && (!old.moved || mutant!(MovedOnce)) {
            return false;
        }
        // Once it has passed a withdrawal, or its own route, it holds nothing.
        !(cursor.at >= old.version && (old.withdrawn || old.source == source))
    }

    /// Puts an announcement into the table, and what is overtaken by it. Returns whether the key is new, and whether
    /// anything changed.
    pub(crate) fn announce(
        &mut self,
        key: RouteKey,
        source: Sym,
        element: Box<[u8]>,
        news: &[News],
    ) -> (bool, bool) {
        let old = self.entries.get(&key);
        if old.is_some_and(|e| !e.withdrawn && e.source == source && alike(&e.element, &element)) {
            return (false, false);
        }
        let moved = old.is_some_and(|e| self.may_hold(source, e));
        if let Some(old) = old.filter(|e| !e.withdrawn) {
            self.sums.remove(old.source, &old.element);
        }
        self.sums.add(source, &element);
        let (fresh, born, old_version) = (old.is_none(), old.map(|e| e.born), old.map(|e| e.version));
        let version = self.stamp(key, old_version);
        let born = born.unwrap_or(version);
        self.told.put(version, &element, news);
        self.selective.changed(key, &element);
        self.entries.insert(key, Entry { version, born, source, moved, withdrawn: false, element });
        self.measure();
        (fresh, true)
    }

    /// Turns an announcement into a tombstone. Returns whether anything changed.
    pub(crate) fn withdraw(&mut self, key: RouteKey, news: &[News]) -> bool {
        let Some(entry) = self.entries.get(&key).filter(|e| !e.withdrawn) else { return false };
        let (old, born, source) = (entry.version, entry.born, entry.source);
        let moved = self.may_hold(source, entry);
        self.sums.remove(source, &entry.element);
        // An element that was announced is readable; an empty withdrawal would be ignored by every receiver.
        let element = key_element(&entry.element).unwrap_or_else(|| Box::from(&[0u8][..]));
        let version = self.stamp(key, Some(old));
        self.tombstones.insert(version);
        self.told.put(version, &element, news);
        let unread = mutant!(CoalescedLost) && self.cursors.values().all(|cursor| cursor.at < old);
        // As if it had been forgotten and came anew: nobody is told.
        let born = if unread || mutant!(WithdrawalUnheard) { version } else { born };
        self.selective.changed(key, &element);
        self.entries.insert(key, Entry { version, born, source, moved, withdrawn: true, element });
        true
    }

    /// Forgets tombstones that every cursor has passed; returns their keys.
    pub(crate) fn sweep(&mut self) -> Vec<RouteKey> {
        let mut gone = Vec::new();
        let places = || self.under_way().map(|(_, at)| at);
        let passed = if mutant!(FastestSweeps) { places().max() } else { places().min() }.unwrap_or(u64::MAX);
        if !self.selective.is_behind() {
            self.told.passed(passed);
        }
        while let Some(version) = self.tombstones.first().copied().filter(|v| *v <= passed) {
            if self.journal.get(&version).is_some_and(|key| self.selective.is_pending(*key)) {
                break;
            }
            self.tombstones.remove(&version);
            if let Some(key) = self.journal.remove(&version) {
                self.entries.remove(&key);
                gone.push(key);
            }
        }
        self.measure();
        gone
    }

    /// Whether a sweep may find something, now that a cursor moved from `old` to `new`.
    fn may_sweep(&self, old: u64, new: u64) -> bool {
        self.tombstones.first().is_some_and(|first| old < *first && new >= *first)
    }

    /// Whether END_OF_RIB is due for a cursor: nothing is left of what its pass has to cover.
    fn end_of_rib(&mut self, session: SessionId) -> bool {
        let Some(cursor) = self.cursors.get_mut(&session) else { return false };
        let Some(sync) = cursor.sync.filter(|_| !PIECES || !self.incomplete) else { return false };
        match self.journal.after(Some(&cursor.at)).next() {
            Some((next, _)) if *next <= sync.until && !mutant!(EndOfRibFirst) => return false,
            Some(_) if !sync.second && !mutant!(EndOfRibFirst) => {
                cursor.sync = Some(Sync { until: self.head, second: true });
                return false;
            }
            _ => cursor.sync = None,
        }
        true
    }

    /// What to say of an entry to a cursor: nothing, an announcement, or (true) a withdrawal.
    fn speak(cursor: &Cursor, entry: &Entry) -> Option<bool> {
        let withdrawal = match (entry.source == cursor.peer, entry.withdrawn) {
            // Its own route, and it never heard another: nothing to say.
            (true, _) if !entry.moved => return None,
            // Its own route now, but it may hold what came from another: split horizon as a withdrawal.
            (true, _) => true,
            (false, withdrawn) => withdrawn,
        };
        let heard = if mutant!(BornLater) { cursor.at > entry.born } else { cursor.at >= entry.born };
        (!withdrawal || heard).then_some(withdrawal)
    }

    /// The digest of what a cursor holds; `None` before it has heard everything, and while it hears it again.
    pub(crate) fn digest(&self, session: SessionId) -> Option<Sum> {
        if self.selective.has(session) {
            return self.selective.digest(session);
        }
        let cursor = self.cursors.get(&session)?;
        let told = cursor.at == self.head && cursor.sync.is_none() && cursor.walk.is_none();
        told.then(|| self.sums.held_by(cursor.peer))
    }

    /// Fills `buf` with what comes after a cursor, at most `max` bytes, and moves the cursor; up to an announcement of a
    /// service that `waits`.
    /// The second value says whether [`Group::sweep`] is worth a call.
    pub(super) fn follow(
        &mut self,
        session: SessionId,
        max: usize,
        buf: &mut [u8],
        waits: Waits<'_>,
    ) -> (Fill, bool) {
        if self.end_of_rib(session) {
            return (Fill::EndOfRib, false);
        }
        let Some(cursor) = self.cursors.get(&session).copied() else { return (Fill::Idle, false) };
        let room = max.min(HEADER + WireLimits::FRAME_BODY).min(buf.len());
        let mut used = START;
        let mut at = cursor.at;
        let mut announced: Vec<&[u8]> = Vec::new();
        let mut withdrawn: Vec<&[u8]> = Vec::new();
        let mut news: Vec<&[u8]> = Vec::new();
        let (mut blocked, mut held) = (false, false);
        let mut near = (0, 0);
        // No more than there is to say, or than a frame has room for.
        let left = usize::try_from(self.head.saturating_sub(cursor.at)).unwrap_or(usize::MAX);
        let most_said = left.min(room / SHORT);
        for (version, key) in self.journal.after(Some(&cursor.at)) {
            let Some((_, entry)) = self.entries.get_near(&mut near, |k| k.cmp(key)) else { continue };
            if let Some(withdrawal) = Self::speak(&cursor, entry) {
                held = PIECES && !withdrawal && waits(key.service);
                if held {
                    break;
                }
                let most = room.saturating_sub(START);
                let (told, needed) = self.told.beside(*version, entry.element.len(), most);
                if used + needed > room {
                    blocked = true;
                    at = if mutant!(FullFrameSkips) { *version } else { at };
                    break;
                }
                used += needed;
                news.extend(told.iter().map(|news| &**news));
                let said = if withdrawal { &mut withdrawn } else { &mut announced };
                if said.is_empty() {
                    said.reserve(most_said);
                }
                said.push(&entry.element);
            }
            at = *version;
        }
        if !blocked && !held {
            at = self.head;
        }
        let written = if announced.is_empty() && withdrawn.is_empty() {
            Ok(0)
        } else {
            write(&announced, &withdrawn, &news, buf)
        };
        let Ok(len) = written else { return (Fill::Blocked, false) };
        let sweep = self.may_sweep(cursor.at, at);
        if let Some(place) = self.cursors.get_mut(&session) {
            place.at = at;
        }
        let fill = match len {
            0 if blocked => Fill::Blocked,
            0 if held => Fill::Later,
            // What was passed in silence may have been all that END_OF_RIB waited for.
            0 if self.end_of_rib(session) => Fill::EndOfRib,
            0 => Fill::Idle,
            len => Fill::Update(len),
        };
        (fill, sweep)
    }

    /// Whether an entry or a journal line is out of place: for tests.
    #[cfg(test)]
    pub(crate) fn is_sound(&self) -> bool {
        let lines = self.journal.iter().all(|(v, k)| self.entries.get(k).is_some_and(|e| e.version == *v));
        let stones = self.entries.values().filter(|e| e.withdrawn).count() == self.tombstones.len();
        let known = self.tombstones.iter().all(|v| self.journal.contains_key(v));
        lines && stones && known && self.journal.len() == self.entries.len()
    }
}
