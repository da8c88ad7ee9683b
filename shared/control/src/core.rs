//! The loop: an event, two phases, two commits, effects.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use catalyst_names::{NodeName, ServiceName};
use catalyst_route_table::{Change, Refusal, Store, Sym};
use catalyst_wire::{HEADER, Limits as WireLimits};

use crate::changes::Changes;
use crate::config::{LocalService, Settings};
use crate::delta::Delta;
use crate::effect::{Effect, Notice};
use crate::event::{Event, SessionId};
use crate::export::{GroupId, Groups, Marks};
use crate::limits::PIECES;
use crate::link::Link;
use crate::news::NUMBERED;
use crate::now::Now;
use crate::plugin::{PropagationPlugin, RouteTablePlugin, ServicePlugin};
use crate::plugins::{LocalServices, Propagate, Routes, check_service};
use crate::stale::Loss;
use crate::state::{Peer, State};
use crate::telling::Telling;
use crate::walk::Walk;

/// What [`crate::Peer::last_end`] says when only the transport knows why a connection is gone.
pub const LOST: &str = "the connection was lost";

/// The core of a node, over a route store. `Send`, so that a shell may move it to its thread.
pub struct Core<S> {
    pub(crate) state: State<S>,
    pub(crate) groups: Groups,
    pub(crate) links: BTreeMap<SessionId, Box<Link>>,
    /// The links of each peer.
    pub(crate) of_peer: BTreeSet<(NodeName, SessionId)>,
    /// One entry a link: when to look at its timers.
    pub(crate) timers: BTreeSet<(u64, SessionId)>,
    /// One entry a neighbour with routes that no session confirms: when to look at them.
    pub(crate) ages: BTreeSet<(u64, NodeName)>,
    /// Connections that this side has ended and whose end the shell has not reported yet: the other side may have
    /// ended them for a reason of its own, and that is worth to be heard.
    pub(crate) closing: BTreeMap<SessionId, NodeName>,
    /// Links with something to send, served in turn.
    pub(crate) ready: VecDeque<SessionId>,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) notices: usize,
    pub(crate) scratch: Vec<u8>,
    /// The way through the table that is under way.
    pub(crate) walk: Option<Walk>,
    /// Groups that wait for a walk of their own after it.
    pub(crate) waiting: Vec<GroupId>,
    /// Sessions whose new INTEREST is on its way through the table, served in turn.
    pub(crate) looking: VecDeque<SessionId>,
    /// When the last event came.
    last: u64,
    /// A TRUST frame for neighbours of the own organisation, or nothing.
    pub(crate) trust: Vec<u8>,
    routes: Vec<Box<dyn RouteTablePlugin<S> + Send>>,
    services: Vec<Box<dyn ServicePlugin<S> + Send>>,
    propagation: Vec<Box<dyn PropagationPlugin<S> + Send>>,
}

impl<S: Store> Core<S> {
    /// A core with the default plugins.
    ///
    /// # Errors
    /// [`Refusal`] when the store has not even room for this node's name.
    pub fn new(settings: Settings, store: S) -> Result<Self, Refusal> {
        let mut core = Core::bare(settings, store)?;
        core.add_routes(Box::new(Routes));
        core.add_services(Box::new(LocalServices));
        core.add_propagation(Box::new(Propagate));
        Ok(core)
    }

    /// A core without plugins: it peers, but moves no routes until some are added.
    ///
    /// # Errors
    /// As [`Core::new`].
    pub fn bare(settings: Settings, store: S) -> Result<Self, Refusal> {
        Ok(Core {
            state: State::new(settings, store)?,
            groups: Groups::default(),
            links: BTreeMap::new(),
            of_peer: BTreeSet::new(),
            timers: BTreeSet::new(),
            ages: BTreeSet::new(),
            closing: BTreeMap::new(),
            ready: VecDeque::new(),
            effects: VecDeque::new(),
            notices: 0,
            scratch: vec![0; HEADER + WireLimits::FRAME_BODY],
            walk: None,
            waiting: Vec::new(),
            looking: VecDeque::new(),
            last: 0,
            trust: Vec::new(),
            routes: Vec::new(),
            services: Vec::new(),
            propagation: Vec::new(),
        })
    }

    /// Adds a plugin that turns events into routes.
    pub fn add_routes(&mut self, plugin: Box<dyn RouteTablePlugin<S> + Send>) {
        self.routes.push(plugin);
    }

    /// Adds a plugin that turns events into services and changes into work.
    pub fn add_services(&mut self, plugin: Box<dyn ServicePlugin<S> + Send>) {
        self.services.push(plugin);
    }

    /// Adds a plugin that decides what neighbours hear.
    pub fn add_propagation(&mut self, plugin: Box<dyn PropagationPlugin<S> + Send>) {
        self.propagation.push(plugin);
    }

