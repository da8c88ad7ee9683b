//! The loop: an event, two phases, two commits, effects.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use catalyst_names::ServiceName;
use catalyst_route_table::{Change, Refusal, Store};
use catalyst_wire::{HEADER, Limits as WireLimits};

use crate::changes::Changes;
use crate::config::Settings;
use crate::delta::Delta;
use crate::effect::{Effect, Notice};
use crate::event::{Event, SessionId};
use crate::export::{Groups, Marks};
use crate::link::Link;
use crate::now::Now;
use crate::plugin::{PropagationPlugin, RouteTablePlugin, ServicePlugin};
use crate::plugins::{LocalServices, Propagate, Routes};
use crate::state::State;

/// The core of a node, over a route store. `Send`, so that a shell may move it to its thread.
pub struct Core<S> {
    pub(crate) state: State<S>,
    pub(crate) groups: Groups,
    pub(crate) links: BTreeMap<SessionId, Link>,
    /// One entry a link: when to look at its timers.
    pub(crate) timers: BTreeSet<(u64, SessionId)>,
    /// Links with something to send, served in turn.
    pub(crate) ready: VecDeque<SessionId>,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) notices: usize,
    pub(crate) scratch: Vec<u8>,
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
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
            effects: VecDeque::new(),
            notices: 0,
            scratch: vec![0; HEADER + WireLimits::FRAME_BODY],
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
        match event {
            Event::SessionUp { session, peer, dialled } => self.session_up(*session, peer, *dialled, now),
            Event::PeerFrame { session, frame } => self.frame(*session, frame, event, now),
            Event::Writable { session, bytes } => self.writable(*session, *bytes),
            Event::SessionDown { session } => self.session_down(*session, "the connection was lost", now),
            Event::PeerConfigured(config) => self.peer_configured(config, event, now),
            Event::PeerRemoved(name) => self.peer_removed(name, event, now),
            Event::PolicyChanged { exports, imports } => {
                self.state.exports.clone_from(exports);
                self.state.imports.clone_from(imports);
                self.step(event);
                self.rebuild_all();
            }
            Event::ServiceUp(service) => {
                let known = self.state.services.contains_key(&service.label);
                if !known && self.state.services.len() >= self.state.settings.limits.services {
                    let why = alloc::format!(
                        "the limit of {} services is reached; raise limits.services",
                        self.state.settings.limits.services
                    );
                    self.notice(Notice::ServiceRefused(service.label.clone(), why));
                } else {
                    self.step(event);
                }
            }
            Event::ServiceDown(_) | Event::Health { .. } => self.step(event),
            Event::Tick => self.tick(now),
            Event::Stop => self.stop(),
        }
        self.state.table.collect();
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

    /// Both phases and both commits for one event.
    pub(crate) fn step(&mut self, event: &Event) {
        let mut deltas: Vec<Delta<'_>> = self.routes.iter().map(|p| p.apply(event, &self.state)).collect();
        deltas.extend(self.services.iter().map(|p| p.apply(event, &self.state)));
        let delta = match Delta::join(deltas) {
            Ok(delta) => delta,
            Err(conflict) => {
                self.state.counters.plugin_conflicts += 1;
                self.notice(Notice::PluginConflict(alloc::format!("{conflict}")));
                return;
            }
        };
        if delta.is_empty() {
            return;
        }
        let mut effects = Vec::new();
        let changes = self.state.apply(delta, &mut effects);
        effects.into_iter().for_each(|e| self.push_effect(e));
        self.spread(&changes);
    }

    /// Phase 2 and its commit.
    fn spread(&mut self, changes: &Changes) {
        if changes.routes.is_empty() {
            return;
        }
        let mut effects = Vec::new();
        for plugin in &self.services {
            plugin.react(&self.state, changes, &mut effects);
        }
        effects.into_iter().for_each(|e| self.push_effect(e));
        self.propagate(changes);
    }

    fn propagate(&mut self, changes: &Changes) {
        if self.groups.infos().is_empty() {
            return;
        }
        let mut marks = Marks::new(self.groups.infos());
        for plugin in &self.propagation {
            plugin.evaluate(&self.state, changes, &mut marks);
        }
        let list = marks.list;
        let mut touched = BTreeSet::new();
        for mark in list {
            let group = mark.group;
            let (changed, grant) = self.groups.apply(mark, &mut self.state.table);
            if changed {
                touched.insert(group);
            }
            if let Some(grant) = grant {
                let sessions: Vec<SessionId> = self.groups.sessions(grant.group).collect();
                sessions.into_iter().for_each(|s| self.grant(s, grant.service, grant.granted));
            }
        }
        for group in touched {
            let sessions: Vec<SessionId> = self.groups.sessions(group).collect();
            sessions.into_iter().for_each(|s| self.mark_ready(s));
        }
    }

    /// Tells the data plane that the peer of a session may, or may no longer, use a service.
    pub(crate) fn grant(&mut self, session: SessionId, service: catalyst_route_table::Sym, granted: bool) {
        let Some(peer) = self.links.get(&session).map(|l| l.peer.clone()) else { return };
        if let Ok(service) = ServiceName::parse(self.state.table.text(service)) {
            self.push_effect(Effect::Grant { peer, service, granted });
        }
    }

    /// Looks at the whole Loc-RIB again for the groups: after a change of policy or of membership.
    pub(crate) fn rebuild_all(&mut self) {
        let routes = self.state.table.loc_rib();
        let change =
            |(key, best)| Change { key, old_best: Some(best), new_best: Some(best), best_changed: true };
        let changes = Changes { routes: routes.map(change).collect(), ..Changes::default() };
        self.propagate(&changes);
    }

    /// When [`Event::Tick`] is due, by the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.first().map(|(at, _)| *at)
    }
}
