//! Events into a core, and what it asks for carried out.

use catalyst_control::record::{Record, Recording};
use catalyst_control::{Effect, Event, LocalService, Notice, SessionId, Settings};

use crate::any::AnyCore;
use crate::net::{Due, Net};

/// Notices kept of each node: the newest.
const NOTICES: usize = 256;

impl Net {
    pub(crate) fn tick(&mut self, node: usize) {
        let now = self.clock.now();
        let place = &mut self.nodes[node];
        // Another tick was set since.
        if place.tick_at.is_none_or(|at| at > now) {
            return;
        }
        place.tick_at = None;
        let due = place.core.as_ref().and_then(AnyCore::next_deadline);
        match due {
            Some(mono) if mono <= self.clock.seen_with(self.nodes[node].plan.skew).mono => {
                self.feed(node, &Event::Tick);
            }
            _ => self.set_tick(node),
        }
    }

    fn set_tick(&mut self, node: usize) {
        let place = &self.nodes[node];
        let Some(mono) = place.core.as_ref().and_then(AnyCore::next_deadline) else { return };
        let at = self.clock.moment_of(mono, place.plan.skew);
        // One that is set already may be as late as a timer may ring.
        let latest = mono.saturating_sub(place.plan.skew) + place.plan.late;
        if place.tick_at.is_none_or(|set| latest < set) {
            let at = at + self.rng.below(place.plan.late + 1);
            self.nodes[node].tick_at = Some(at);
            self.at(at, Due::Tick { node });
        }
    }

    /// Gives an event to a node, and carries out what comes of it.
    pub fn feed(&mut self, node: usize, event: &Event) {
        let place = &mut self.nodes[node];
        let Some(core) = place.core.as_mut() else { return };
        let now = self.clock.seen_with(place.plan.skew);
        // Both may change all that is told.
        if matches!(event, Event::PolicyChanged { .. } | Event::DrainChanged(_)) {
            place.rules_changed = self.stats.steps;
        }
        if let Some(recording) = &mut place.recording {
            recording.records.push(Record { now, event: event.clone() });
        }
        let judging = core.is_judging() || matches!(event, Event::PolicyChanged { .. });
        core.handle(event, now);
        let rules_alone = judging && !core.is_ageing();
        let begins = matches!(event, Event::PolicyChanged { .. });
        // A frame may end a session and begin another, whose permissions go and come back.
        let goes_on = begins || matches!(event, Event::Tick | Event::Writable { .. });
        let cut = place.cut.take().filter(|_| !begins).unwrap_or_default();
        place.cut = (rules_alone && goes_on).then_some(cut);
        let effects: Vec<Effect> = std::iter::from_fn(|| core.poll_effect()).collect();
        let frames: Vec<(SessionId, Vec<u8>)> = std::iter::from_fn(|| core.poll_transmit()).collect();
        self.shadow_event(node, event);
        let granted = self.granted(node, &effects);
        let moved = Net::moved(&effects);
        for effect in effects {
            self.effect(node, effect);
        }
        if judging {
            self.lets_out(node, &frames);
        }
        for (session, frame) in frames {
            self.said(node, session, &frame);
            self.transmit(node, session, frame);
        }
        self.shadow_after(node);
        self.pauses_end(node);
        self.withheld_end(node, event);
        self.told_end(node, moved);
        if judging {
            self.is_as_rules_are(node, &granted);
        }
        self.is_rightly_denied(node, granted);
        self.set_tick(node);
    }

