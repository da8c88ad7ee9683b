//! Keeps what the node knows, and says after each change which resources differ. The cost of a change is that of the
//! resources of the one service, neighbour or port that it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_xds::{Changes, Kind, Resource};

use crate::answers;
use crate::callers::{Caller, Callers, News};
use crate::clusters::{self, Speaks};
use crate::known::{Held, Known, Outcome};
use crate::listeners;
use crate::pending::Pending;
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
    /// How many services each neighbour of another organisation may use.
    granted: BTreeMap<NodeName, usize>,
    /// Services that a neighbour may use no longer while others of its organisation may, since the last drain.
    parted: BTreeMap<NodeName, BTreeSet<ServiceName>>,
    ports: BTreeMap<ServiceName, BTreeSet<SocketAddr>>,
    /// Under these names the ingress is the node itself, if no service has one of them.
    hosts: BTreeSet<String>,
    pending: Pending,
}

impl Planner {
    /// With all that does not depend on services or neighbours.
    #[must_use]
    pub fn new(site: Site) -> Self {
        let mut pending = Pending::default();
        listeners::fixed(&site).iter().for_each(|listener| pending.set(Resource::listener(listener)));
        let fixed = [
            clusters::into(names::INNER, names::INNER, Speaks::Http2),
            clusters::into(names::TERMINATE, names::TERMINATE, Speaks::Http2),
            clusters::node(&site.node_socket),
        ];
        fixed.iter().for_each(|cluster| pending.set(Resource::cluster(cluster)));
        Planner {
            site,
            services: BTreeMap::new(),
            peers: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            callers: Callers::default(),
            granted: BTreeMap::new(),
            parted: BTreeMap::new(),
            ports: BTreeMap::new(),
            hosts: BTreeSet::new(),
            pending,
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
        self.part();
        if let Some(news) = self.callers.tell() {
            let listed = extension(names::NEIGHBOURS, any(self.callers.listed()));
            let listed = Resource::filter(&listed);
            let mesh = Resource::listener(&listeners::mesh(&self.site, &self.callers));
            for resource in [listed, mesh] {
                match news {
                    News::Less => self.pending.set_now(resource),
                    News::More => self.pending.set(resource),
                }
            }
        }
        self.pending.take()
    }

    /// Says once more what differs from one node to another: so many services, by name those after this one, and with the
    /// first of them all neighbours and ports. For an Envoy that could not be told all. Returns the last service, if there are
    /// more.
    pub fn repeat(&mut self, after: Option<&str>, most: usize) -> Option<Box<str>> {
        use std::ops::Bound;
        if after.is_none() {
            self.callers.repeat();
            let neighbours: Vec<NodeName> = self.neighbours.keys().cloned().collect();
            neighbours.iter().for_each(|peer| self.say_neighbour(peer));
            let ports: Vec<ServiceName> = self.ports.keys().cloned().collect();
            for service in ports {
                let protocol = self.services.get(service.as_str()).and_then(Known::speaks);
                self.reopen(&service, protocol.unwrap_or_default());
                self.lead_ports(&service);
            }
        }
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let some: Vec<Box<str>> =
            self.services.range::<str, _>(from).map(|(name, _)| name.clone()).take(most).collect();
        for name in &some {
            // It was one when it came.
            if let Ok(name) = ServiceName::parse(name) {
                self.refresh(&name, false);
            }
        }
        some.into_iter().nth(most.saturating_sub(1))
    }

    /// Ends the flows of neighbours that lost a service which others of their organisation may still use: all pass through
    /// the same grant. One that has lost everything loses what it has at the mesh port, and nobody else is touched. For one
    /// that has not, the grants of the service are made anew, so that the others connect anew, too.
    fn part(&mut self) {
        for (peer, services) in std::mem::take(&mut self.parted) {
            if !self.granted.contains_key(&peer) {
                self.callers.close(&peer, true);
                continue;
            }
            let org = peer.org_id();
            for name in services {
                if let Some(known) = self.services.get_mut(name.as_str()) {
                    known.renew(&org);
                    self.refresh(&name, true);
                }
            }
        }
    }

    /// The node's certificate is this, from now on.
    pub fn set_identity(&mut self, identity: &Identity) {
        self.pending.set(Resource::secret(&tls::certificate(names::IDENTITY, identity)));
    }

    /// The certificate of the HTTPS ingress.
    pub fn set_ingress(&mut self, identity: &Identity) {
        self.pending.set(Resource::secret(&tls::certificate(names::INGRESS, identity)));
    }

    /// The roots of every organisation that is trusted, this node's own among them.
    pub fn set_trust(&mut self, bundles: &[Bundle]) {
        self.pending.set(Resource::secret(&tls::trust(bundles)));
    }

    /// A neighbour's mesh port; no addresses while it has none or its name does not resolve. `None`: it is no neighbour.
    pub fn set_neighbour(&mut self, peer: &NodeName, mesh: Option<Vec<SocketAddr>>) {
        let name = names::peer(peer);
        let Some(addresses) = mesh else {
            self.peers.remove(peer);
            if self.neighbours.remove(peer).is_some() {
                let name = name.into();
                self.pending.remove(Kind::Cluster, &name);
                self.pending.remove(Kind::Endpoints, &name);
                self.callers.set(peer, None);
            }
            return;
        };
        if self.neighbours.insert(peer.clone(), addresses).is_none() {
            self.callers.set(peer, Some(Caller::default()));
        }
        self.say_neighbour(peer);
    }

    fn say_neighbour(&mut self, peer: &NodeName) {
        let Some(addresses) = self.neighbours.get(peer) else { return };
        self.pending.set(Resource::endpoints(&clusters::endpoints(&names::peer(peer), addresses)));
        self.pending.set(Resource::cluster(&clusters::peer(&self.site.own, peer)));
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

    /// A neighbour of another organisation may use a service, or no longer: then its live flows end.
    pub fn set_grant(&mut self, peer: &NodeName, name: &ServiceName, granted: bool) {
        let outcome = self.services.entry(name.as_str().into()).or_default().grant(peer, granted);
        match outcome {
            Outcome::Same => {}
            Outcome::Came => {
                *self.granted.entry(peer.clone()).or_default() += 1;
                self.callers.close(peer, false);
            }
            Outcome::Went | Outcome::LastWent => {
                if let Some(count) = self.granted.get_mut(peer) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.granted.remove(peer);
                    }
                }
            }
        }
        if outcome == Outcome::Went {
            self.parted.entry(peer.clone()).or_default().insert(name.clone());
        }
        self.refresh(name, !granted);
    }

