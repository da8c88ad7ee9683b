//! Where a flow of a service goes next, and who may ask for it.
//!
//! The table holds, for each service, its endpoints in the order of the route table's ranking. Callers of other
//! organisations need a *grant*, a pair of neighbour and service; without one they are refused before anything
//! is looked up, so that they cannot even learn which services exist.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use catalyst_dense::DenseMap;
use catalyst_names::{NodeName, OriginId, Protocol, ServiceName};

use crate::limits::Limits;
use crate::refusal::Refusal;

/// One way to reach a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The origin that it leads to. The table keeps one copy of it for all endpoints.
    pub origin: Arc<OriginId>,
    /// The next step towards it.
    pub next: NextHop,
    /// Its share of the flows among equals. One of 0 gets none while others are there.
    pub weight: u32,
    /// Whether it is as good as the one before it in the ranking.
    pub equal: bool,
}

/// The next step of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// The service is on this node.
    Local,
    /// Through this neighbour. The table keeps one copy of the name for all endpoints.
    Peer(Arc<NodeName>),
}

/// Who wants a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A client on this node.
    Local,
    /// A neighbour of this organisation.
    Internal(&'a NodeName),
    /// A neighbour of another organisation.
    External(&'a NodeName),
}

impl<'a> Caller<'a> {
    /// The neighbour that the flow came from.
    #[must_use]
    pub fn neighbour(self) -> Option<&'a NodeName> {
        match self {
            Caller::Local => None,
            Caller::Internal(peer) | Caller::External(peer) => Some(peer),
        }
    }
}

/// The table has no room for one more; what it holds is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// What there is no room for: "services" or "grants".
    pub what: &'static str,
    /// How many it holds.
    pub limit: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the forwarding table is full: it holds {} {}. Raise the limit, or take some away",
            self.limit, self.what
        )
    }
}

impl core::error::Error for Full {}

/// Services with their endpoints, and grants.
#[derive(Clone, Debug)]
pub struct ForwardTable {
    limits: Limits,
    /// By name.
    services: DenseMap<Box<str>, Entry>,
    peers: BTreeSet<Arc<NodeName>>,
    origins: BTreeSet<Arc<OriginId>>,
    grants: BTreeMap<NodeName, BTreeSet<ServiceName>>,
    grant_count: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    protocol: Protocol,
    endpoints: Box<[Endpoint]>,
}

/// The endpoints that a flow may use, best first; there is at least one.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// What the service speaks.
    pub protocol: Protocol,
    /// The best endpoint.
    pub best: &'a Endpoint,
    /// What to write into the header of the next node. (Of no use when the endpoint is local.)
    pub hop_limit: u8,
    all: &'a [Endpoint],
    /// Which of all is the best.
    at: usize,
    filter: Filter<'a>,
}

/// What makes an endpoint of no use to one flow.
#[derive(Clone, Copy, Debug)]
struct Filter<'a> {
    from: Option<&'a NodeName>,
    origin: Option<&'a OriginId>,
    may_go_on: bool,
}

impl Filter<'_> {
    fn passes(&self, endpoint: &Endpoint) -> bool {
        self.origin.is_none_or(|o| *o == *endpoint.origin)
            && match &endpoint.next {
                NextHop::Local => true,
                NextHop::Peer(peer) => self.may_go_on && self.from != Some(&**peer),
            }
    }
}

impl<'a> Choice<'a> {
    /// What to try when the best endpoint does not connect, in order.
    pub fn alternatives(&self) -> impl Iterator<Item = &'a Endpoint> {
        let (filter, at) = (self.filter, self.at);
        self.all.iter().enumerate().filter(move |(i, e)| *i != at && filter.passes(e)).map(|(_, e)| e)
    }
}