    /// Everything the core knows, to look at.
    pub fn state(&self) -> &State<S> {
        &self.state
    }

    /// The export groups, to look at.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Feeds one event.
    pub fn handle(&mut self, event: &Event, now: Now) {
        self.last = now.mono;
        self.state.now = now.mono;
        // What came in one batch is judged after it, when all had their turn to be sent to; room to send is heard first.
        if !matches!(event, Event::Writable { .. }) {
            self.end_overdue(now);
        }
        match event {
            Event::SessionUp { session, peer, dialled } => self.session_up(*session, peer, *dialled, now),
            Event::PeerFrame { session, frame } => self.frame(*session, frame, event, now),
            Event::Writable { session, bytes } => self.writable(*session, *bytes),
            Event::SessionDown { session } => {
                self.closing.remove(session);
                self.session_down(*session, LOST, Loss::Lost, now);
            }
            Event::PeerConfigured(config) => self.peer_configured(config, event, now),
            Event::PeerRemoved(name) => {
                self.peer_removed(name, "the peer was removed from the configuration", now);
            }
            #[cfg(feature = "transit")]
            Event::PeerRevoked(name) => {
                self.peer_removed(name, &alloc::format!("the certificate of '{name}' was revoked"), now);
            }
            Event::PolicyChanged { exports, imports } => {
                let state = &self.state;
                let same = state.exports().rules() == exports && state.imports().rules() == imports;
                if !same {
                    // What waits was chosen under the rules of before, and is told under them.
                    self.end_pauses();
                    self.rules_changed(event);
                }
            }
            Event::ServiceUp(service) => match self.service_refused(service) {
                Some(why) => self.notice(Notice::ServiceRefused(service.label.clone(), why)),
                None => drop(self.step(event)),
            },
            Event::ServiceDown(_) | Event::Health { .. } => drop(self.step(event)),
            Event::TrustChanged { frame } => self.trust_changed(frame),
            Event::InterestChanged(interest) => self.interest_changed(interest.as_deref()),
            Event::DrainChanged(draining) => self.drain_changed(*draining),
            Event::Tick => self.tick(now),
            Event::Stop => self.stop(now),
        }
        self.state.table.collect();
    }

    /// Why a service of this node cannot be offered; what stood under its name stays.
    fn service_refused(&self, service: &LocalService) -> Option<String> {
        let max = self.state.settings.limits.services;
        if !self.state.services.contains_key(&service.label) && self.state.services.len() >= max {
            return Some(alloc::format!("the limit of {max} services is reached; raise limits.services"));
        }
        check_service(service).err()
    }

