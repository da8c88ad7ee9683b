//! What Envoy is told, as the node tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use catalyst_config::HostPort;
use catalyst_dataplane::{Bundle, Identity, Planner, Site};
use catalyst_identity::TrustBundle;
use catalyst_names::{NodeName, ServiceName};
use catalyst_node::mesh::Change;
use catalyst_xds::Changes;

use crate::steering::Steering;

/// Whose address a name is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A service of this node.
    Service(ServiceName),
    /// The mesh port of a neighbour.
    Neighbour(NodeName),
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Owner::Service(service) => write!(f, "service {service}"),
            Owner::Neighbour(peer) => write!(f, "mesh port of {peer}"),
        }
    }
}

/// A name that has to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) address: HostPort,
    /// What it stood for last; nothing before the first answer.
    pub(crate) known: Vec<SocketAddr>,
}

/// Everything, behind one lock that is held for moments.
#[derive(Debug)]
pub(crate) struct State {
    planner: Planner,
    steering: Steering,
    key: String,
    names: BTreeMap<Owner, Wanted>,
    /// Services of which Envoy was told since it last had everything.
    new: BTreeSet<ServiceName>,
}

impl State {
    /// `key` is the node's private key, in PEM.
    pub(crate) fn new(site: Site, key: String) -> Self {
        State {
            planner: Planner::new(site),
            steering: Steering::default(),
            key,
            names: BTreeMap::new(),
            new: BTreeSet::new(),
        }
    }

    pub(crate) fn carries(&self, peer: &NodeName) -> bool {
        self.steering.carries(peer)
    }

    pub(crate) fn open_ingress(&mut self, at: SocketAddr, certificate: Option<&Identity>) {
        if let Some(certificate) = certificate {
            self.planner.set_ingress(certificate);
        }
        self.planner.open_ingress(at, certificate.is_some());
    }

    /// Takes a change in. `true`: a name is to be resolved.
    pub(crate) fn tell(&mut self, change: &Change<'_>) -> bool {
        match change {
            Change::Forward(forward) => {
                self.new.insert(forward.service.clone());
                let service = self.steering.forward(forward);
                self.planner.set_service(&forward.service, service);
            }
            Change::Grant { peer, service, granted } => self.planner.set_grant(peer, service, *granted),
            Change::Target { service, target } => {
                let owner = Owner::Service((*service).clone());
                let Some(target) = target else {
                    self.names.remove(&owner);
                    self.planner.set_target(service, None);
                    return false;
                };
                return self.place(owner, target);
            }
            Change::Neighbour { peer, mesh_address } => return self.neighbour(peer, *mesh_address),
            Change::Port { service, at, open: true } => self.planner.open_port(service, *at),
            Change::Port { service, at, open: false } => self.planner.close_port(service, *at),
            Change::Identity(credentials) => {
                let identity = Identity { chain: credentials.chain_pem(), key: self.key.clone() };
                self.planner.set_identity(&identity);
            }
            Change::Trust(bundles) => {
                let bundle =
                    |b: &std::sync::Arc<TrustBundle>| Bundle { org: b.org().clone(), roots: b.to_pem() };
                self.planner.set_trust(&bundles.iter().map(bundle).collect::<Vec<_>>());
            }
            Change::Flush | Change::Complete => {}
        }
        false
    }

    fn neighbour(&mut self, peer: &NodeName, mesh_address: Option<&str>) -> bool {
        let owner = Owner::Neighbour(peer.clone());
        let Some(text) = mesh_address else {
            self.names.remove(&owner);
            self.meshed(peer, false);
            self.planner.set_neighbour(peer, None);
            return false;
        };
        match HostPort::parse(text) {
            Ok(address) => {
                let resolve = self.place(owner, &address);
                self.meshed(peer, true);
                resolve
            }
            Err(why) => {
                if !text.is_empty() {
                    tracing::warn!(%peer, address = text, %why, "the mesh address of a neighbour is not usable: flows take the tunnel");
                }
                self.names.remove(&owner);
                self.meshed(peer, false);
                self.planner.set_neighbour(peer, Some(Vec::new()));
                false
            }
        }
    }

    fn meshed(&mut self, peer: &NodeName, has: bool) {
        for (name, service) in self.steering.meshed(peer, has) {
            self.planner.set_service(&name, service);
        }
    }

    /// An address, or a name whose addresses are kept until it is resolved anew.
    fn place(&mut self, owner: Owner, address: &HostPort) -> bool {
        if let Ok(ip) = address.host.trim_matches(['[', ']']).parse() {
            self.names.remove(&owner);
            self.set(&owner, vec![SocketAddr::new(ip, address.port)]);
            return false;
        }
        let same = self.names.get(&owner).filter(|wanted| wanted.address == *address);
        let known = same.map(|wanted| wanted.known.clone()).unwrap_or_default();
        let resolve = known.is_empty();
        self.set(&owner, known.clone());
        self.names.insert(owner, Wanted { address: address.clone(), known });
        resolve
    }

    fn set(&mut self, owner: &Owner, addresses: Vec<SocketAddr>) {
        match owner {
            Owner::Service(service) => self.planner.set_target(service, Some(addresses)),
            Owner::Neighbour(peer) => self.planner.set_neighbour(peer, Some(addresses)),
        }
    }

    /// Envoy has everything.
    pub(crate) fn all_told(&mut self) {
        self.new.clear();
    }

    /// Whether Envoy may not have all of a service yet.
    pub(crate) fn is_new(&self, service: &ServiceName) -> bool {
        self.new.contains(service)
    }

    /// The names that are in use.
    pub(crate) fn names(&self) -> Vec<(Owner, HostPort)> {
        self.names.iter().map(|(owner, wanted)| (owner.clone(), wanted.address.clone())).collect()
    }

    /// What a name stands for now. One that is not in use any more is passed over.
    pub(crate) fn resolved(&mut self, owner: &Owner, address: &HostPort, mut found: Vec<SocketAddr>) {
        found.sort();
        found.dedup();
        let Some(wanted) = self.names.get_mut(owner).filter(|wanted| wanted.address == *address) else {
            return;
        };
        if wanted.known != found {
            wanted.known.clone_from(&found);
            self.set(owner, found);
        }
    }

    pub(crate) fn drain(&mut self) -> Changes {
        self.planner.drain()
    }
}
