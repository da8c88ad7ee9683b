//! What Envoy is told, as the node tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use catalyst_config::HostPort;
use catalyst_dataplane::{Bundle, Caller, Identity, Planner, Site, key_mark};
use catalyst_identity::TrustBundle;
use catalyst_names::{NodeName, ServiceName};
use catalyst_node::mesh::Change;
use catalyst_xds::{Changes, Kind};

use crate::blame::Blame;
use crate::limits::Limits;
use crate::reach::outside;
use crate::steering::Steering;
use crate::troubles::Troubles;

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
    /// Why it stands for nothing by the last answer.
    pub(crate) why: Option<String>,
}

fn unresolved(address: &HostPort, why: &str) -> String {
    format!("its target's name {address} does not resolve: {why}")
}

/// Why an address of another organisation is not dialled.
const INNER: &str =
    "it stands for this machine or its link alone, and is not dialled for another organisation";

/// The address that needs no look-up.
fn literal(address: &HostPort) -> Option<IpAddr> {
    address.host.trim_matches(['[', ']']).parse().ok()
}

/// Everything, behind one lock that is held for moments. It holds the node's private key: it is never printed.
pub(crate) struct State {
    own: NodeName,
    /// Where its mesh port listens.
    mesh: IpAddr,
    planner: Planner,
    steering: Steering,
    key: String,
    names: BTreeMap<Owner, Wanted>,
    /// Services with a way of which Envoy was told since it last had everything.
    new: BTreeSet<Box<str>>,
    /// Those of which it was not told yet.
    untold: BTreeSet<Box<str>>,
    /// All neighbours that the node knows.
    neighbours: BTreeSet<NodeName>,
    pub(crate) troubles: Troubles,
    /// All that the node starts with was told.
    pub(crate) complete: bool,
}

impl State {
    /// `key` is the node's private key, in PEM.
    pub(crate) fn new(site: Site, key: String) -> Self {
        State {
            own: site.own.clone(),
            mesh: site.mesh.ip(),
            planner: Planner::new(site),
            steering: Steering::default(),
            key,
            names: BTreeMap::new(),
            new: BTreeSet::new(),
            untold: BTreeSet::new(),
            neighbours: BTreeSet::new(),
            troubles: Troubles::default(),
            complete: false,
        }
    }

    pub(crate) fn carries(&self, peer: &NodeName) -> bool {
        self.steering.carries(peer)
    }

    /// All neighbours, and whether the way to each is its mesh port.
    pub(crate) fn neighbours(&self) -> impl Iterator<Item = (&NodeName, bool)> {
        self.neighbours.iter().map(|peer| (peer, self.carries(peer)))
    }