    fn effect(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Forward(forward) => {
                let changed = self.nodes[node].changed.entry(forward.service.clone()).or_default();
                *changed = [self.stats.steps, changed[0]];
                let (forwards, service) = (&mut self.nodes[node].forwards, forward.service.clone());
                if forward.endpoints.is_empty() {
                    forwards.remove(&service);
                } else {
                    forwards.insert(service.clone(), forward);
                }
                self.ways_changed(node, &service);
            }
            Effect::Grant { peer, service, granted } => {
                let (whom, what) = (peer.to_string(), service.to_string());
                self.cuts(node, (&peer, &service), granted);
                let grants = &mut self.nodes[node].grants;
                let changed =
                    if granted { grants.insert((peer, service)) } else { grants.remove(&(peer, service)) };
                if !changed {
                    self.violated(node, &format!("said again that {whom} granted={granted} {what}"));
                }
            }
            Effect::Close { session, last } => {
                self.shadow_closed(node, session, &last);
                self.close(node, session, last);
            }
            // No node of the simulation states anything.
            Effect::Trust { peer, .. } => self.violated(node, &format!("a statement from {peer}")),
            Effect::Notice(notice) => self.notice(node, notice),
        }
    }

    fn notice(&mut self, node: usize, notice: Notice) {
        self.note(|net| format!("{}: {notice:?}", net.nodes[node].plan.name));
        self.shadow_notice(node, &notice);
        match &notice {
            Notice::PeerUp(peer, session) => self.session_established(node, peer, *session),
            Notice::MalformedRoute(peer, _) if self.was_lied_to(node, peer.as_str()) => {}
            Notice::MalformedRoute(..) | Notice::PluginConflict(_) | Notice::PolicyRefused(_) => {
                self.violated(node, &format!("{notice:?}"));
            }
            _ => {}
        }
        let place = &mut self.nodes[node];
        if place.notices.len() >= NOTICES {
            place.notices.pop_front();
        }
        place.notices.push_back((self.clock.now(), notice));
    }

    /// Starts a node that does not run: a new incarnation with the configuration of the moment.
    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].core.is_some() {
            return;
        }
        self.disturb(self.clock.now());
        let place = &mut self.nodes[node];
        place.incarnation += 1;
        let interest = place.plan.interest.clone();
        let settings = Settings {
            name: place.plan.name.clone(),
            incarnation: place.incarnation,
            border_secret: place.secret,
            limits: place.plan.limits,
            mesh_address: if place.plan.mesh { "mesh.example:8443".to_owned() } else { String::new() },
            stale_max_ms: place.plan.stale_max_ms,
            flap: place.plan.flap,
        };
        place.recording = self.record.then(|| Recording::new(&settings));
        match AnyCore::new(settings, place.plan.store) {
            Ok(core) => place.core = Some(core),
            Err(refusal) => return self.violated(node, &format!("does not start: {refusal}")),
        }
        self.note(|net| format!("{} starts", net.nodes[node].plan.name));
        let (exports, imports) =
            (self.nodes[node].plan.exports.clone(), self.nodes[node].plan.imports.clone());
        self.feed(node, &Event::PolicyChanged { exports, imports });
        if interest.is_some() {
            self.feed(node, &Event::InterestChanged(interest));
        }
        let services: Vec<LocalService> = self.nodes[node].services.values().cloned().collect();
        let late = self.rng.percent(30);
        if !late {
            services.iter().for_each(|s| self.feed(node, &Event::ServiceUp(s.clone())));
        }
        for link in self.nodes[node].links.clone() {
            let sides = self.links[link].plan.ends.map(|end| end == node);
            for side in (0..2).filter(|side| sides[*side]) {
                self.configure(link, side);
                self.want_dial(link, side);
            }
        }
        if late {
            services.iter().for_each(|s| self.feed(node, &Event::ServiceUp(s.clone())));
        }
    }

    /// Tells a running node how its side of a link is configured.
    pub(crate) fn configure(&mut self, link: usize, side: usize) {
        self.links[link].fresh_from = self.next_conn;
        let plan = &self.links[link].plan;
        let name = self.nodes[plan.ends[1 - side]].plan.name.clone();
        let event = match &plan.sides[side] {
            Some(config) => {
                let restart_ms = self.nodes[plan.ends[side]].plan.restart_ms;
                Event::PeerConfigured(Box::new(config.config(&name, restart_ms)))
            }
            None => Event::PeerRemoved(name),
        };
        let node = plan.ends[side];
        self.feed(node, &event);
    }
}
