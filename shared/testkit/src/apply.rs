//! Faults carried out.

use std::collections::BTreeSet;

use catalyst_control::Event;

use crate::conn::End;
use crate::fault::{Exit, Fault};
use crate::lies::requests;
use crate::net::{Due, Net};
use crate::seen::{Name, See};

impl Net {
    /// Lets a fault happen after so many milliseconds.
    pub fn schedule(&mut self, ms: u64, fault: Fault) {
        self.after(ms, Due::Fault(Box::new(fault)));
    }

    /// Lets a fault happen now.
    pub fn apply(&mut self, fault: Fault) {
        self.note(|_| format!("FAULT {fault:?}"));
        self.disturb(self.clock.now());
        self.touch(&fault);
        match fault {
            Fault::ServiceUp(node, service) => {
                self.changed_at_home(node, service.label.as_str());
                self.nodes[node].services.insert(service.label.clone(), service.clone());
                self.feed(node, &Event::ServiceUp(service));
            }
            Fault::ServiceDown(node, label) => {
                self.changed_at_home(node, label.as_str());
                self.nodes[node].services.remove(&label);
                self.feed(node, &Event::ServiceDown(label));
            }
            Fault::Health(node, label, healthy) => {
                self.changed_at_home(node, label.as_str());
                if let Some(service) = self.nodes[node].services.get_mut(&label) {
                    service.healthy = healthy;
                }
                self.feed(node, &Event::Health { label, healthy });
            }
            Fault::Policy(node, exports, imports) => {
                self.nodes[node].plan.exports.clone_from(&exports);
                self.nodes[node].plan.imports.clone_from(&imports);
                self.feed(node, &Event::PolicyChanged { exports, imports });
            }
            Fault::Lose(link, noticed) => {
                self.changed_by_link(link);
                self.lose(link, noticed);
            }
            Fault::Cut(link, noticed, ms) => {
                let until = self.clock.now() + ms;
                self.disturb(until);
                self.changed_by_link(link);
                let place = &mut self.links[link];
                place.down_until = place.down_until.max(until);
                self.lose(link, noticed);
            }
            Fault::Stall(link, from, ms) => {
                let until = self.clock.now() + ms;
                self.disturb(until);
                for (stalled, _) in self.links[link].stalled_until.iter_mut().zip(from).filter(|(_, f)| *f) {
                    *stalled = (*stalled).max(until);
                }
                self.at(until, Due::Flow { link });
            }
            Fault::Down(node, exit, back) => {
                // It goes; where somebody waits for it, because not even its last words came, it ranks behind before; and it comes back.
                let waited = self.nodes.iter().any(|node| node.plan.stale_max_ms > 0);
                self.changed_with(node, 1 + u64::from(waited) + u64::from(back.is_some()));
                self.take_down(node, exit);
                if let Some(ms) = back {
                    self.after(ms, Due::Start { node });
                }
            }
            Fault::Dial(link, side) => {
                let plan = &self.links[link].plan;
                let running = plan.ends.iter().all(|node| self.nodes[*node].core.is_some());
                if running && plan.sides[side].is_some() {
                    self.open(link, side);
                }
            }
            Fault::Swallow(link, from) => self.swallow(link, from),
            Fault::Refresh(link, side) => self.say(link, 1 - side, &requests(1)),
            Fault::Drain(node, draining) => {
                self.nodes[node].draining = draining && self.nodes[node].core.is_some();
                self.feed(node, &Event::DrainChanged(draining));
            }
            Fault::Interest(node, interest) => {
                self.nodes[node].plan.interest.clone_from(&interest);
                self.feed(node, &Event::InterestChanged(interest));
            }
            Fault::Lie(link, side, lie) => self.lie(link, side, lie),
            Fault::Tick(node) => self.feed(node, &Event::Tick),
            Fault::Configure(link, side, config) => {
                self.links[link].plan.sides[side] = config;
                self.configure(link, side);
                for side in 0..2 {
                    self.want_dial(link, side);
                }
            }
        }
    }

