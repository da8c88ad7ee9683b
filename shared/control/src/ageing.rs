//! Lost neighbours over time: what begins with the end of a session, what the timers end.

use alloc::boxed::Box;

use catalyst_names::NodeName;
use catalyst_route_table::Store;

use crate::core::Core;
use crate::delta::{Delta, Write};
use crate::event::{Event, SessionId};
use crate::now::Now;
use crate::stale::{Loss, Phase, Stale};

impl<S: Store> Core<S> {
    /// The established session of a neighbour is gone: nothing that it told is confirmed any more.
    pub(crate) fn lose(&mut self, name: &NodeName, session: SessionId, loss: Loss, now: Now) {
        let most = self.state.settings.stale_max_ms;
        let Some(peer) = self.state.peers.get_mut(name) else { return };
        let restart_ms = peer.agreed.map_or(0, |agreed| u64::from(agreed.restart_ms)).min(most);
        if !mutant!(GenerationStays) {
            peer.next_telling();
        }
        // What is being swept goes on going, whatever becomes of the rest.
        let swept = peer.stale.take_if(|stale| stale.phase == Phase::Swept);
        let mut stale = peer.stale.take().unwrap_or_else(|| {
            Box::new(Stale {
                since: now.mono,
                phase: Phase::Kept,
                restart_until: now.mono.saturating_add(restart_ms),
                until: if mutant!(StaleForEver) { u64::MAX } else { now.mono.saturating_add(most) },
                sweep_at: None,
                path_lost: false,
                restart_ms,
                tellings: swept.as_ref().map_or(u16::MAX, |swept| swept.tellings),
                walk: swept.as_ref().map(|_| None),
                timer: swept.and_then(|swept| swept.timer),
            })
        });
        // A second loss prolongs nothing, and what the neighbour asks for since may be less.
        stale.restart_ms = stale.restart_ms.min(restart_ms);
        stale.restart_until = stale.restart_until.min(now.mono.saturating_add(restart_ms));
        stale.sweep_at = None;
        let hard = loss == Loss::Hard || stale.restart_ms == 0;
        // What it may use ends with the restart time; when that was over before, no phase begins that would say so.
        let stays = !hard && (stale.phase == Phase::Kept || loss == Loss::Moved);
        stale.path_lost |= loss != Loss::Moved;
        if hard {
            stale.enter(Phase::Swept);
        } else if stale.path_lost || stale.phase != Phase::Kept {
            stale.walk = Some(None);
        }
        let sym = peer.sym;
        peer.stale = Some(stale);
        if !stays {
            let granted = self.groups.granted(session);
            granted.into_iter().for_each(|service| self.grant(sym, service, false));
        }
        self.groups.leave(session, stays, &mut self.state.table);
        self.look(name, now);
    }

    /// Another connection of a neighbour is gone, or was never established. If it was the last, the tunnel is gone with it.
    pub(crate) fn lose_link(&mut self, name: &NodeName, loss: Loss, now: Now) {
        if self.state.peers.get(name).is_none_or(|peer| peer.session.is_some() || peer.stale.is_none()) {
            return;
        }
        if loss == Loss::Hard {
            return self.reset(name, now);
        }
        let linked = self.sessions_of(name).next().is_some();
        let stale = self.state.peers.get_mut(name).and_then(|peer| peer.stale.as_mut());
        if let Some(stale) = stale.filter(|stale| !stale.path_lost && !linked) {
            stale.path_lost = true;
            stale.walk = Some(None);
            if stale.phase != Phase::Kept {
                self.unexpect(name);
            }
            self.look(name, now);
        }
    }

    /// Nothing that a lost neighbour told may stay.
    pub(crate) fn reset(&mut self, name: &NodeName, now: Now) {
        let Some(peer) = self.state.peers.get_mut(name) else { return };
        let Some(stale) = &mut peer.stale else { return };
        stale.enter(Phase::Swept);
        self.unexpect(name);
        self.look(name, now);
    }

