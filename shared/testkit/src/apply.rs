//! Faults carried out.

use catalyst_control::Event;

use crate::conn::End;
use crate::fault::{Exit, Fault};
use crate::lies::requests;
use crate::net::{Due, Net};

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
            Fault::Lose(link, noticed) => self.lose(link, noticed),
            Fault::Cut(link, noticed, ms) => {
                let until = self.clock.now() + ms;
                self.disturb(until);
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
        // What it offered goes with it.
        let gone: Vec<_> = self.nodes[node].services.keys().cloned().collect();
        gone.iter().for_each(|label| self.changed_at_home(node, label.as_str()));
        let place = &mut self.nodes[node];
        if exit == Exit::Rewind && place.core.is_some() {
            place.incarnation -= 1;
            self.misnumbered = true;
        }
        place.core = None;
        place.tick_at = None;
        place.draining = false;
        place.forwards.clear();
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
