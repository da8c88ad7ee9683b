//! Keeps what the node knows, and says after each change which resources differ. The cost of a change is that of the
//! resources of the one service, neighbour or port that it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use catalyst_names::{NodeName, OrgId, Protocol, ServiceName};
use catalyst_xds::{Changes, Kind, Resource};

use crate::answers;
use crate::callers::{Caller, Callers};
use crate::clusters::{self, Speaks};
use crate::limits::Limits;
use crate::listeners;
use crate::ports;
use crate::proto::any;
use crate::routes::{Lead, Scope};
use crate::service::{Service, Target, Via, Way};
use crate::site::{Site, names};
use crate::tls::{self, Bundle, Identity, extension};

/// What the node knows, as far as Envoy has to.
#[derive(Debug)]
pub struct Planner {
    site: Site,
    services: BTreeMap<ServiceName, Known>,
    neighbours: BTreeMap<NodeName, Vec<SocketAddr>>,
    callers: Callers,
    ports: BTreeMap<ServiceName, BTreeSet<SocketAddr>>,
    /// Under these names the ingress is the node itself, if no service has one of them.
    hosts: BTreeSet<String>,
    changes: Changes,
}

/// One service.
#[derive(Debug, Default)]
struct Known {
    service: Option<Service>,
    /// What it speaks, or spoke when there was a way to it.
    protocol: Protocol,
    target: Option<Target>,
    granted: BTreeMap<OrgId, Granted>,
    /// What Envoy has of it, so that what is no longer wanted can be taken away.
    held: BTreeSet<(Kind, String)>,
}