    /// The next effect.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        if matches!(effect, Some(Effect::Notice(_))) {
            self.notices -= 1;
        }
        effect
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.push_effect(Effect::Notice(notice));
    }

    /// Queues an effect. Notices are bounded: the newest is dropped and counted when nobody drains them. All other
    /// effects are bounded by what caused them, and the shell drains after every event.
    pub(crate) fn push_effect(&mut self, effect: Effect) {
        if matches!(effect, Effect::Notice(_)) {
            if self.notices >= self.state.settings.limits.notices {
                self.state.counters.dropped_notices += 1;
                return;
            }
            self.notices += 1;
        }
        self.effects.push_back(effect);
    }

    /// Both phases and both commits for one event; false when the event was dropped.
    pub(crate) fn step(&mut self, event: &Event) -> bool {
        let mut deltas: Vec<Delta<'_>> = self.routes.iter().map(|p| p.apply(event, &self.state)).collect();
        deltas.extend(self.services.iter().map(|p| p.apply(event, &self.state)));
        match Delta::join(deltas) {
            Ok(delta) => {
                self.commit(delta);
                true
            }
            Err(conflict) => {
                self.state.counters.plugin_conflicts += 1;
                self.notice(Notice::PluginConflict(alloc::format!("{conflict}")));
                false
            }
        }
    }

    /// The commit of phase 1 and all of phase 2.
    pub(crate) fn commit(&mut self, delta: Delta<'_>) {
        if delta.is_empty() {
            return;
        }
        let mut effects = Vec::new();
        let mut changes = self.state.apply(delta, &mut effects);
        let again = self.state.judge_ahead(&mut changes);
        effects.into_iter().for_each(|e| self.push_effect(e));
        self.tell(changes, again, None);
    }

    /// All of phase 2: what changed, and keys that are to be looked at again although they did not. For all export groups,
    /// or for some.
    pub(crate) fn tell(&mut self, mut changes: Changes, again: Vec<Change>, only: Option<&[GroupId]>) {
        #[cfg(feature = "watch")]
        self.state.observe_bests(&changes.routes);
        if !changes.is_empty() {
            let mut effects = Vec::new();
            for plugin in &self.services {
                plugin.react(&self.state, &changes, &mut effects);
            }
            effects.into_iter().for_each(|e| self.push_effect(e));
        }
        if only.is_some() {
            // One group would hold another way of a key than the others.
            self.end_pauses();
        } else {
            self.state.shaken(&mut changes);
        }
        // For other rules and marks nothing waits.
        let patient = again.is_empty();
        changes.routes.extend(again);
        match only {
            _ if changes.is_empty() => return,
            None => self.propagate(&changes, None, patient),
            Some(groups) => groups.iter().for_each(|id| self.propagate(&changes, Some(*id), false)),
        }
        self.state.news.clear();
    }

    /// Tells all export groups of keys that did not change just now.
    #[cfg(feature = "transit")]
    pub(crate) fn retell(&mut self, changes: &Changes) {
        self.propagate(changes, None, false);
    }

    /// What the changes mean for all export groups, or for one; and whether better news may wait.
    fn propagate(&mut self, changes: &Changes, only: Option<GroupId>, patient: bool) {
        let all = self.groups.infos();
        let infos = match only {
            None => all,
            Some(id) => all.iter().find(|i| i.id == id).map_or(&[][..], core::slice::from_ref),
        };
        if infos.is_empty() {
            if only.is_none() {
                self.forget_told();
            }
            return;
        }
        let mut marks = Marks::new(infos);
        for plugin in &self.propagation {
            plugin.evaluate(&self.state, changes, &mut marks);
        }
        let (matched, mut list) = marks.settle();
        matched.into_iter().for_each(|rule| self.state.exports.matched(rule));
        let mut telling = if patient { self.put_off(&list) } else { Telling::default() };
        self.withhold(&mut list, changes);
        let mut touched = BTreeSet::new();
        let most = self.state.settings.limits.origins;
        // A grant that goes and comes back within one step must not cut flows: only the sum counts.
        let mut grants: BTreeMap<(GroupId, Sym), (bool, bool)> = BTreeMap::new();
        for mark in list {
            if telling.waits(&mark) {
                continue;
            }
            let (group, key) = (mark.group, mark.key);
            let (changed, grant) = self.groups.apply(mark, most, &self.state.news, &mut self.state.table);
            if changed {
                touched.insert(group);
                telling.tells(key);
            }
            if let Some(grant) = grant {
                let flips =
                    grants.entry((grant.group, grant.service)).or_insert((grant.granted, grant.granted));
                flips.1 = grant.granted;
            }
        }
        if only.is_none() {
            self.were_told(changes, &telling);
        }
        for ((group, service), (first, last)) in grants {
            if first == last {
                let members: Vec<Sym> = self.groups.members(group).collect();
                members.into_iter().for_each(|peer| self.grant(peer, service, last));
            }
        }
        for group in touched {
            let sessions = self.groups.touched(group, &mut self.state.table);
            sessions.into_iter().for_each(|s| self.mark_ready(s));
        }
    }

    /// Tells the data plane that a peer may, or may no longer, use a service.
    pub(crate) fn grant(&mut self, peer: Sym, service: Sym, granted: bool) {
        let Some(peer) = self.state.by_sym.get(&peer).cloned() else { return };
        if let Ok(service) = ServiceName::parse(self.state.table.text(service)) {
            self.push_effect(Effect::Grant { peer, service, granted });
        }
    }

    /// Other rules from now on.
    fn rules_changed(&mut self, event: &Event) {
        if self.step(event) {
            self.regroup();
            self.walk_for_rules();
        }
    }

    /// Gives sessions a group of their own whose nodes the export rules name now.
    fn regroup(&mut self) {
        for peer in self.state.peers.values() {
            if let Some(session) = peer.session
                && self.state.exports.list.names_node(peer.config.name.as_str())
            {
                let group = self.groups.fork(session, &peer.config.name, &mut self.state.table);
                self.waiting.extend(group.filter(|_| PIECES));
            }
        }
        // One that is expected back has to come back for it: rules for others must not let it in meanwhile.
        let named = |peer: &Peer| {
            peer.session.is_none() && self.state.exports.list.names_node(peer.config.name.as_str())
        };
        let away = self.state.peers().filter(|peer| named(peer) && !self.groups.is_alone(peer.sym));
        let away: Vec<NodeName> = away.map(|peer| peer.config.name.clone()).collect();
        away.iter().for_each(|name| self.unexpect(name));
    }

    /// When [`Event::Tick`] is due, by the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        let sessions = self.timers.first().map(|(at, _)| *at);
        let ages = self.ages.first().map(|(at, _)| *at);
        let at_once = (!self.looking.is_empty() || PIECES && self.walk.is_some()).then_some(self.last);
        let held = self.state.hold_down.due().filter(|_| NUMBERED);
        let others =
            self.state.flaps.due().into_iter().chain(held).chain(self.pause_due()).chain(self.withheld_due());
        sessions.into_iter().chain(ages).chain(at_once).chain(others).min()
    }
}
