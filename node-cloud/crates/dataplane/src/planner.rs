//! Keeps what the node knows, and says after each change which resources differ. The cost of a change is that of the
//! resources of the one service, neighbour or port that it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_xds::{Changes, Kind, Resource};

use crate::answers;
use crate::callers::{Caller, Callers};
use crate::clusters::{self, Speaks};
use crate::known::{Held, Known};
use crate::listeners;
use crate::ports;
use crate::proto::any;
use crate::service::{Service, Target};
use crate::site::{Site, names};
use crate::tls::{self, Bundle, Identity, extension};

/// What the node knows, as far as Envoy has to.
#[derive(Debug)]
pub struct Planner {
    site: Site,
    /// By name.
    services: BTreeMap<Box<str>, Known>,
    /// The names of neighbours that services lead through, each once.
    peers: BTreeSet<Arc<NodeName>>,
    neighbours: BTreeMap<NodeName, Vec<SocketAddr>>,
    callers: Callers,
    ports: BTreeMap<ServiceName, BTreeSet<SocketAddr>>,
    /// Under these names the ingress is the node itself, if no service has one of them.
    hosts: BTreeSet<String>,
    changes: Changes,
}

impl Planner {
    /// With all that does not depend on services or neighbours.
    #[must_use]
    pub fn new(site: Site) -> Self {
        let mut changes = Changes::default();
        changes.set.extend(listeners::fixed(&site).iter().map(Resource::listener));
        let fixed = [
            clusters::into(names::INNER, names::INNER, Speaks::Http2),
            clusters::into(names::TERMINATE, names::TERMINATE, Speaks::Http2),
            clusters::node(&site.node_socket),
        ];
        changes.set.extend(fixed.iter().map(Resource::cluster));
        Planner {
            site,
            services: BTreeMap::new(),
            peers: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            callers: Callers::default(),
            ports: BTreeMap::new(),
            hosts: BTreeSet::new(),
            changes,
        }
    }

    /// Whether Envoy is to hold this resource of a service.
    #[must_use]
    pub fn holds(&self, service: &ServiceName, kind: Kind, name: &str) -> bool {
        let held = |known: &Known| known.held.iter().any(|(k, n)| (*k, &**n) == (kind, name));
        self.services.get(service.as_str()).is_some_and(held)
    }

    /// What differs since the last call.
    pub fn drain(&mut self) -> Changes {
        if self.callers.tell() {
            let listed = extension(names::NEIGHBOURS, any(self.callers.listed()));
            self.changes.set.push(Resource::filter(&listed));
            self.changes.set.push(Resource::listener(&listeners::mesh(&self.site, &self.callers)));
        }
        std::mem::take(&mut self.changes)
    }

    /// The node's certificate is this, from now on.
    pub fn set_identity(&mut self, identity: &Identity) {
        self.changes.set.push(Resource::secret(&tls::certificate(names::IDENTITY, identity)));
    }

    /// The certificate of the HTTPS ingress.
    pub fn set_ingress(&mut self, identity: &Identity) {
        self.changes.set.push(Resource::secret(&tls::certificate(names::INGRESS, identity)));
    }

    /// The roots of every organisation that is trusted, this node's own among them.
    pub fn set_trust(&mut self, bundles: &[Bundle]) {
        self.changes.set.push(Resource::secret(&tls::trust(bundles)));
    }

    /// A neighbour's mesh port; no addresses while it has none or its name does not resolve. `None`: it is no neighbour.
    pub fn set_neighbour(&mut self, peer: &NodeName, mesh: Option<Vec<SocketAddr>>) {
        let name = names::peer(peer);
        let Some(addresses) = mesh else {
            self.peers.remove(peer);
            if self.neighbours.remove(peer).is_some() {
                self.changes.remove.push((Kind::Cluster, name.clone()));
                self.changes.remove.push((Kind::Endpoints, name));
                self.callers.set(peer, None);
            }
            return;
        };
        self.changes.set.push(Resource::endpoints(&clusters::endpoints(&name, &addresses)));
        if self.neighbours.insert(peer.clone(), addresses).is_none() {
            self.changes.set.push(Resource::cluster(&clusters::peer(&self.site.own, peer)));
            self.callers.set(peer, Some(Caller::default()));
        }
    }

    /// What is to be known of a neighbour as somebody who calls. Connections of it that this does not let in end at once.
    pub fn set_caller(&mut self, peer: &NodeName, caller: Caller) {
        if self.neighbours.contains_key(peer) {
            self.callers.set(peer, Some(caller));
        }
    }

