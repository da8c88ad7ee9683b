//! Which next step each way of a service is for Envoy: this node's socket, a neighbour's mesh port, or the tunnel.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_control::{Forward, NextHop};
use catalyst_dataplane::{Service, Via, Way};
use catalyst_names::{NodeName, ServiceName};

/// Ways and neighbours, as the node knows them.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    forwards: BTreeMap<ServiceName, Forward>,
    /// Services by the neighbours that their ways lead through.
    through: BTreeMap<NodeName, BTreeSet<ServiceName>>,
    /// Neighbours with a mesh port.
    meshed: BTreeSet<NodeName>,
}

impl Steering {
    /// Whether the way to this neighbour is its mesh port.
    pub(crate) fn carries(&self, peer: &NodeName) -> bool {
        self.meshed.contains(peer)
    }

    /// The ways to a service changed.
    pub(crate) fn forward(&mut self, forward: &Forward) -> Service {
        let name = &forward.service;
        let old = match forward.endpoints.is_empty() {
            true => self.forwards.remove(name),
            false => self.forwards.insert(name.clone(), forward.clone()),
        };
        for peer in old.iter().flat_map(peers) {
            if let Some(services) = self.through.get_mut(peer) {
                services.remove(name);
                if services.is_empty() {
                    self.through.remove(peer);
                }
            }
        }
        for peer in peers(forward) {
            self.through.entry(peer.clone()).or_default().insert(name.clone());
        }
        self.service(forward)
    }

    /// A neighbour has a mesh port, or has none. Returns the services whose ways are others now.
    pub(crate) fn meshed(&mut self, peer: &NodeName, has: bool) -> Vec<(ServiceName, Service)> {
        let changed = if has { self.meshed.insert(peer.clone()) } else { self.meshed.remove(peer) };
        if !changed {
            return Vec::new();
        }
        let services = self.through.get(peer).into_iter().flatten();
        let known = services.filter_map(|name| self.forwards.get(name));
        known.map(|forward| (forward.service.clone(), self.service(forward))).collect()
    }

    fn service(&self, forward: &Forward) -> Service {
        let way = |endpoint: &catalyst_control::Endpoint| Way {
            via: match &endpoint.next {
                NextHop::Local => Via::Local,
                NextHop::Peer(peer) if self.meshed.contains(peer) => Via::Peer(peer.clone()),
                NextHop::Peer(_) => Via::Node,
            },
            weight: endpoint.weight.into(),
            equal: endpoint.equal,
        };
        Service { protocol: forward.protocol, ways: forward.endpoints.iter().map(way).collect() }
    }
}

fn peers(forward: &Forward) -> impl Iterator<Item = &NodeName> {
    forward.endpoints.iter().filter_map(|endpoint| match &endpoint.next {
        NextHop::Peer(peer) => Some(peer),
        NextHop::Local => None,
    })
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
