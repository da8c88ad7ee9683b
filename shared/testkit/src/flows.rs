//! Flows on their way: while routes change, no flow may run in a circle for long.
//!
//! A circle is found when the data plane of one of its nodes is told a way, because only that closes it. It may last
//! as long as the news of it can be on its way.

use catalyst_control::{Endpoint, NextHop};
use catalyst_names::{NodeName, OriginId, ServiceName};

use crate::circles::{Circle, Standing};
use crate::net::Net;

/// Where a flow ends.
pub(crate) enum End {
    /// At a node that offers the service.
    Home(usize),
    /// At this node, which does not know where to send it or is to serve it but does not offer it, and why.
    Nowhere(usize, String),
    /// It comes by a place twice; all nodes on its way.
    Circle(Vec<usize>),
}

impl Net {
    /// A data plane was told a way: has it closed a circle, or opened one?
    pub(crate) fn ways_changed(&mut self, node: usize, service: &ServiceName) {
        let now = self.clock.now();
        let standing: Vec<Circle> =
            self.circles.open.keys().filter(|(s, ..)| s == service).cloned().collect();
        for circle in standing {
            let endpoint = self.first_way(circle.2, service, &circle.1);
            let nodes = endpoint.and_then(|e| self.returns(circle.2, service, &e));
            let Some(old) = self.circles.open.remove(&circle) else { continue };
            match nodes {
                None => self.circle_ended(&circle, now - old.since, now - old.same_since),
                Some(nodes) if nodes == old.nodes => drop(self.circles.open.insert(circle, old)),
                Some(nodes) => {
                    self.circle_ended(&circle, 0, now - old.same_since);
                    let other = Standing { since: old.since, same_since: now, nodes };
                    self.circles.open.insert(circle, other);
                }
            }
        }
        let Some(forward) = self.nodes[node].forwards.get(service) else { return };
        let firsts: Vec<Endpoint> = forward.endpoints.iter().filter(|e| !e.backup).cloned().collect();
        for endpoint in firsts {
            let circle = (service.clone(), endpoint.origin.clone(), node);
            if self.circles.open.contains_key(&circle) {
                continue;
            }
            if let Some(nodes) = self.returns(node, service, &endpoint) {
                self.circles.seen += 1;
                self.circles.open.insert(circle, Standing { since: now, same_since: now, nodes });
            }
        }
    }

    fn first_way(&self, node: usize, service: &ServiceName, origin: &OriginId) -> Option<Endpoint> {
        let forward = self.nodes[node].forwards.get(service)?;
        forward.endpoints.iter().find(|e| !e.backup && e.origin == *origin).cloned()
    }

    fn returns(&self, node: usize, service: &ServiceName, endpoint: &Endpoint) -> Option<Vec<usize>> {
        match self.follow(node, service, endpoint) {
            End::Circle(nodes) => Some(nodes),
            End::Home(_) | End::Nowhere(..) => None,
        }
    }

    /// One circle may last twice the longest delay. So may all circles of a flow together, one after the other, where
    /// there is one way around; where there are many, bad news makes nodes try one after the other.
    fn circle_ended(&mut self, circle: &Circle, lasted: u64, same: u64) {
        if !self.calm {
            return;
        }
        self.circles.longest = self.circles.longest.max(lasted);
        let meshed = self.links.len() > self.nodes.len();
        let lasted = if meshed { same } else { lasted.max(same) };
        let longest_delay = self.links.iter().map(|link| link.plan.delay.1).max().unwrap_or(0);
        if lasted > 2 * longest_delay {
            let (service, origin, node) = circle;
            let what = format!(
                "a flow to {service} of {origin} ran in a circle for {lasted} ms, with links of {longest_delay} ms"
            );
            self.violated(*node, &what);
        }
    }

    /// Follows a flow from a node whose data plane has chosen this endpoint.
    pub(crate) fn follow(&self, start: usize, service: &ServiceName, first: &Endpoint) -> End {
        let (mut at, mut endpoint) = (start, first);
        let mut passed = vec![start];
        while passed.len() <= self.nodes.len() + 1 {
            let NextHop::Peer(next) = &endpoint.next else {
                let offers = self.nodes[at].services.get(service.label()).is_some_and(|s| s.healthy);
                let ours = self.nodes[at].name().org() == service.org();
                return if offers && ours {
                    End::Home(at)
                } else {
                    End::Nowhere(at, format!("is to serve {service} but does not offer it"))
                };
            };
            let Some(to) = self.place(next) else {
                return End::Nowhere(at, format!("sends {service} to {next}, which is no node"));
            };
            let crossed = self.nodes[at].name().org() != self.nodes[to].name().org();
            let wanted = |e: &&Endpoint| match crossed {
                true => self.opaque_ids(to, at, e.origin.as_str()).any(|id| id == endpoint.origin),
                false => e.origin == endpoint.origin,
            };
            let onward = self.nodes[to].forwards.get(service).and_then(|f| f.endpoints.iter().find(wanted));
            let Some(onward) = onward else {
                let (from, origin) = (self.nodes[at].name(), &endpoint.origin);
                let what = format!("does not know {service} of {origin}, though {from} sends it there");
                return End::Nowhere(to, what);
            };
            (at, endpoint) = (to, onward);
            passed.push(to);
        }
        End::Circle(passed)
    }

    /// The node of this name.
    pub(crate) fn place(&self, name: &NodeName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The ids under which a node announces one of its origins to another.
    fn opaque_ids(&self, exporter: usize, to: usize, origin: &str) -> impl Iterator<Item = OriginId> {
        self.nodes[exporter]
            .links
            .iter()
            .map(|link| &self.links[*link].plan)
            .filter(move |plan| plan.ends.contains(&to))
            .filter_map(|plan| plan.sides[0].as_ref()?.agreement.as_ref())
            .map(move |a| catalyst_policy::border_origin(&self.nodes[exporter].secret, &a.digest(), origin))
    }
}