    /// A service changes, as far as counting goes.
    fn changed_at_home(&mut self, node: usize, label: &str) {
        let service = format!("{label}.{}", self.nodes[node].name().org());
        *self.changes.entry(service).or_default() += 1;
    }

    /// A node dies: what it offers changes so often, and the routes of all that some node reaches by way of it.
    fn changed_with(&mut self, lost: usize, times: u64) {
        let name = self.nodes[lost].name().to_string();
        let own = self.nodes[lost]
            .services
            .keys()
            .map(|label| format!("{label}.{}", self.nodes[lost].name().org()));
        let others = (0..self.nodes.len()).filter(|node| *node != lost);
        let moved: BTreeSet<String> =
            own.chain(others.flat_map(|node| self.reached_by(node, &name, true))).collect();
        for service in moved {
            *self.changes.entry(service).or_default() += times;
        }
    }

    /// A link is lost and comes back: so do the routes of all that its ends reach by way of it.
    fn changed_by_link(&mut self, link: usize) {
        let [a, b] = self.links[link].plan.ends;
        let names = [a, b].map(|node| self.nodes[node].name().to_string());
        let moved: BTreeSet<String> = self
            .reached_by(a, &names[1], false)
            .into_iter()
            .chain(self.reached_by(b, &names[0], false))
            .collect();
        for service in moved {
            *self.changes.entry(service).or_default() += 2;
        }
    }

    /// The services that a node reaches by another: as its next one, or somewhere on the way.
    fn reached_by(&self, node: usize, by: &str, anywhere: bool) -> BTreeSet<String> {
        let Some(seen) = self.nodes[node].core.as_ref().map(|core| core.look(See)) else {
            return BTreeSet::new();
        };
        let passes = |key: &Name, best: &String| {
            let row = seen.adj_in.get(key).and_then(|rows| rows.get(best));
            best == by || anywhere && row.is_some_and(|row| row.node_path.iter().any(|node| node == by))
        };
        let keys = seen.loc_rib.iter().filter(|(key, (best, _))| passes(key, best));
        keys.map(|(key, _)| key.0.clone()).collect()
    }

    /// Remembers the links on which a session may end for this.
    fn touch(&mut self, fault: &Fault) {
        match fault {
            Fault::Lose(link, _)
            | Fault::Cut(link, ..)
            | Fault::Stall(link, ..)
            | Fault::Dial(link, _)
            | Fault::Configure(link, ..) => drop(self.disturbed_links.insert(*link)),
            Fault::Down(node, ..) => self.disturbed_links.extend(&self.nodes[*node].links),
            _ => {}
        }
    }

    fn take_down(&mut self, node: usize, exit: Exit) {
        if exit == Exit::Stop {
            self.feed(node, &Event::Stop);
        }
        let place = &mut self.nodes[node];
        if exit == Exit::Rewind && place.core.is_some() {
            place.incarnation -= 1;
            self.misnumbered = true;
        }
        place.core = None;
        place.tick_at = None;
        place.draining = false;
        place.forwards.clear();
        place.told.clear();
        place.grants.clear();
        self.shadows.forget(node);
        self.gaps.forget(node);
        let place = &mut self.nodes[node];
        if exit == Exit::Wipe {
            place.services = place.plan.services.iter().map(|s| (s.label.clone(), s.clone())).collect();
            place.secret = self.secrets.bytes();
        }
        let ids: Vec<u64> = self.conns.keys().copied().collect();
        for id in ids {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            let Some(side) = self.links[conn.link].plan.ends.iter().position(|n| *n == node) else {
                continue;
            };
            match std::mem::replace(&mut conn.ends[side], End::Closed) {
                End::Closed => continue,
                // A node that stops in order stays until its last words are gone.
                End::Closing if exit == Exit::Stop => {}
                _ => conn.vanish(side),
            }
            if conn.over() {
                self.remove_if_over(id);
            } else {
                self.lost_at(id, 1 - side, !matches!(exit, Exit::Power | Exit::Wipe | Exit::Rewind));
            }
        }
    }

    /// Starts every node that is down.
    pub fn revive(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
    }
}