/// What one organisation may do with one service.
#[derive(Debug, Default)]
struct Granted {
    nodes: BTreeSet<NodeName>,
    /// The ways that its flows have had, the newest first: those of former ways live on.
    ways: Vec<Via>,
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
        let held = |known: &Known| known.held.contains(&(kind, name.to_owned()));
        self.services.get(service).is_some_and(held)
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
        let known = self.services.entry(name.clone()).or_default();
        let before = known.service.as_ref().map(|s| s.protocol);
        // A service without a way may come back: what it has here stays what it was.
        if !service.ways.is_empty() {
            known.protocol = service.protocol;
        }
        known.service = (!service.ways.is_empty() && service.protocol != Protocol::Udp).then_some(service);
        let after = known.service.as_ref().map(|s| s.protocol);
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
        self.services.entry(name.clone()).or_default().target = target;
        self.refresh(name, false);
    }

    /// A neighbour of another organisation may use a service, or no longer: with the last of its organisation, the
    /// live flows of the organisation end.
    pub fn set_grant(&mut self, peer: &NodeName, name: &ServiceName, granted: bool) {
        let known = self.services.entry(name.clone()).or_default();
        let org = peer.org_id();
        if granted {
            known.granted.entry(org).or_default().nodes.insert(peer.clone());
        } else if let Some(of_org) = known.granted.get_mut(&org) {
            of_org.nodes.remove(peer);
            if of_org.nodes.is_empty() {
                known.granted.remove(&org);
            }
        }
        self.refresh(name, !granted);
    }

    /// Where local clients name a service by Host; over TLS with the certificate of [`Planner::set_ingress`].
    pub fn open_ingress(&mut self, at: SocketAddr, over_tls: bool) {
        let listener = listeners::ingress(&self.site, at, over_tls);
        self.changes.set.push(Resource::listener(&listener));
        for host in [names::LOCALHOST.to_owned(), self.site.own.to_string(), names::host(at.ip())] {
            if self.hosts.insert(host.clone()) {
                self.own_host(&host);
            }
        }
    }

    /// What the ingress says under a name of the node, unless a service has it.
    fn own_host(&mut self, host: &str) {
        let scope = (Kind::Scope, host.to_owned());
        let of_service =
            self.services.iter().any(|(name, k)| name.as_str() == host && k.held.contains(&scope));
        if !of_service {
            self.changes.set.push(Resource::scope(&answers::own_host(host)));
        }
    }

    /// A local port for a service.
    pub fn open_port(&mut self, service: &ServiceName, at: SocketAddr) {
        self.ports.entry(service.clone()).or_default().insert(at);
        let protocol = self.services.get(service).and_then(|k| k.service.as_ref()).map(|s| s.protocol);
        let listener = listeners::port(&self.site, service, protocol.unwrap_or_default(), at);
        self.changes.set.push(Resource::listener(&listener));
        self.lead_ports(service);
    }

    /// Where the local ports of a service lead, if it has any.
    fn lead_ports(&mut self, service: &ServiceName) {
        if self.ports.contains_key(service) {
            let only = self.services.get(service).and_then(Known::only_peer);
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
        let Some(known) = self.services.get_mut(name) else { return };
        let wanted = known.resources(name, &self.site);
        let held: BTreeSet<(Kind, String)> =
            wanted.iter().map(|resource| (resource.kind(), resource.name().to_owned())).collect();
        for gone in known.held.difference(&held).cloned() {
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
        known.held = held;
        if known.service.is_none() && known.target.is_none() && known.granted.is_empty() {
            self.services.remove(name);
        }
        self.lead_ports(name);
    }
}

impl Known {
    /// The neighbour behind which alone this service of TCP is.
    fn only_peer(&self) -> Option<NodeName> {
        let service = self.service.as_ref().filter(|service| service.protocol == Protocol::Tcp)?;
        match usable(&service.ways, self.target.is_some()).as_slice() {
            [Way { via: Via::Peer(peer), .. }] => Some(peer.clone()),
            _ => None,
        }
    }

    fn resources(&mut self, name: &ServiceName, site: &Site) -> Vec<Resource> {
        let mut all = Vec::new();
        if let Some(target) = &self.target
            && self.protocol != Protocol::Udp
        {
            let cluster = clusters::local(name.as_str(), self.protocol);
            all.push(Resource::endpoints(&clusters::endpoints(&cluster.name, target)));
            all.push(Resource::cluster(&cluster));
        }
        let ways = self.service.as_ref().map(|s| usable(&s.ways, self.target.is_some())).unwrap_or_default();
        let connect = self.protocol == Protocol::Tcp;
        let direct = |via: &Via| match via {
            Via::Local => names::local(name.as_str()),
            // A CONNECT goes to the node as it is; connections of HTTP become one.
            Via::Node if connect => names::NODE.to_owned(),
            Via::Node => names::tunnelled(name.as_str()),
            Via::Peer(peer) => names::peer(peer),
        };
        for (org, granted) in &mut self.granted {
            granted.remember(&ways);
            for via in &granted.ways {
                let grant = names::grant(name.as_str(), org, via);
                let speaks = if to_service(via, connect) { Speaks::of(self.protocol) } else { Speaks::Http2 };
                let listener = match via {
                    Via::Node if !connect => listeners::tunnelled(&grant, name),
                    _ => listeners::grant(&grant, &direct(via)),
                };
                all.push(Resource::listener(&listener));
                all.push(Resource::cluster(&clusters::into(&grant, &grant, speaks)));
            }
        }
        if ways.is_empty() {
            return all;
        }
        if !connect && ways.iter().any(|way| way.via == Via::Node) {
            let tunnelled = names::tunnelled(name.as_str());
            all.push(Resource::listener(&listeners::tunnelled(&tunnelled, name)));
            let speaks = Speaks::of(self.protocol);
            all.push(Resource::cluster(&clusters::into(&tunnelled, &tunnelled, speaks)));
        }
        let internal = lead(name.as_str(), &ways, connect, &direct, &mut all);
        let mut external = BTreeMap::new();
        for (org, granted) in &self.granted {
            let through = |via: &Via| names::grant(name.as_str(), org, via);
            let lead = lead(&format!("{name}|{org}"), &ways, connect, &through, &mut all);
            external.insert(org.clone(), (granted.nodes.clone(), lead));
        }
        let scope = Scope {
            service: name,
            protocol: self.protocol,
            own: site.own.org(),
            via: &site.via,
            internal,
            external,
        };
        all.push(Resource::scope(&scope.resource()));
        all
    }
}

impl Granted {
    /// The ways of now come first; those before them stay, up to a limit.
    fn remember(&mut self, ways: &[Way]) {
        let mut all: Vec<Via> = ways.iter().map(|way| way.via.clone()).collect();
        let former = std::mem::take(&mut self.ways).into_iter().filter(|via| !all.contains(via));
        let former: Vec<Via> = former.take(Limits::FORMER_WAYS).collect();
        all.extend(former);
        self.ways = all;
    }
}

/// The ways that lead somewhere, each next step once: with the sum of the shares that led there.
fn usable(ways: &[Way], has_target: bool) -> Vec<Way> {
    let mut all: Vec<Way> = Vec::new();
    // A way that is left out takes its equals' mark with it.
    let mut best = true;
    for way in ways.iter().filter(|way| way.via != Via::Local || has_target) {
        best = best && (all.is_empty() || way.equal);
        let room = all.len() < Limits::WAYS;
        let equal = best && !all.is_empty();
        match all.iter_mut().find(|known| known.via == way.via) {
            Some(known) if best => known.weight = known.weight.saturating_add(way.weight),
            None if room => all.push(Way { equal, ..way.clone() }),
            Some(_) | None => {}
        }
    }
    all
}

/// Whether the service itself is at the other end of what Envoy opens for this way, and no other node.
fn to_service(via: &Via, connect: bool) -> bool {
    match via {
        Via::Local => true,
        Via::Node => !connect,
        Via::Peer(_) => false,
    }
}

/// The clusters that callers of one kind are led to. Where there are several ways, each of the best has a cluster that
/// begins with it and goes on with all others.
fn lead(
    suffix: &str,
    ways: &[Way],
    connect: bool,
    cluster: &impl Fn(&Via) -> String,
    all: &mut Vec<Resource>,
) -> Lead {
    let local = ways.iter().find(|way| way.via == Via::Local).map(|way| cluster(&way.via));
    let to_service = ways.iter().all(|way| to_service(&way.via, connect));
    if let [way] = ways {
        let clusters = vec![(cluster(&way.via), 1)];
        return Lead { clusters, ends: connect && local.is_some(), local: None, to_service, others: false };
    }
    // Among several ways a CONNECT goes on as what it is; that to a service of this node ends one listener further.
    let member = |way: &Way| match way.via {
        Via::Local if connect => names::TERMINATE.to_owned(),
        _ => cluster(&way.via),
    };
    let equals = 1 + ways.iter().skip(1).take_while(|way| way.equal).count();
    let weighed = ways.iter().take(equals).any(|way| way.weight > 0);
    let mut clusters = Vec::new();
    for (at, way) in ways.iter().enumerate().take(equals) {
        let share = if weighed { way.weight } else { 1 };
        if share == 0 {
            continue;
        }
        let mut order: Vec<String> = ways.iter().map(member).collect();
        order.get_mut(..equals).unwrap_or_default().rotate_left(at);
        let name = format!("ways|{suffix}|{at}");
        all.push(Resource::cluster(&clusters::in_order(&name, order)));
        clusters.push((name, share));
    }
    Lead { clusters, ends: false, local: local.filter(|_| connect), to_service, others: true }
}