    /// Where local clients name a service by Host; over TLS with the certificate of [`Planner::set_ingress`].
    pub fn open_ingress(&mut self, at: SocketAddr, over_tls: bool) {
        let listener = listeners::ingress(&self.site, at, over_tls);
        self.pending.set(Resource::listener(&listener));
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
            self.pending.set(Resource::scope(&answers::own_host(host)));
        }
    }

    /// A local port for a service.
    pub fn open_port(&mut self, service: &ServiceName, at: SocketAddr) {
        self.ports.entry(service.clone()).or_default().insert(at);
        let protocol = self.services.get(service.as_str()).and_then(Known::speaks);
        let listener = listeners::port(&self.site, service, protocol.unwrap_or_default(), at);
        self.pending.set(Resource::listener(&listener));
        self.lead_ports(service);
    }

    /// Where the local ports of a service lead, if it has any.
    fn lead_ports(&mut self, service: &ServiceName) {
        if self.ports.contains_key(service) {
            let only = self.services.get(service.as_str()).and_then(Known::only_peer);
            self.pending.set(Resource::filter(&ports::filter(&self.site, service, only.as_ref())));
        }
    }

    /// The port is no more; its flows end.
    pub fn close_port(&mut self, service: &ServiceName, at: SocketAddr) {
        let Some(ports) = self.ports.get_mut(service) else { return };
        if ports.remove(&at) {
            self.pending.remove(Kind::Listener, &listeners::port_name(service, at).into());
        }
        if ports.is_empty() && self.ports.remove(service).is_some() {
            self.pending.remove(Kind::Filter, &ports::filter_name(service).into());
        }
    }

    /// A service speaks something else than its ports were made for.
    fn reopen(&mut self, service: &ServiceName, protocol: Protocol) {
        for at in self.ports.get(service).into_iter().flatten() {
            let listener = listeners::port(&self.site, service, protocol, *at);
            self.pending.set(Resource::listener(&listener));
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
        for (kind, gone) in former.iter().filter(|one| !known.held.contains(one)) {
            match kind {
                // The name is the node's again: one scope in the place of the other.
                Kind::Scope if self.hosts.contains(&**gone) => {
                    self.pending.set(Resource::scope(&answers::own_host(gone)));
                }
                Kind::Listener if withdrawn => self.pending.cut(*kind, gone),
                _ => self.pending.remove(*kind, gone),
            }
        }
        wanted.into_iter().for_each(|resource| self.pending.set(resource));
        if known.is_empty() {
            self.services.remove(name.as_str());
        }
        self.lead_ports(name);
    }
}
