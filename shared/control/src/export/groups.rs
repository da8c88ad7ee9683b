//! All export groups: who is in which, and what a mark means for them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use catalyst_names::NodeName;
use catalyst_route_table::{RouteKey, RouteTable, Store, Sym};

use crate::event::SessionId;
use crate::export::entry::Fill;
use crate::export::group::{Group, GroupKind, Waits};
use crate::export::info::{GroupId, GroupInfo};
use crate::export::interest::{Asked, Interest};
use crate::export::marks::Mark;
use crate::limits::PIECES;
use crate::news::{News, NewsOf};
use crate::sum::Sum;

/// A service that a group of another organisation may use from now on, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrantChange {
    pub(crate) group: GroupId,
    pub(crate) service: Sym,
    pub(crate) granted: bool,
}

/// All groups with at least one established session, or a member that is expected back.
#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<GroupId, Group>,
    infos: Vec<GroupInfo>,
    of_session: BTreeMap<SessionId, GroupId>,
    of_absent: BTreeMap<Sym, GroupId>,
    grants: BTreeMap<(GroupId, Sym), u32>,
    next: u32,
    /// The most keys that any group remembered for slow cursors since [`Groups::overdue`] was asked.
    excess: usize,
}

impl Groups {
    /// The groups there are.
    #[must_use]
    pub fn infos(&self) -> &[GroupInfo] {
        &self.infos
    }

    /// The members of a group, those that are expected back too.
    pub(crate) fn members(&self, group: GroupId) -> impl Iterator<Item = Sym> {
        self.groups.get(&group).into_iter().flat_map(Group::members)
    }

    /// Brings what plugins see of one group up to date.
    fn refresh_info(&mut self, id: GroupId) {
        let group = self.groups.get(&id);
        let info = group.map(|g| GroupInfo { id, kind: g.kind.clone(), sole_member: g.sole_member() });
        match (self.infos.binary_search_by_key(&id, |i| i.id), info) {
            (Ok(at), Some(info)) => {
                if let Some(place) = self.infos.get_mut(at) {
                    *place = info;
                }
            }
            (Ok(at), None) => {
                self.infos.remove(at);
            }
            (Err(at), Some(info)) => self.infos.insert(at, info),
            (Err(_), None) => {}
        }
    }

    /// Puts a session into the group of its kind. The second value says whether the whole table must be looked at,
    /// for this group, because it is new or is no longer of one member.
    pub(crate) fn join(&mut self, kind: &GroupKind, session: SessionId, peer: Sym) -> (GroupId, bool) {
        let known = self.groups.iter().find(|(_, g)| g.kind == *kind).map(|(id, _)| *id);
        let id = known.unwrap_or_else(|| {
            self.next = self.next.wrapping_add(1);
            GroupId::new(self.next)
        });
        let group = self.groups.entry(id).or_insert_with(|| Group::new(kind.clone()));
        let before = group.sole_member();
        group.join(session, peer);
        self.of_absent.remove(&peer);
        let build = known.is_none() || before != group.sole_member();
        self.of_session.insert(session, id);
        self.refresh_info(id);
        (id, build)
    }

    /// Gives a session of another organisation a group of its own, because a rule names its node. What it has heard
    /// stays heard. Says which group is new: if the table of the old one is not made yet, nor is that of the new one.
    pub(crate) fn fork<S: Store>(
        &mut self,
        session: SessionId,
        name: &NodeName,
        table: &mut RouteTable<S>,
    ) -> Option<GroupId> {
        let old = self.of_session.get(&session).copied()?;
        let group = self.groups.get_mut(&old)?;
        match &group.kind {
            GroupKind::External { node: None, .. } => {}
            GroupKind::Internal | GroupKind::External { .. } => return None,
        }
        if group.members().count() == 1 {
            group.name_node(name);
            self.refresh_info(old);
            return None;
        }
        let forked = group.fork(session, name)?;
        forked.keys().for_each(|key| table.retain(key));
        group.leave(session, false);
        group.sweep().into_iter().for_each(|key| table.release(key));
        self.next = self.next.wrapping_add(1);
        let id = GroupId::new(self.next);
        self.groups.insert(id, forked);
        self.of_session.insert(session, id);
        let grants = (old, Sym(0))..=(old, Sym(u32::MAX));
        let grants: Vec<(Sym, u32)> = self.grants.range(grants).map(|((_, s), n)| (*s, *n)).collect();
        self.grants.extend(grants.into_iter().map(|(service, count)| ((id, service), count)));
        self.refresh_info(old);
        self.refresh_info(id);
        Some(id)
    }