impl ForwardTable {
    /// An empty table: nothing is reachable and nobody may ask.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        ForwardTable {
            limits,
            services: DenseMap::new(),
            peers: BTreeSet::new(),
            origins: BTreeSet::new(),
            grants: BTreeMap::new(),
            grant_count: 0,
        }
    }

    /// How many endpoints of one service are used at most.
    #[must_use]
    pub fn most_endpoints(&self) -> usize {
        self.limits.endpoints
    }

    /// The table's copy of an origin's id, for an [`Endpoint`]; one of its own when no endpoint names it yet.
    #[must_use]
    pub fn origin(&self, origin: &OriginId) -> Arc<OriginId> {
        self.origins.get(origin).map_or_else(|| Arc::new(origin.clone()), Arc::clone)
    }

    /// The same of a neighbour's name.
    #[must_use]
    pub fn peer(&self, peer: &NodeName) -> Arc<NodeName> {
        self.peers.get(peer).map_or_else(|| Arc::new(peer.clone()), Arc::clone)
    }

    /// Sets a service's endpoints, best first, in place of what it had. Returns how many were left out because
    /// there were more than [`Limits::endpoints`].
    ///
    /// # Errors
    /// [`Full`] when the service is new and [`Limits::services`] are there.
    pub fn set(
        &mut self,
        service: &ServiceName,
        protocol: Protocol,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> Result<usize, Full> {
        let (run, place) = self.services.find_by(|name| (**name).cmp(service.as_str()));
        if place.is_err() && self.services.len() >= self.limits.services {
            return Err(Full { what: "services", limit: self.limits.services });
        }
        let mut endpoints = endpoints.into_iter();
        let mut kept: Vec<Endpoint> = endpoints.by_ref().take(self.limits.endpoints).collect();
        for endpoint in &mut kept {
            if let NextHop::Peer(peer) = &mut endpoint.next {
                *peer = self.one_copy(peer);
            }
            match self.origins.get(&*endpoint.origin) {
                Some(known) => endpoint.origin = Arc::clone(known),
                None => drop(self.origins.insert(Arc::clone(&endpoint.origin))),
            }
        }
        let left_out = endpoints.count();
        let entry = Entry { protocol, endpoints: kept.into_boxed_slice() };
        match place {
            Ok(at) => {
                let old = self.services.replace_at((run, at), entry);
                old.into_iter().for_each(|old| self.forget(old));
            }
            Err(at) => self.services.insert_at((run, at), Box::from(service.as_str()), entry),
        }
        Ok(left_out)
    }

    /// Forgets the origins that only this entry named.
    fn forget(&mut self, old: Entry) {
        for endpoint in old.endpoints {
            // The set's own, and this one.
            if Arc::strong_count(&endpoint.origin) <= 2 {
                self.origins.remove(&*endpoint.origin);
            }
        }
    }

    /// The copy of a neighbour's name that all its endpoints share.
    fn one_copy(&mut self, peer: &Arc<NodeName>) -> Arc<NodeName> {
        if let Some(known) = self.peers.get(&**peer) {
            return Arc::clone(known);
        }
        // A new neighbour is rare: the time to forget those that no endpoint names any more.
        self.peers.retain(|peer| Arc::strong_count(peer) > 1);
        self.peers.insert(Arc::clone(peer));
        Arc::clone(peer)
    }

    /// Takes a service away. Its grants stay: they are about permission, not about reachability.
    pub fn remove(&mut self, service: &ServiceName) -> bool {
        let old = self.services.remove_by(|name| (**name).cmp(service.as_str()));
        let was = old.is_some();
        old.into_iter().for_each(|old| self.forget(old));
        was
    }

    /// Allows a neighbour of another organisation to use a service, known or not yet. `false` if it was already.
    ///
    /// # Errors
    /// [`Full`] when [`Limits::grants`] are there.
    pub fn grant(&mut self, peer: &NodeName, service: &ServiceName) -> Result<bool, Full> {
        if self.is_granted(peer, service) {
            return Ok(false);
        }
        if self.grant_count >= self.limits.grants {
            return Err(Full { what: "grants", limit: self.limits.grants });
        }
        self.grants.entry(peer.clone()).or_default().insert(service.clone());
        self.grant_count += 1;
        Ok(true)
    }

    /// Takes a grant back; live flows are for [`crate::FlowTable::revoked`]. `false` if there was none.
    pub fn revoke(&mut self, peer: &NodeName, service: &ServiceName) -> bool {
        let Some(of_peer) = self.grants.get_mut(peer) else { return false };
        let was = of_peer.remove(service);
        if of_peer.is_empty() {
            self.grants.remove(peer);
        }
        self.grant_count -= usize::from(was);
        was
    }

    /// Takes all grants of a neighbour back, and returns what they were for.
    pub fn revoke_all(&mut self, peer: &NodeName) -> Vec<ServiceName> {
        let gone = self.grants.remove(peer).unwrap_or_default();
        self.grant_count -= gone.len();
        gone.into_iter().collect()
    }

    /// Whether the neighbour may use the service.
    #[must_use]
    pub fn is_granted(&self, peer: &NodeName, service: &ServiceName) -> bool {
        self.grants.get(peer).is_some_and(|g| g.contains(service))
    }

    /// The services of the table, by name, with protocol and endpoints.
    pub fn services(&self) -> impl Iterator<Item = (&str, Protocol, &[Endpoint])> {
        self.services.iter().map(|(name, entry)| (&**name, entry.protocol, &*entry.endpoints))
    }

    /// Finds the endpoints for a flow: the best of the ranking that does not lead back to where the flow came
    /// from, and the alternatives behind it. Where several are equally good, `draw` decides by their weights: any number,
    /// another one for each flow. `hop_limit` is what the flow's header says, or [`Limits::HOPS`] for a local client.
    ///
    /// # Errors
    /// In this order: [`Refusal::NotPermitted`] for a neighbour of another organisation without a grant,
    /// [`Refusal::NoSuchService`], [`Refusal::HopLimit`] when only the hop limit is in the way,
    /// [`Refusal::NoEndpoint`].
    pub fn resolve<'a>(
        &'a self,
        from: Caller<'a>,
        service: &ServiceName,
        origin: Option<&'a OriginId>,
        hop_limit: u8,
        draw: u64,
    ) -> Result<Choice<'a>, Refusal> {
        if let Caller::External(peer) = from
            && !self.is_granted(peer, service)
        {
            return Err(Refusal::NotPermitted);
        }
        let (_, entry) =
            self.services.get_by(|name| (**name).cmp(service.as_str())).ok_or(Refusal::NoSuchService)?;
        let filter = Filter { from: from.neighbour(), origin, may_go_on: hop_limit > 0 };
        let all = &*entry.endpoints;
        if let Some((at, best)) = drawn(all, filter, draw) {
            let hop_limit = hop_limit.saturating_sub(1);
            return Ok(Choice { protocol: entry.protocol, best, hop_limit, all, at, filter });
        }
        let unlimited = Filter { may_go_on: true, ..filter };
        if entry.endpoints.iter().any(|e| unlimited.passes(e)) {
            return Err(Refusal::HopLimit);
        }
        Err(Refusal::NoEndpoint)
    }
}

/// One of the best that are of use, by weight.
fn drawn<'a>(all: &'a [Endpoint], filter: Filter<'_>, draw: u64) -> Option<(usize, &'a Endpoint)> {
    let first = all.iter().position(|e| filter.passes(e))?;
    let others = all.iter().skip(first + 1).take_while(|e| e.equal).count();
    let best = || all.iter().enumerate().skip(first).take(others + 1).filter(|(_, e)| filter.passes(e));
    let sum: u64 = best().map(|(_, e)| u64::from(e.weight)).sum();
    let mut left = draw.checked_rem(sum).unwrap_or(0);
    let mut shares = best().filter(|(_, e)| {
        let weight = u64::from(e.weight);
        let hit = left < weight;
        left = left.saturating_sub(weight);
        hit
    });
    shares.next().or_else(|| best().next())
}

#[cfg(test)]
mod tests;
