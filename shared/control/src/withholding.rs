//! Which ways are used and not told for a while: those that take the place of a lost one, where nobody needs them (ADR 0043).

use alloc::vec::Vec;

use catalyst_policy::Relation;
use catalyst_route_table::{Change, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, words};

use crate::changes::Changes;
use crate::core::Core;
use crate::export::{GroupId, GroupKind, Mark, parts};
use crate::limits::Limits;
use crate::now::Now;
use crate::state::{Peer, State};

impl<S: Store> State<S> {
    /// A neighbour is about to take back its way of a key, or to tell one that nobody may use, and there are others. When that led
    /// straight to the service's home, or straight over a border, the home itself may be what is lost: everybody loses it then, one
    /// by one. So may it when it was long-lived stale: the home was lost before, and is given up now. Any other way may be lost for
    /// what stands between, and the neighbour may need another one now.
    pub(crate) fn falls_silent(&mut self, key: RouteKey, neighbour: Sym) {
        let Some(route) = self.table.route(key, neighbour).filter(|route| route.rank.eligible) else {
            return;
        };
        if !self.is_inside(neighbour) || self.table.candidates(key).nth(1).is_none() {
            return;
        }
        let path = Attrs::read(route.attrs.as_ref()).unwrap_or_default().node_path;
        let over_border = !mutant!(BorderFallsNot);
        let straight = path.iter().nth(1).map_or(over_border, |home| home == self.table.text(key.origin));
        if straight || route.rank.stale || mutant!(DetourFalls) {
            self.withheld.falls(key, neighbour, self.now);
        } else if !mutant!(DetourLossWaits) {
            self.withheld.hasten(key, self.now);
        }
    }

    /// Whether a neighbour's way is that of the service's home itself, or straight over a border. Beyond a border each node that
    /// tells of a service makes a key of its own.
    fn is_home(&self, key: RouteKey, neighbour: Sym) -> bool {
        let home = self.table.text(key.origin);
        let peer = self.peer_by_sym(neighbour);
        let over_border = |p: &Peer| p.relation != Some(Relation::Internal) && !mutant!(BorderLossTold);
        peer.is_some_and(|p| over_border(p) || p.config.name.node() == home)
    }

    /// Whether a neighbour's way ranks as long-lived stale: then there is no other, and the home was lost before.
    fn is_stale(&self, key: RouteKey, neighbour: Sym) -> bool {
        self.table.route(key, neighbour).is_some_and(|route| route.rank.stale)
    }

    fn is_inside(&self, neighbour: Sym) -> bool {
        self.peer_by_sym(neighbour).is_some_and(|peer| peer.relation == Some(Relation::Internal))
    }

    /// Whether a way may be used as when it was chosen. One that no session confirms any more may not.
    fn stands(&self, key: RouteKey, neighbour: Sym) -> bool {
        let aged =
            || self.peer_by_sym(neighbour).is_some_and(|peer| peer.stale.is_some() && !mutant!(StaleStands));
        let route = self.table.route(key, neighbour);
        route.is_some_and(|r| {
            r.rank.eligible && (!r.overtaken || mutant!(OvertakenStands)) && !(r.rank.stale && aged())
        })
    }
}