    /// Whether there is such a group still.
    pub(crate) fn is_there(&self, group: GroupId) -> bool {
        self.groups.contains_key(&group)
    }

    /// The table of a group is about to be made.
    pub(crate) fn set_incomplete(&mut self, group: GroupId) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.set_incomplete();
        }
    }

    /// The tables of these groups are there. Says whose END_OF_RIB may be due.
    pub(crate) fn set_complete(&mut self, groups: &[GroupId]) -> Vec<SessionId> {
        let mut sessions = Vec::new();
        for group in groups {
            sessions.extend(self.groups.get_mut(group).into_iter().flat_map(Group::set_complete));
        }
        sessions
    }

    /// The full table is in the group's journal.
    pub(crate) fn sync(&mut self, session: SessionId) {
        if let Some(group) = self.of_session.get(&session).and_then(|id| self.groups.get_mut(id)) {
            group.sync(session);
        }
    }

    /// A session must hear nothing before its INTEREST has come.
    pub(crate) fn await_interest(&mut self, session: SessionId) {
        if let Some(group) = self.of_session.get(&session).and_then(|id| self.groups.get_mut(id)) {
            group.await_interest(session);
        }
    }

    /// A session wants to hear of this from now on; of everything without a list.
    pub(crate) fn select<S: Store>(
        &mut self,
        session: SessionId,
        interest: Option<Interest>,
        table: &mut RouteTable<S>,
    ) {
        if let Some(group) = self.of_session.get(&session).and_then(|id| self.groups.get_mut(id)) {
            // A board's list of neighbours is short, and so is its table.
            let names = interest.as_ref().filter(|_| PIECES).and_then(Interest::names);
            let services =
                names.map(|names| names.filter_map(|name| table.store().find(name)).collect::<Vec<Sym>>());
            group.select(session, interest, services.as_deref());
            group.sweep().into_iter().for_each(|key| table.release(key));
        }
    }

    /// The sessions of a group that have something new to send.
    pub(crate) fn touched<S: Store>(&mut self, group: GroupId, table: &mut RouteTable<S>) -> Vec<SessionId> {
        let Some(group) = self.groups.get_mut(&group) else { return Vec::new() };
        let mut sessions: Vec<SessionId> = group.sessions().collect();
        if sessions.is_empty() {
            // Nobody passes by who would do it.
            group.sweep().into_iter().for_each(|key| table.release(key));
        }
        sessions.extend(group.take_touched());
        sessions
    }

    /// Sends a session its full table once more.
    pub(crate) fn refresh(&mut self, session: SessionId) {
        if let Some(group) = self.of_session.get(&session).and_then(|id| self.groups.get_mut(id)) {
            group.refresh(session);
        }
    }

    /// Whether a session is in any group: others are told nothing.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.of_session.contains_key(&session)
    }

    /// The digest of what a session holds, once it has heard everything.
    pub(crate) fn digest(&self, session: SessionId) -> Option<Sum> {
        self.groups.get(self.of_session.get(&session)?)?.digest(session)
    }

    /// Takes a session out. With `stays`, its peer is still a member, if it is of another organisation: what it may use
    /// does not end with a session that is expected back.
    pub(crate) fn leave<S: Store>(&mut self, session: SessionId, stays: bool, table: &mut RouteTable<S>) {
        let Some(id) = self.of_session.remove(&session) else { return };
        let Some(group) = self.groups.get_mut(&id) else { return };
        let stays = stays && matches!(group.kind, GroupKind::External { .. });
        if let Some(peer) = group.leave(session, stays).filter(|_| stays) {
            self.of_absent.insert(peer, id);
        }
        self.left(id, table);
    }

    /// A member that was expected back is not any more.
    pub(crate) fn forget<S: Store>(&mut self, peer: Sym, table: &mut RouteTable<S>) {
        let Some(id) = self.of_absent.remove(&peer) else { return };
        if let Some(group) = self.groups.get_mut(&id) {
            group.forget(peer);
        }
        self.left(id, table);
    }

    /// Services that a member which is expected back may use.
    pub(crate) fn granted_to_absent(&self, peer: Sym) -> Vec<Sym> {
        self.of_absent.get(&peer).map(|id| self.granted_in(*id)).unwrap_or_default()
    }

    /// Whether a peer is expected back in the group of this kind.
    pub(crate) fn is_absent(&self, peer: Sym, kind: &GroupKind) -> bool {
        self.of_absent.get(&peer).and_then(|id| self.groups.get(id)).is_some_and(|group| group.kind == *kind)
    }

    /// Whether a peer that is expected back has a group of its own, for rules that name it.
    pub(crate) fn is_alone(&self, peer: Sym) -> bool {
        let group = self.of_absent.get(&peer).and_then(|id| self.groups.get(id));
        group.is_some_and(|group| matches!(group.kind, GroupKind::External { node: Some(_), .. }))
    }

    /// Somebody left: an empty group is forgotten with all that it holds.
    fn left<S: Store>(&mut self, id: GroupId, table: &mut RouteTable<S>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let last = group.is_empty();
        let gone = if last { group.keys().collect() } else { group.sweep() };
        gone.into_iter().for_each(|key| table.release(key));
        if last {
            self.groups.remove(&id);
            self.grants.retain(|(group, _), _| *group != id);
        }
        self.refresh_info(id);
    }

    /// Services that the peers of a session's group may use.
    pub(crate) fn granted(&self, session: SessionId) -> Vec<Sym> {
        self.of_session.get(&session).map(|id| self.granted_in(*id)).unwrap_or_default()
    }

    fn granted_in(&self, id: GroupId) -> Vec<Sym> {
        let range = (id, Sym(0))..=(id, Sym(u32::MAX));
        self.grants.range(range).map(|((_, service), _)| *service).collect()
    }

    /// Applies one mark, with what it means for other keys of its service, of which another organisation is told `most` at
    /// most. Returns whether the group's sessions have something new to send, and a changed grant.
    #[cfg(feature = "transit")]
    pub(crate) fn apply<S: Store>(
        &mut self,
        mark: Mark,
        most: usize,
        news: &NewsOf,
        table: &mut RouteTable<S>,
    ) -> (bool, Option<GrantChange>) {
        let Some(group) = self.groups.get_mut(&mark.group) else { return (false, None) };
        if !matches!(group.kind, GroupKind::External { .. }) {
            let news = news.get(&mark.key).map_or(&[][..], Vec::as_slice);
            return self.apply_one(mark, news, table);
        }
        let count = self.grants.get(&(mark.group, mark.key.service)).map_or(0, |count| *count as usize);
        let id = mark.group;
        let wish = (mark.key, mark.announce);
        let chosen = group.crowds.choose(wish, (count, most), &group.entries, table);
        let mut result = (false, None);
        for (key, announce) in chosen {
            let (changed, grant) = self.apply_one(Mark { group: id, key, announce }, &[], table);
            result = (result.0 || changed, grant.or(result.1));
        }
        result
    }

    /// Applies one mark.
    #[cfg(not(feature = "transit"))]
    pub(crate) fn apply<S: Store>(
        &mut self,
        mark: Mark,
        _most: usize,
        news: &NewsOf,
        table: &mut RouteTable<S>,
    ) -> (bool, Option<GrantChange>) {
        let news = news.get(&mark.key).map_or(&[][..], Vec::as_slice);
        self.apply_one(mark, news, table)
    }

    /// Applies one mark to its key alone.
    fn apply_one<S: Store>(
        &mut self,
        mark: Mark,
        news: &[News],
        table: &mut RouteTable<S>,
    ) -> (bool, Option<GrantChange>) {
        let Some(group) = self.groups.get_mut(&mark.group) else { return (false, None) };
        let was = group.is_announced(mark.key);
        let internal = group.kind == GroupKind::Internal;
        // Other organisations hear nothing of the nodes of this one.
        let news = if internal { news } else { &[] };
        let changed = match mark.announce {
            Some((source, element)) => {
                let (fresh, changed) = group.announce(mark.key, source, element, news);
                if fresh {
                    table.retain(mark.key);
                }
                changed
            }
            None => group.withdraw(mark.key, news),
        };
        self.excess = self.excess.max(group.excess());
        let is = group.is_announced(mark.key);
        if was == is || internal {
            return (changed, None);
        }
        let service = mark.key.service;
        let count = self.grants.entry((mark.group, service)).or_insert(0);
        let before = *count;
        *count = if is { before + 1 } else { before.saturating_sub(1) };
        let after = *count;
        if after == 0 {
            self.grants.remove(&(mark.group, service));
        }
        let flipped = (before == 0) != (after == 0) && (is || !mutant!(GrantStays));
        (changed, flipped.then_some(GrantChange { group: mark.group, service, granted: is }))
    }

    /// Whose route of a key a group is told.
    #[cfg(feature = "transit")]
    pub(crate) fn source(&self, group: GroupId, key: RouteKey) -> Option<Sym> {
        self.groups.get(&group)?.source(key)
    }

    /// The next frame for a session.
    pub(crate) fn fill<S: Store>(
        &mut self,
        session: SessionId,
        max: usize,
        buf: &mut [u8],
        table: &mut RouteTable<S>,
        waits: Waits<'_>,
    ) -> Fill {
        let Some(group) = self.of_session.get(&session).and_then(|id| self.groups.get_mut(id)) else {
            return Fill::Idle;
        };
        let (fill, sweep) = group.fill(session, max, buf, waits);
        if sweep {
            group.sweep().into_iter().for_each(|key| table.release(key));
        }
        fill
    }

    /// The slowest session of each group that remembers more for it than it may. Looks at the groups only when
    /// one of them may have grown too far since it was asked before.
    pub(crate) fn overdue<S: Store>(&mut self, limit: usize, table: &mut RouteTable<S>) -> Vec<SessionId> {
        if self.excess <= limit {
            return Vec::new();
        }
        let mut slowest = Vec::new();
        self.excess = 0;
        for group in self.groups.values_mut() {
            if group.excess() > limit {
                // It may be that nobody needs them.
                group.sweep().into_iter().for_each(|key| table.release(key));
            }
            if group.excess() > limit {
                slowest.extend(group.slowest());
            }
            self.excess = self.excess.max(group.excess());
        }
        slowest
    }

    /// Adj-RIB-Out: keys announced to a session's group, split horizon aside; to one with an interest, what it holds.
    pub fn announced(&self, session: SessionId) -> impl Iterator<Item = RouteKey> {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        let held = group.and_then(|group| group.held(session));
        let all = group.filter(|_| held.is_none()).into_iter().flat_map(Group::announced);
        all.chain(held.into_iter().flatten())
    }

    /// How many keys [`Groups::announced`] gives, without a look at them.
    #[must_use]
    pub fn announced_count(&self, session: SessionId) -> usize {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        group.map_or(0, |group| group.held_count(session).unwrap_or_else(|| group.announced_count()))
    }

    /// What the neighbour of a session asks for; everything without an interest.
    #[must_use]
    pub fn interest(&self, session: SessionId) -> Option<Asked> {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id))?;
        group.interest(session)
    }

    /// Whether a session has promised a list of what it wants, which has not come.
    #[cfg(feature = "transit")]
    pub(crate) fn awaits_interest(&self, session: SessionId) -> bool {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        group.is_some_and(|group| group.awaits_interest(session))
    }

    /// Whether a session is to hear of this service: it has no interest, or one that names it.
    #[must_use]
    pub fn wants(&self, session: SessionId, service: &str) -> bool {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        group.is_none_or(|group| group.is_wanted(session, service))
    }

    /// Whether [`Groups::announced`] gives this key.
    #[must_use]
    pub fn is_told(&self, session: SessionId, key: RouteKey) -> bool {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        group.is_some_and(|group| group.holds(session, key).unwrap_or_else(|| group.is_announced(key)))
    }

    /// Whether a session's group announces this key.
    #[must_use]
    pub fn is_announced(&self, session: SessionId, key: RouteKey) -> bool {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        group.is_some_and(|g| g.is_announced(key))
    }

    /// Whose route of a key a session's group is told. It may be another than that of the best, if a better one waits.
    #[must_use]
    pub fn told_from(&self, session: SessionId, key: RouteKey) -> Option<Sym> {
        self.groups.get(self.of_session.get(&session)?)?.source(key)
    }

    /// Whether a key is kept back from a session's group because there are enough better ways to its service.
    #[must_use]
    #[cfg(feature = "transit")]
    pub fn is_crowded_out(&self, session: SessionId, key: RouteKey) -> bool {
        let group = self.of_session.get(&session).and_then(|id| self.groups.get(id));
        group.is_some_and(|group| group.crowds.keeps(key))
    }

    /// Whether a key is kept back because there are enough better ways: never so here.
    #[must_use]
    #[cfg(not(feature = "transit"))]
    pub fn is_crowded_out(&self, _session: SessionId, _key: RouteKey) -> bool {
        false
    }

    /// For tests: every journal fits its table.
    #[cfg(test)]
    pub(crate) fn are_sound(&self) -> bool {
        self.groups.values().all(Group::is_sound)
    }

    /// For tests: keys that a session's group remembers, tombstones included.
    #[cfg(test)]
    pub(crate) fn remembered(&self, session: SessionId) -> usize {
        self.of_session.get(&session).and_then(|id| self.groups.get(id)).map_or(0, |g| g.keys().count())
    }
}
