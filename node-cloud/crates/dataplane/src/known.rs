//! One service, as the planner keeps it, and the resources that it makes of it.
//!
//! There may be many services, and a name takes a quarter of a kilobyte wherever it stands as such: a neighbour's stands once,
//! and the names of resources are those that the resources themselves have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalyst_names::{NodeName, OrgId, Protocol, ServiceName};
use catalyst_xds::{Kind, Resource};

use crate::clusters::{self, Speaks};
use crate::limits::Limits;
use crate::listeners;
use crate::routes::{Lead, Scope};
use crate::service::{Target, Via, Way};
use crate::site::{Site, names};

/// One service.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Best first. None: there is no way to it.
    ways: Box<[Step]>,
    /// What it speaks, or spoke when there was a way to it.
    pub(crate) protocol: Protocol,
    pub(crate) target: Option<Target>,
    granted: BTreeMap<OrgId, Granted>,
    /// What Envoy has of it, so that what is no longer wanted can be taken away.
    pub(crate) held: Box<[Held]>,
}

/// The kind and the name of a resource.
pub(crate) type Held = (Kind, Arc<str>);

/// One way.
#[derive(Debug)]
struct Step {
    next: Next,
    weight: u32,
    equal: bool,
}

#[derive(Debug)]
enum Next {
    Local,
    Node,
    Peer(Arc<NodeName>),
}

/// What one organisation may do with one service.
#[derive(Debug, Default)]
struct Granted {
    nodes: BTreeSet<NodeName>,
    /// The ways that its flows have had, the newest first: those of former ways live on.
    ways: Vec<Via>,
    /// How often its flows were ended for the sake of one of its nodes.
    renewed: u32,
}

/// What a grant that came or went was among those of its organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Same,
    Came,
    /// Others stay.
    Went,
    LastWent,
}

impl Known {
    /// What it speaks, if there is a way to it.
    pub(crate) fn speaks(&self) -> Option<Protocol> {
        (!self.ways.is_empty()).then_some(self.protocol)
    }

    /// The ways are these now; `shared` gives a neighbour's name as it stands elsewhere already.
    pub(crate) fn lead(&mut self, ways: &[Way], mut shared: impl FnMut(&NodeName) -> Arc<NodeName>) {
        let step = |way: &Way| Step {
            next: match &way.via {
                Via::Local => Next::Local,
                Via::Node => Next::Node,
                Via::Peer(peer) => Next::Peer(shared(peer)),
            },
            weight: way.weight,
            equal: way.equal,
        };
        self.ways = ways.iter().map(step).collect();
    }

    /// The ways that lead somewhere.
    fn ways(&self) -> Vec<Way> {
        let way = |step: &Step| Way {
            via: match &step.next {
                Next::Local => Via::Local,
                Next::Node => Via::Node,
                Next::Peer(peer) => Via::Peer((**peer).clone()),
            },
            weight: step.weight,
            equal: step.equal,
        };
        usable(&self.ways.iter().map(way).collect::<Vec<_>>(), self.target.is_some())
    }

    /// The neighbour behind which alone this service of TCP is.
    pub(crate) fn only_peer(&self) -> Option<NodeName> {
        match self.ways().as_slice() {
            [Way { via: Via::Peer(peer), .. }] if self.protocol == Protocol::Tcp => Some(peer.clone()),
            _ => None,
        }
    }

    /// A neighbour of another organisation may use it, or no longer.
    pub(crate) fn grant(&mut self, peer: &NodeName, granted: bool) -> Outcome {
        let org = peer.org_id();
        if granted {
            let is_new = self.granted.entry(org).or_default().nodes.insert(peer.clone());
            return if is_new { Outcome::Came } else { Outcome::Same };
        }
        let Some(of_org) = self.granted.get_mut(&org) else { return Outcome::Same };
        if !of_org.nodes.remove(peer) {
            return Outcome::Same;
        }
        if of_org.nodes.is_empty() {
            self.granted.remove(&org);
            return Outcome::LastWent;
        }
        Outcome::Went
    }

    /// The grants of this organisation are others from now on: with those before, the flows of all its nodes go.
    pub(crate) fn renew(&mut self, org: &OrgId) {
        if let Some(of_org) = self.granted.get_mut(org) {
            of_org.renewed += 1;
            of_org.ways.clear();
        }
    }

    /// Nothing is known of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.ways.is_empty() && self.target.is_none() && self.granted.is_empty()
    }

    pub(crate) fn resources(&mut self, name: &ServiceName, site: &Site) -> Vec<Resource> {
        let mut all = Vec::new();
        if let Some(target) = &self.target
            && self.protocol != Protocol::Udp
        {
            let cluster = clusters::local(name.as_str(), self.protocol);
            all.push(Resource::endpoints(&clusters::endpoints(&cluster.name, target)));
            all.push(Resource::cluster(&cluster));
        }
        let ways = self.ways();
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
            let of = granted.of(org);
            for via in &granted.ways {
                let grant = names::grant(name.as_str(), &of, via);
                let speaks = if to_service(via, connect) { Speaks::of(self.protocol) } else { Speaks::Http2 };
                let listener = match via {
                    Via::Node if !connect => listeners::tunnelled(&grant, name, self.protocol),
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
            all.push(Resource::listener(&listeners::tunnelled(&tunnelled, name, self.protocol)));
            let speaks = Speaks::of(self.protocol);
            all.push(Resource::cluster(&clusters::into(&tunnelled, &tunnelled, speaks)));
        }
        let internal = lead(name.as_str(), &ways, connect, &direct, &mut all);
        let mut external = BTreeMap::new();
        for (org, granted) in &self.granted {
            let of = granted.of(org);
            let through = |via: &Via| names::grant(name.as_str(), &of, via);
            let lead = lead(&format!("{name}|{of}"), &ways, connect, &through, &mut all);
            external.insert(org.clone(), (granted.nodes.clone(), lead));
        }
        let refused = (!connect && ways.iter().any(|way| way.via == Via::Node))
            .then(|| names::refused_header(&site.via));
        let scope = Scope {
            service: name,
            protocol: self.protocol,
            own: site.own.org(),
            via: &site.via,
            internal,
            external,
            refused,
        };
        all.push(Resource::scope(&scope.resource()));
        all
    }
}

impl Granted {
    /// Whose the grants are, in the names of their resources. What is renewed has another name, so that nothing which leads
    /// to the grants of before leads to those of now.
    fn of(&self, org: &OrgId) -> String {
        if self.renewed == 0 { org.to_string() } else { format!("{org}~{}", self.renewed) }
    }

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