impl<S: Store> Core<S> {
    /// Takes the announcements of ways that are withheld out of these marks.
    pub(crate) fn withhold(&mut self, marks: &mut Vec<Mark>, changes: &Changes) {
        if mutant!(NothingWithheld) {
            return;
        }
        let inside = self.groups.infos().iter().find(|info| info.kind == GroupKind::Internal);
        let Some(group) = inside.map(|info| info.id) else { return self.state.withheld.clear() };
        // What changes and changes back within one step, as when what comes is overtaken already, has not changed.
        // A key that comes has no way that could be lost, and nothing is withheld of it.
        let changed = changes.routes.iter().filter(|change| change.best_changed);
        let both = |change: &Change| Some((change.key, change.old_best?, change.new_best));
        let mut bests: Vec<_> = changed.filter_map(both).collect();
        bests.sort_by_key(|(key, ..)| *key);
        bests.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.2 = later.2;
            }
            same
        });
        for (key, old, new) in bests {
            let Some(new) = new else {
                if !mutant!(KeyStaysWithheld) {
                    self.state.withheld.forget(key);
                }
                continue;
            };
            if old.best == new.best {
                continue;
            }
            let stands = self.state.stands(key, old.best);
            let held = self.state.withheld.holds(key);
            // What stands between may be lost for some and not for others; the home is lost for all, or for this node alone. A stale
            // way is given up by one neighbour after the other, and nobody waits for long who hears of the next one later.
            let given_up = self.state.is_stale(key, new.best);
            let home = || self.state.is_home(key, old.best) || given_up || mutant!(DetourWithheld);
            let room = self.state.withheld.has_room();
            let told = || room && self.groups.source(group, key) == Some(old.best) && home();
            let inside = self.state.is_inside(new.best) || mutant!(BorderWayWithheld);
            let not_asked = given_up || held && mutant!(NeedAskedOnce);
            let needed = || !not_asked && self.is_needed(group, key);
            if !stands && (held || told()) && inside && !needed() {
                self.state.withheld.hold(key, self.state.now);
            } else if held && !mutant!(BetterWithheld) {
                self.state.withheld.release(key);
            }
        }
        if mutant!(WithheldStands) {
            return marks.retain(|mark| mark.group != group || !self.state.withheld.holds(mark.key));
        }
        for mark in marks.iter_mut().filter(|mark| mark.group == group || mutant!(WithheldFromAll)) {
            if self.state.withheld.holds(mark.key)
                && let Some((_, element)) = mark.announce.take()
                && self.groups.source(group, mark.key).is_some()
            {
                self.say_no_more(mark.key, &element);
            }
        }
    }

    /// What this node said of a key before is overtaken, although it says nothing else.
    fn say_no_more(&mut self, key: RouteKey, element: &[u8]) {
        let own = self.state.settings.name.clone();
        let said = parts(element).and_then(|(.., attrs)| words(attrs).find(|(node, _)| *node == own.node()));
        if let Some((_, seqno)) = said.filter(|_| !mutant!(NumberUntold)) {
            self.state.learn(key, own.node(), seqno);
        }
    }

    /// Whether some neighbour inside may have no way but what this node tells: it tells none itself, and took back none of
    /// late. Where few have ways, they are tried out soon.
    fn is_needed(&self, group: GroupId, key: RouteKey) -> bool {
        let State { table, withheld, now, .. } = &self.state;
        let service = table.text(key.service);
        let mut ways = 0;
        for member in self.groups.members(group) {
            let way = table.route(key, member).is_some_and(|route| route.rank.eligible);
            if way || withheld.has_fallen(key, member, *now) {
                ways += 1;
                continue;
            }
            let session = self.state.peer_by_sym(member).and_then(|peer| peer.session);
            // Who has yet to say what it wants may want this.
            let wants = |session| {
                let wants = self.groups.wants(session, service) || self.groups.awaits_interest(session);
                wants || mutant!(UnwantedNeeded)
            };
            if session.is_some_and(wants) && !mutant!(NeedUnasked) {
                return true;
            }
        }
        ways < Limits::WITHHELD_WAYS && !mutant!(FewWithheld)
    }

    /// Ways that were withheld for long enough.
    pub(crate) fn tick_withheld(&mut self, now: Now) {
        if self.state.withheld.due().is_some_and(|due| due <= now.mono) {
            let keys =
                self.state.withheld.take_due(if mutant!(FirstDueTellsAll) { u64::MAX } else { now.mono });
            self.tell_best(keys);
        }
    }

    /// Ends it for all keys now: who has just come may need them.
    pub(crate) fn end_withholding(&mut self) {
        let keys = self.state.withheld.take_due(u64::MAX);
        self.tell_best(keys);
    }

    /// When the first withheld way is told.
    pub(crate) fn withheld_due(&self) -> Option<u64> {
        self.state.withheld.due()
    }

    /// Keys of which this node uses a way that it tells nobody inside for a while.
    pub fn withheld(&self) -> impl Iterator<Item = RouteKey> {
        self.state.withheld.keys()
    }
}
