//! Which next step each way of a service is for Envoy: this node's socket, a neighbour's mesh port, or the tunnel.
//!
//! There may be many services: a name takes a quarter of a kilobyte wherever it stands as such, so here it stands once and is
//! shared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalyst_control::{Forward, NextHop};
use catalyst_dataplane::{Service, Via, Way};
use catalyst_names::{NodeName, Protocol, ServiceName};

/// Ways and neighbours, as the node knows them.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    /// Services with a way through a neighbour. What leads nowhere else than to this node does not depend on any.
    known: BTreeMap<Arc<str>, Known>,
    /// Services by the neighbours that their ways lead through.
    through: BTreeMap<NodeName, Through>,
    /// Neighbours with a mesh port.
    meshed: BTreeSet<NodeName>,
}

#[derive(Debug)]
struct Known {
    protocol: Protocol,
    ways: Box<[Step]>,
}

/// One way: through a neighbour, or of this node.
#[derive(Debug)]
struct Step {
    peer: Option<Arc<NodeName>>,
    weight: u32,
    equal: bool,
}

#[derive(Debug)]
struct Through {
    peer: Arc<NodeName>,
    services: BTreeSet<Arc<str>>,
}

impl Steering {
    /// Whether the way to this neighbour is its mesh port.
    pub(crate) fn carries(&self, peer: &NodeName) -> bool {
        self.meshed.contains(peer)
    }

    /// The ways to a service changed.
    pub(crate) fn forward(&mut self, forward: &Forward) -> Service {
        let name = match self.known.remove_entry(forward.service.as_str()) {
            Some((name, old)) => {
                self.leave(&name, &old);
                name
            }
            None => Arc::from(forward.service.as_str()),
        };
        let steps = forward.endpoints.iter().map(|endpoint| Step {
            peer: match &endpoint.next {
                NextHop::Local => None,
                NextHop::Peer(peer) => Some(self.shared(peer)),
            },
            weight: endpoint.weight.into(),
            equal: endpoint.equal,
        });
        let known = Known { protocol: forward.protocol, ways: steps.collect() };
        let service = self.service(&known);
        let mut through = false;
        for peer in known.ways.iter().filter_map(|step| step.peer.as_ref()) {
            let empty = || Through { peer: Arc::clone(peer), services: BTreeSet::new() };
            let entry = self.through.entry((**peer).clone()).or_insert_with(empty);
            entry.services.insert(Arc::clone(&name));
            through = true;
        }
        if through {
            self.known.insert(name, known);
        }
        service
    }

    /// A neighbour's name as it stands here already.
    fn shared(&self, peer: &NodeName) -> Arc<NodeName> {
        self.through.get(peer).map_or_else(|| Arc::new(peer.clone()), |through| Arc::clone(&through.peer))
    }

    /// A service leads through these neighbours no more.
    fn leave(&mut self, name: &str, old: &Known) {
        for peer in old.ways.iter().filter_map(|step| step.peer.as_deref()) {
            if let Some(through) = self.through.get_mut(peer) {
                through.services.remove(name);
                if through.services.is_empty() {
                    self.through.remove(peer);
                }
            }
        }
    }

    /// A neighbour has a mesh port, or has none. Returns the services whose ways are others now.
    pub(crate) fn meshed(&mut self, peer: &NodeName, has: bool) -> Vec<(ServiceName, Service)> {
        let changed = if has { self.meshed.insert(peer.clone()) } else { self.meshed.remove(peer) };
        if !changed {
            return Vec::new();
        }
        let services = self.through.get(peer).into_iter().flat_map(|through| &through.services);
        let known = services.filter_map(|name| {
            // It was one when it came.
            let parsed = ServiceName::parse(name).ok()?;
            Some((parsed, self.service(self.known.get(name)?)))
        });
        known.collect()
    }

    fn service(&self, known: &Known) -> Service {
        let way = |step: &Step| Way {
            via: match step.peer.as_deref() {
                None => Via::Local,
                Some(peer) if self.meshed.contains(peer) => Via::Peer(peer.clone()),
                Some(_) => Via::Node,
            },
            weight: step.weight,
            equal: step.equal,
        };
        Service { protocol: known.protocol, ways: known.ways.iter().map(way).collect() }
    }
}

#[cfg(test)]
mod tests {
    use catalyst_control::Endpoint;
    use catalyst_names::{OriginId, Protocol};

    use super::*;

    fn forward(peers: &[&str]) -> Forward {
        let endpoint = |peer: &&str| Endpoint {
            origin: OriginId::parse("o").unwrap(),
            next: NextHop::Peer(peer.parse().unwrap()),
            weight: 7,
            equal: true,
            backup: false,
        };
        Forward {
            service: "web.acme.example".parse().unwrap(),
            protocol: Protocol::Http,
            endpoints: peers.iter().map(endpoint).collect(),
        }
    }

    fn vias(service: &Service) -> Vec<Via> {
        service.ways.iter().map(|way| way.via.clone()).collect()
    }

    #[test]
    fn a_neighbour_with_a_mesh_port_is_reached_by_it_and_others_by_the_tunnel() {
        let (a, b): (NodeName, NodeName) =
            ("a.acme.example".parse().unwrap(), "b.acme.example".parse().unwrap());
        let mut steering = Steering::default();
        let known = steering.forward(&forward(&["a.acme.example", "b.acme.example"]));
        assert_eq!(vias(&known), [Via::Node, Via::Node]);
        let changed = steering.meshed(&a, true);
        assert_eq!(changed.len(), 1);
        assert_eq!(vias(&changed[0].1), [Via::Peer(a.clone()), Via::Node]);
        assert!(steering.meshed(&a, true).is_empty(), "nothing changed");
        steering.forward(&forward(&["b.acme.example"]));
        assert!(steering.meshed(&a, false).is_empty(), "no service goes through it any more");
        assert_eq!(vias(&steering.meshed(&b, true)[0].1), [Via::Peer(b.clone())]);
        steering.forward(&forward(&[]));
        assert!(steering.meshed(&b, false).is_empty() && steering.through.is_empty());
    }
}