    /// Names of the node itself at the ingress.
    pub(crate) fn add_host(&mut self, host: &str) {
        self.planner.add_host(host);
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
                if forward.endpoints.is_empty() {
                    self.untold.remove(forward.service.as_str());
                    self.new.remove(forward.service.as_str());
                } else {
                    self.untold.insert(forward.service.as_str().into());
                }
                let service = self.steering.forward(forward);
                self.planner.set_service(&forward.service, service);
            }
            Change::Grant { peer, service, granted } => self.planner.set_grant(peer, service, *granted),
            Change::Target { service, target } => {
                let owner = Owner::Service((*service).clone());
                self.troubles.forgive(service);
                let Some(target) = target else {
                    self.forget(&owner);
                    self.planner.set_target(service, None);
                    return false;
                };
                return self.place(owner, target);
            }
            Change::Neighbour { peer, mesh_address, key } => {
                let met = self.neighbours.contains(*peer);
                let resolve = self.neighbour(peer, *mesh_address);
                // One that was there and still has no mesh port is an edge node, most likely.
                let silent = met && mesh_address.is_some_and(str::is_empty);
                let key = key.map(|key| key_mark(&key.serial_prefix()));
                self.planner.set_caller(peer, Caller { key, silent });
                return resolve;
            }
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
        match mesh_address {
            Some(_) => self.neighbours.insert(peer.clone()),
            None => self.neighbours.remove(peer),
        };
        let Some(text) = mesh_address else {
            self.forget(&owner);
            self.meshed(peer, false);
            self.planner.set_neighbour(peer, None);
            return false;
        };
        let parsed = HostPort::parse(text).map_err(|why| why.to_string());
        match parsed.and_then(|address| self.permitted(peer, address)) {
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

    /// An address that may be dialled, or a name whose addresses are looked at when it stands for some.
    fn permitted(&self, peer: &NodeName, address: HostPort) -> Result<HostPort, String> {
        let Some(ip) = literal(&address) else { return Ok(address) };
        let at = SocketAddr::new(ip, address.port);
        if self.outside(peer, vec![at]).is_empty() { Err(INNER.to_owned()) } else { Ok(address) }
    }

    /// Of what a name stands for, what may be dialled.
    pub(crate) fn dialled(
        &self,
        owner: &Owner,
        found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, &'static str> {
        let Owner::Neighbour(peer) = owner else { return Ok(found) };
        let some = self.outside(peer, found);
        if some.is_empty() { Err(INNER) } else { Ok(some) }
    }

    fn outside(&self, peer: &NodeName, found: Vec<SocketAddr>) -> Vec<SocketAddr> {
        if peer.org() == self.own.org() { found } else { outside(self.mesh, found) }
    }

    fn meshed(&mut self, peer: &NodeName, has: bool) {
        for (name, service) in self.steering.meshed(peer, has) {
            self.planner.set_service(&name, service);
        }
    }

    /// An address, or a name whose addresses are kept until it is resolved anew.
    fn place(&mut self, owner: Owner, address: &HostPort) -> bool {
        if let Some(ip) = literal(address) {
            self.forget(&owner);
            self.set(&owner, vec![SocketAddr::new(ip, address.port)]);
            return false;
        }
        let same = self.names.get(&owner).filter(|wanted| wanted.address == *address);
        let (known, why) = same.map(|wanted| (wanted.known.clone(), wanted.why.clone())).unwrap_or_default();
        let resolve = known.is_empty();
        self.set(&owner, known.clone());
        if let Owner::Service(service) = &owner {
            // Until it stands for something, nobody is led there.
            let failed = why.as_ref().map(|why| unresolved(address, why));
            let waits = resolve.then(|| format!("its target's name {address} is being looked up"));
            self.troubles.name(service, waits.map(|waits| failed.unwrap_or(waits)));
        }
        self.names.insert(owner, Wanted { address: address.clone(), known, why });
        resolve
    }

    fn forget(&mut self, owner: &Owner) {
        self.names.remove(owner);
        if let Owner::Service(service) = owner {
            self.troubles.name(service, None);
        }
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
        self.new.contains(service.as_str()) || self.untold.contains(service.as_str())
    }

    #[cfg(test)]
    pub(crate) fn count_new(&self) -> usize {
        self.new.len() + self.untold.len()
    }

    /// The names that are in use.
    pub(crate) fn names(&self) -> Vec<(Owner, HostPort)> {
        self.names.iter().map(|(owner, wanted)| (owner.clone(), wanted.address.clone())).collect()
    }

    /// Names and what is known of them.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&Owner, &Wanted)> {
        self.names.iter()
    }

    /// Whether no name waits for its first answer.
    pub(crate) fn has_looked_up(&self) -> bool {
        self.names.values().all(|wanted| wanted.why.is_some() || !wanted.known.is_empty())
    }

    /// Whether Envoy is to hold this.
    pub(crate) fn holds(&self, kind: Kind, name: &str) -> bool {
        match Blame::of(kind, name) {
            Blame::Service(service) => self.planner.holds(&service, kind, name),
            _ => true,
        }
    }

    /// A name stands for nothing. What it stood for before is used on. Returns the service that is worse off.
    pub(crate) fn unresolved(&mut self, owner: &Owner, address: &HostPort, why: &str) -> Option<ServiceName> {
        let wanted = self.names.get_mut(owner).filter(|wanted| wanted.address == *address)?;
        wanted.why = Some(why.to_owned());
        let Owner::Service(service) = owner else { return None };
        let told = wanted.known.is_empty() && self.troubles.name(service, Some(unresolved(address, why)));
        told.then(|| service.clone())
    }

    /// What a name stands for now. One that is not in use any more is passed over. Returns the service that is better
    /// off.
    pub(crate) fn resolved(
        &mut self,
        owner: &Owner,
        address: &HostPort,
        mut found: Vec<SocketAddr>,
    ) -> Option<ServiceName> {
        found.sort();
        found.dedup();
        let wanted = self.names.get_mut(owner).filter(|wanted| wanted.address == *address)?;
        wanted.why = None;
        if wanted.known != found {
            wanted.known.clone_from(&found);
            self.set(owner, found);
        }
        let Owner::Service(service) = owner else { return None };
        self.troubles.name(service, None).then(|| service.clone())
    }

    pub(crate) fn drain(&mut self) -> Changes {
        self.new.append(&mut self.untold);
        self.planner.drain()
    }

    /// Has some of what there is said again. Returns where to go on.
    pub(crate) fn repeat(&mut self, after: Option<&str>) -> Option<Box<str>> {
        self.planner.repeat(after, Limits::REPEAT)
    }
}