    /// The ways to a service changed.
    pub fn set_service(&mut self, name: &ServiceName, service: Service) {
        let Planner { services, peers, .. } = self;
        let known = services.entry(name.as_str().into()).or_default();
        let before = known.speaks();
        // A service without a way may come back: what it has here stays what it was.
        if !service.ways.is_empty() {
            known.protocol = service.protocol;
        }
        let ways = if service.protocol == Protocol::Udp { &[][..] } else { &service.ways };
        known.lead(ways, |peer| match peers.get(peer) {
            Some(shared) => Arc::clone(shared),
            None => {
                let shared = Arc::new(peer.clone());
                peers.insert(Arc::clone(&shared));
                shared
            }
        });
        let after = known.speaks();
        if let (Some(before), Some(after)) = (before, after)
            && (before == Protocol::Tcp) != (after == Protocol::Tcp)
        {
            self.reopen(name, after);
        } else if before.is_none()
            && let Some(after) = after
        {
            self.reopen(name, after);
        }
        self.refresh(name, false);
    }

    /// The sockets of a service of this node; `None` when it is not of this node.
    pub fn set_target(&mut self, name: &ServiceName, target: Option<Target>) {
        self.services.entry(name.as_str().into()).or_default().target = target;
        self.refresh(name, false);
    }

    /// A neighbour of another organisation may use a service, or no longer: with the last of its organisation, the
    /// live flows of the organisation end.
    pub fn set_grant(&mut self, peer: &NodeName, name: &ServiceName, granted: bool) {
        self.services.entry(name.as_str().into()).or_default().grant(peer, granted);
        self.refresh(name, !granted);
    }

    /// Where local clients name a service by Host; over TLS with the certificate of [`Planner::set_ingress`].
    pub fn open_ingress(&mut self, at: SocketAddr, over_tls: bool) {
        let listener = listeners::ingress(&self.site, at, over_tls);
        self.changes.set.push(Resource::listener(&listener));
        for host in [names::LOCALHOST.to_owned(), self.site.own.to_string(), names::host(at.ip())] {
            self.add_host(&host);
        }
    }

    /// One more name, or address, of the node itself, in small letters.
    pub fn add_host(&mut self, host: &str) {
        if self.hosts.insert(host.to_owned()) {
            self.own_host(host);
        }
    }

    /// What the ingress says under a name of the node, unless a service has it.
    fn own_host(&mut self, host: &str) {
        let scope = |known: &Known| known.held.iter().any(|(k, n)| (*k, &**n) == (Kind::Scope, host));
        let of_service = self.services.get(host).is_some_and(scope);
        if !of_service {
            self.changes.set.push(Resource::scope(&answers::own_host(host)));
        }
    }

    /// A local port for a service.
    pub fn open_port(&mut self, service: &ServiceName, at: SocketAddr) {
        self.ports.entry(service.clone()).or_default().insert(at);
        let protocol = self.services.get(service.as_str()).and_then(Known::speaks);
        let listener = listeners::port(&self.site, service, protocol.unwrap_or_default(), at);
        self.changes.set.push(Resource::listener(&listener));
        self.lead_ports(service);
    }

    /// Where the local ports of a service lead, if it has any.
    fn lead_ports(&mut self, service: &ServiceName) {
        if self.ports.contains_key(service) {
            let only = self.services.get(service.as_str()).and_then(Known::only_peer);
            self.changes.set.push(Resource::filter(&ports::filter(&self.site, service, only.as_ref())));
        }
    }

    /// The port is no more; its flows end.
    pub fn close_port(&mut self, service: &ServiceName, at: SocketAddr) {
        let Some(ports) = self.ports.get_mut(service) else { return };
        if ports.remove(&at) {
            self.changes.remove.push((Kind::Listener, listeners::port_name(service, at)));
        }
        if ports.is_empty() && self.ports.remove(service).is_some() {
            self.changes.remove.push((Kind::Filter, ports::filter_name(service)));
        }
    }

    /// A service speaks something else than its ports were made for.
    fn reopen(&mut self, service: &ServiceName, protocol: Protocol) {
        for at in self.ports.get(service).into_iter().flatten() {
            let listener = listeners::port(&self.site, service, protocol, *at);
            self.changes.set.push(Resource::listener(&listener));
        }
    }

    /// Says anew what Envoy is to hold of one service. What it holds already, the snapshot knows by its bytes. `withdrawn`:
    /// the listeners that go are permissions, so their flows end now.
    fn refresh(&mut self, name: &ServiceName, withdrawn: bool) {
        let Some(known) = self.services.get_mut(name.as_str()) else { return };
        let wanted = known.resources(name, &self.site);
        let held: Box<[Held]> =
            wanted.iter().map(|resource| (resource.kind(), Arc::clone(resource.shared_name()))).collect();
        let former = std::mem::replace(&mut known.held, held);
        for gone in former.iter().filter(|one| !known.held.contains(one)) {
            let gone = (gone.0, gone.1.to_string());
            match gone.0 {
                // The name is the node's again: one scope in the place of the other.
                Kind::Scope if self.hosts.contains(&gone.1) => {
                    self.changes.set.push(Resource::scope(&answers::own_host(&gone.1)));
                }
                Kind::Listener if withdrawn => self.changes.urgent.push(gone),
                _ => self.changes.remove.push(gone),
            }
        }
        self.changes.set.extend(wanted);
        if known.is_empty() {
            self.services.remove(name.as_str());
        }
        self.lead_ports(name);
    }
}
