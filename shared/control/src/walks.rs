//! Ways through the whole table, piece by piece: what begins them, what a piece does, what their end means.
//!
//! A walk goes over the keys in their order; all keys of a service are in one piece, so that what goes and comes back within
//! it cuts no flow. What changes meanwhile, and what is passed already, is as the rules of now have it in any case.

use alloc::vec::Vec;

use catalyst_route_table::{Change, RouteKey, Store, Sym};

use crate::changes::Changes;
use crate::core::Core;
use crate::export::GroupId;
use crate::limits::PIECES;
#[cfg(feature = "watch")]
use crate::observe::RULES;
use crate::state::State;
use crate::walk::{Judging, Walk};

impl<S: Store> Core<S> {
    /// The rules are others: a walk brings all routes under them. One that was under way begins anew.
    pub(crate) fn walk_for_rules(&mut self) {
        self.state.judging = PIECES.then(Judging::default);
        let walk = self.walk_from_the_beginning();
        walk.judges = true;
        self.go_on_walking();
    }

    /// What is announced is marked from now on, or not any more.
    pub(crate) fn walk_for_marks(&mut self) {
        self.walk_from_the_beginning().touches = true;
        self.go_on_walking();
    }

    /// A walk for all groups. Those that wait for theirs wait for this one.
    fn walk_from_the_beginning(&mut self) -> &mut Walk {
        let walk = self.walk.get_or_insert_default();
        if !mutant!(AnewNotFromBegin) {
            walk.after = None;
        }
        walk.groups.append(&mut self.waiting);
        walk
    }

    /// The table of a group has to be made, or made anew. It waits while another walk is under way: it would have to begin
    /// it anew, and where sessions come and go there would be no end.
    pub(crate) fn walk_for_table(&mut self, group: GroupId) {
        if PIECES && !mutant!(TableNotAwaited) {
            self.groups.set_incomplete(group);
        }
        if PIECES && self.walk.is_some() {
            if !self.waiting.contains(&group) {
                self.waiting.push(group);
            }
            return;
        }
        self.walk = Some(Walk { groups: Vec::from([group]), ..Walk::default() });
        self.go_on_walking();
    }

    /// Whether a way through the table is under way. The next step of it is due at once.
    #[must_use]
    pub fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Whether rules were changed and are not in force for all routes yet.
    #[must_use]
    pub fn is_judging(&self) -> bool {
        self.state.judging.is_some()
    }

    /// One step of the walk that is under way, if one is.
    pub(crate) fn go_on_walking(&mut self) {
        while let Some(walk) = self.walk.take() {
            self.walk = self.piece(walk);
            if PIECES {
                return;
            }
        }
    }

    /// The next piece of a walk, and what is left of it.
    fn piece(&mut self, mut walk: Walk) -> Option<Walk> {
        if PIECES {
            walk.groups.retain(|group| self.groups.is_there(*group));
        }
        let groups = if walk.is_for_all() { self.groups.infos().len() } else { walk.groups.len() };
        let most = self.state.settings.limits.walked;
        let (mut changes, mut again, mut looked) = (Changes::default(), Vec::new(), 0);
        #[cfg(feature = "watch")]
        self.state.because_of(RULES);
        let more = loop {
            let Some(key) = self.state.table.store().key_after(walk.after) else { break false };
            if groups == 0 && !walk.judges {
                break false;
            }
            if looked >= most && walk.after.is_some_and(|last| last.service != key.service) {
                if mutant!(PieceSkips) {
                    walk.after = Some(key);
                }
                let ends = if walk.judges {
                    mutant!(FirstPieceAlone)
                } else {
                    walk.touches && mutant!(UnmarkedBehind)
                };
                break !ends;
            }
            if walk.judges {
                looked += self.state.judge_again(key, &mut changes);
            }
            if walk.touches {
                self.state.table.touch(key);
            }
            again.extend(self.state.as_it_is(key));
            looked += groups.max(1);
            walk.after = Some(key);
        };
        self.state.silenced(&changes.routes);
        self.tell(changes, again, (!walk.is_for_all()).then_some(&*walk.groups));
        if more {
            if PIECES && let Some(judging) = &mut self.state.judging {
                judging.passed = walk.after.map(|last| last.service);
            }
            return Some(walk);
        }
        if !PIECES {
            return None;
        }
        if walk.judges {
            self.state.judging = None;
        }
        // One that waits for another walk is not complete before that.
        walk.groups.retain(|group| !self.waiting.contains(group));
        let sessions = self.groups.set_complete(&walk.groups);
        sessions.into_iter().for_each(|session| self.mark_ready(session));
        let mut groups = core::mem::take(&mut self.waiting);
        groups.retain(|_| !mutant!(WaitingForgotten));
        (!groups.is_empty()).then(|| Walk { groups, ..Walk::default() })
    }
}

impl<S: Store> State<S> {
    /// A key to look at again, if there is something to say of it.
    fn as_it_is(&self, key: RouteKey) -> Option<Change> {
        let best = self.table.store().best(key);
        best.map(|_| Change { key, old_best: best, new_best: best, best_changed: true })
    }

    /// While a walk brings routes under other rules: services that have changed before their turn are judged with the
    /// change, all of their keys, or something could be announced that neither rules let out. Says which keys to look at.
    pub(crate) fn judge_ahead(&mut self, changes: &mut Changes) -> Vec<Change> {
        let mut again = Vec::new();
        let judging = self.judging.as_ref().filter(|_| PIECES && !mutant!(AheadUnjudged));
        let Some(judging) = judging else { return again };
        let services: Vec<Sym> = changes.services().into_iter().filter(|s| judging.awaits(*s)).collect();
        let before = changes.routes.len();
        #[cfg(feature = "watch")]
        if !services.is_empty() {
            self.because_of(RULES);
        }
        for service in services {
            let mut after = service.0.checked_sub(1).map(|n| RouteKey::range(Sym(n)).1);
            while let Some(key) = self.table.store().key_after(after).filter(|key| key.service == service) {
                self.judge_again(key, changes);
                again.extend(self.as_it_is(key));
                after = Some(key);
            }
            if let Some(judging) = &mut self.judging {
                judging.judged(service);
            }
        }
        let judged = changes.routes.get(before..).unwrap_or_default().to_vec();
        self.silenced(&judged);
        again
    }
}