    /// A session is there again. Its END_OF_RIB says which routes stay; it has the restart time to come to it.
    pub(crate) fn regain(&mut self, name: &NodeName, now: Now) {
        let stale = self.state.peers.get_mut(name).and_then(|peer| peer.stale.as_mut());
        if let Some(stale) = stale.filter(|stale| stale.phase != Phase::Swept) {
            stale.sweep_at = Some(now.mono.saturating_add(stale.restart_ms));
            stale.path_lost = false;
            self.look(name, now);
        }
    }

    /// A neighbour has told its whole table: what it did not confirm goes.
    pub(crate) fn table_told(&mut self, name: &NodeName, now: Now) {
        let stale = self.state.peers.get_mut(name).and_then(|peer| peer.stale.as_mut());
        if let Some(stale) = stale {
            stale.enter(Phase::Swept);
            self.look(name, now);
        }
    }

    /// What a neighbour did not confirm in its last telling goes.
    pub(crate) fn sweep(&mut self, name: &NodeName, now: Now) {
        let Some(peer) = self.state.peers.get_mut(name) else { return };
        let stale = peer.stale.get_or_insert_with(|| {
            Box::new(Stale {
                since: now.mono,
                phase: Phase::Swept,
                restart_until: now.mono,
                until: now.mono,
                sweep_at: None,
                path_lost: false,
                restart_ms: 0,
                tellings: 0,
                walk: None,
                timer: None,
            })
        });
        stale.enter(Phase::Swept);
        self.look(name, now);
    }

    /// A neighbour is not expected back: what it might use it may not use any more.
    pub(crate) fn unexpect(&mut self, name: &NodeName) {
        let Some(sym) = self.state.peers.get(name).map(|peer| peer.sym) else { return };
        let granted = self.groups.granted_to_absent(sym);
        granted.into_iter().for_each(|service| self.grant(sym, service, false));
        self.groups.forget(sym, &mut self.state.table);
    }

    /// Runs the timers of lost neighbours.
    pub(crate) fn tick_ages(&mut self, now: Now) {
        // One step for each: a walk that is long is due again at once, and others come in between.
        let due: alloc::vec::Vec<NodeName> =
            self.ages.iter().take_while(|(at, _)| *at <= now.mono).map(|(_, name)| name.clone()).collect();
        due.iter().for_each(|name| self.look(name, now));
    }

    /// Whether what lost neighbours leave is being looked at. The next step of it is due at once.
    #[must_use]
    pub fn is_ageing(&self) -> bool {
        self.state.peers.values().any(|peer| peer.stale.as_ref().is_some_and(|stale| stale.walk.is_some()))
    }

    /// Begins the phases that are due, goes one step on with the walk, sets the timer.
    fn look(&mut self, name: &NodeName, now: Now) {
        while let Some(stale) = self.state.peers.get_mut(name).and_then(|peer| peer.stale.as_mut())
            && let Some(phase) = stale.turns(now.mono)
        {
            stale.enter(phase);
            self.unexpect(name);
        }
        self.walk(name);
        let peer = self.state.peers.get_mut(name);
        let removed = peer.as_ref().is_some_and(|peer| peer.is_removed());
        let Some(stale) = peer.and_then(|peer| peer.stale.as_mut()) else {
            self.forget_age(name);
            if removed && !mutant!(RemovedStays) {
                self.step(&Event::PeerRemoved(name.clone()));
            }
            return;
        };
        let at = if stale.walk.is_some() { now.mono } else { stale.next() };
        if let Some(old) = stale.timer.replace(at) {
            self.ages.remove(&(old, name.clone()));
        }
        self.ages.insert((at, name.clone()));
    }

    /// There is nothing to look at any more.
    pub(crate) fn forget_age(&mut self, name: &NodeName) {
        self.ages.retain(|(_, other)| other != name);
    }

    /// One step of the walk that is under way, if one is.
    fn walk(&mut self, name: &NodeName) {
        let Some(peer) = self.state.peers.get(name) else { return };
        if peer.stale.as_ref().is_some_and(|stale| stale.walk.is_some()) {
            let mut delta = Delta::default();
            delta.push(Write::Age(peer.sym));
            self.commit(delta);
        }
    }
}
