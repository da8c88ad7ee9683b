//! The data plane's tables: where flows go, who may ask, which are alive. Locked for moments, never across a wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalyst_config::HostPort;
use catalyst_control::{Forward, NextHop as Hop};
use catalyst_names::{NodeName, OriginId, Protocol, ServiceName};
use catalyst_transport::{FlowControl, Held};
use catalyst_tunnel::flows::Totals;
use catalyst_tunnel::{
    Caller, Draws, Endpoint, FlowId, FlowKind, FlowTable, ForwardTable, Limits, NextHop, Refusal,
    StreamHeader,
};

use carried::Carried;

use crate::mesh::{Change, Told};
use crate::own_ports::OwnPorts;

mod carried;

/// The tables of one node.
#[derive(Debug)]
pub struct Tables {
    own: NodeName,
    /// What all flows may hold together.
    held: Arc<Held>,
    ports: OwnPorts,
    mesh: Told,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    forward: ForwardTable,
    flows: FlowTable,
    controls: BTreeMap<FlowId, Arc<FlowControl>>,
    /// The flows of packets, and where each goes; `None` until it is known.
    packets: BTreeMap<FlowId, Option<NextHop>>,
    packet_limit: usize,
    /// How many there have been.
    packets_opened: u64,
    packets_refused: u64,
    /// How many flows neighbours have opened, those of packets too.
    #[cfg(feature = "mesh")]
    of_neighbours: u64,
    /// The sockets of this node's own services.
    targets: BTreeMap<ServiceName, HostPort>,
    carried: Carried,
    /// Grows with every withdrawn permission.
    epoch: u64,
    /// Decides among ways that are equally good.
    draws: Draws,
}

/// One step that a flow may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To this socket of a service of this node.
    Target(HostPort),
    /// To this neighbour, asking for this origin.
    Peer(NodeName, OriginId),
}

/// What a flow may try, best first, and what to write into the next header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The steps, at least one.
    pub steps: Vec<Step>,
    /// Hops left after this node.
    pub hop_limit: u8,
    /// The policy epoch at which the flow was admitted.
    pub epoch: u64,
}

impl Plan {
    /// What a neighbour is told of a flow that goes on to `origin`.
    #[must_use]
    pub fn header(
        &self,
        kind: FlowKind,
        service: &ServiceName,
        origin: &OriginId,
        caller: &NodeName,
    ) -> StreamHeader {
        StreamHeader {
            service: service.clone(),
            origin: Some(origin.clone()),
            caller: caller.clone(),
            trace: None,
            policy_epoch: self.epoch,
            hop_limit: self.hop_limit,
            kind,
        }
    }
}

impl Tables {
    /// Empty tables. `seed` begins the numbers that share flows among equals.
    #[must_use]
    pub fn new(own: NodeName, limits: Limits, held: usize, seed: u64) -> Self {
        let inner = Inner {
            forward: ForwardTable::new(limits),
            flows: FlowTable::new(&limits),
            controls: BTreeMap::new(),
            packets: BTreeMap::new(),
            packet_limit: limits.packet_flows,
            packets_opened: 0,
            packets_refused: 0,
            #[cfg(feature = "mesh")]
            of_neighbours: 0,
            targets: BTreeMap::new(),
            carried: Carried::default(),
            epoch: 0,
            draws: Draws::new(seed),
        };
        Tables {
            own,
            held: Held::new(held),
            ports: OwnPorts::default(),
            mesh: Told::default(),
            inner: Mutex::new(inner),
        }
    }

    /// The ports that the node listens on itself.
    pub(crate) fn ports(&self) -> &OwnPorts {
        &self.ports
    }

    /// What is told to them is told to this program, too.
    #[must_use]
    pub fn with_mesh(self, mesh: Told) -> Self {
        Tables { mesh, ..self }
    }

    /// The program that carries flows, where there is one.
    #[must_use]
    pub fn mesh(&self) -> &Told {
        &self.mesh
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held; if something did, the tables are still whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ways to a service changed. Returns what to say when the table is full. Flows of packets whose way is no more
    /// are cut: their clients would go on for ever, and the next packet finds the way that there is.
    pub fn set_forward(&self, forward: &Forward) -> Option<String> {
        self.mesh.tell(Change::Forward(forward));
        let mut inner = self.lock();
        let stays = |way: &NextHop| {
            forward.endpoints.iter().any(|e| match (&e.next, way) {
                (Hop::Local, NextHop::Local) => true,
                (Hop::Peer(peer), NextHop::Peer(way)) => *peer == **way,
                _ => false,
            })
        };
        let cut = inner.packets_of(&forward.service, |way| !stays(way));
        let full = Self::forward(&mut inner, forward);
        drop(inner);
        cut.iter().for_each(|control| control.cut(Refusal::NoEndpoint));
        full
    }

    fn forward(inner: &mut Inner, forward: &Forward) -> Option<String> {
        if forward.endpoints.is_empty() {
            inner.forward.remove(&forward.service);
            return None;
        }
        let endpoint = |e: &catalyst_control::Endpoint| Endpoint {
            origin: inner.forward.origin(&e.origin),
            next: match &e.next {
                Hop::Local => NextHop::Local,
                Hop::Peer(peer) => NextHop::Peer(inner.forward.peer(peer)),
            },
            weight: u32::from(e.weight),
            equal: e.equal,
        };
        let endpoints: Vec<Endpoint> = forward.endpoints.iter().map(endpoint).collect();
        inner.forward.set(&forward.service, forward.protocol, endpoints).err().map(|full| full.to_string())
    }

    /// A neighbour of another organisation may use a service, or no longer; then its live flows are cut.
    pub fn set_grant(&self, peer: &NodeName, service: &ServiceName, granted: bool) -> Option<String> {
        if granted {
            let full = self.lock().forward.grant(peer, service).err();
            // What there is no room for is granted nowhere.
            if full.is_none() {
                self.mesh.tell(Change::Grant { peer, service, granted });
            }
            return full.map(|full| full.to_string());
        }
        self.mesh.tell(Change::Grant { peer, service, granted });
        let mut inner = self.lock();
        inner.forward.revoke(peer, service);
        inner.epoch += 1;
        let epoch = inner.epoch;
        let ended = inner.flows.revoked(peer, service, epoch);
        let cut: Vec<_> = ended.iter().filter_map(|id| inner.controls.get(id).cloned()).collect();
        drop(inner);
        cut.iter().for_each(|control| control.cut(Refusal::NotPermitted));
        None
    }

    /// The socket of a service of this node; `None` when it is gone.
    pub fn set_target(&self, service: &ServiceName, target: Option<HostPort>) {
        self.mesh.tell(Change::Target { service, target: target.as_ref() });
        let mut inner = self.lock();
        let moved = inner.targets.get(service) != target.as_ref();
        let cut = if moved { inner.packets_of(service, |way| *way == NextHop::Local) } else { Vec::new() };
        inner.carried.own(service, target.is_some());
        match target {
            Some(target) => inner.targets.insert(service.clone(), target),
            None => inner.targets.remove(service),
        };
        drop(inner);
        cut.iter().for_each(|control| control.cut(Refusal::NoEndpoint));
    }

    /// What a connection may try. `from` is the neighbour it came from, or nothing for a client on this machine.
    ///
    /// # Errors
    /// Why it may go nowhere.
    pub fn plan(
        &self,
        from: Option<&NodeName>,
        service: &ServiceName,
        origin: Option<&OriginId>,
        hop_limit: u8,
        tries: usize,
    ) -> Result<Plan, Refusal> {
        self.plan_kind(FlowKind::Bytes, from, service, origin, hop_limit, tries)
    }

    /// The same for a flow of packets.
    ///
    /// # Errors
    /// As [`Tables::plan`].
    pub fn plan_packets(
        &self,
        from: Option<&NodeName>,
        service: &ServiceName,
        origin: Option<&OriginId>,
        hop_limit: u8,
        tries: usize,
    ) -> Result<Plan, Refusal> {
        self.plan_kind(FlowKind::Packets, from, service, origin, hop_limit, tries)
    }

    fn plan_kind(
        &self,
        kind: FlowKind,
        from: Option<&NodeName>,
        service: &ServiceName,
        origin: Option<&OriginId>,
        hop_limit: u8,
        tries: usize,
    ) -> Result<Plan, Refusal> {
        let mut inner = self.lock();
        let draw = inner.draws.draw();
        let caller = match from {
            None => Caller::Local,
            Some(peer) if peer.org() == self.own.org() => Caller::Internal(peer),
            Some(peer) => Caller::External(peer),
        };
        // Beyond the border origins have other names, and the choice among ours is ours.
        let origin = origin.filter(|_| !matches!(caller, Caller::External(_)));
        let choice = inner.forward.resolve(caller, service, origin, hop_limit, draw)?;
        // A stream must not reach a TCP socket that happens to have the port of a UDP service, nor the other way round.
        if (choice.protocol == Protocol::Udp) != (kind == FlowKind::Packets) {
            return Err(Refusal::NoEndpoint);
        }
        let step = |e: &Endpoint| match &e.next {
            NextHop::Local => inner.targets.get(service).cloned().map(Step::Target),
            NextHop::Peer(peer) => Some(Step::Peer(NodeName::clone(peer), OriginId::clone(&e.origin))),
        };
        let ways = std::iter::once(choice.best).chain(choice.alternatives());
        let steps: Vec<Step> = ways.filter_map(step).take(tries).collect();
        if steps.is_empty() {
            return Err(Refusal::NoEndpoint);
        }
        Ok(Plan { steps, hop_limit: choice.hop_limit, epoch: inner.epoch })
    }

    /// Enters a flow; the handle leaves it when dropped.
    ///
    /// # Errors
    /// [`Refusal::TooManyFlows`].
    pub fn enter(
        self: &Arc<Self>,
        from: Option<&NodeName>,
        service: &ServiceName,
        epoch: u64,
        now_ms: u64,
    ) -> Result<Live, Refusal> {
        let (id, control) = self.enter_locked(&mut self.lock(), from, service, epoch, now_ms)?;
        Ok(Live { tables: self.clone(), id, control })
    }

    fn enter_locked(
        &self,
        inner: &mut Inner,
        from: Option<&NodeName>,
        service: &ServiceName,
        epoch: u64,
        now_ms: u64,
    ) -> Result<(FlowId, Arc<FlowControl>), Refusal> {
        let control = FlowControl::new(&self.held);
        let id = inner.flows.open(service, from, None, epoch, now_ms)?;
        inner.controls.insert(id, control.clone());
        #[cfg(feature = "mesh")]
        if from.is_some() {
            inner.of_neighbours += 1;
        }
        // A permission withdrawn between the plan and here must not slip through.
        if epoch < inner.epoch
            && let Some(peer) = from.filter(|p| p.org() != self.own.org())
            && !inner.forward.is_granted(peer, service)
        {
            inner.controls.remove(&id);
            inner.flows.close(id);
            return Err(Refusal::NotPermitted);
        }
        Ok((id, control))
    }

    /// Enters a flow of packets.
    ///
    /// # Errors
    /// As [`Tables::enter`], and when as many flows of packets are alive as may be.
    pub fn enter_packets(
        self: &Arc<Self>,
        from: Option<&NodeName>,
        service: &ServiceName,
        epoch: u64,
        now_ms: u64,
    ) -> Result<Live, Refusal> {
        let mut inner = self.lock();
        if inner.packets.len() >= inner.packet_limit {
            inner.packets_refused += 1;
            return Err(Refusal::TooManyFlows);
        }
        let (id, control) = self.enter_locked(&mut inner, from, service, epoch, now_ms)?;
        inner.packets.insert(id, None);
        inner.packets_opened += 1;
        drop(inner);
        Ok(Live { tables: self.clone(), id, control })
    }

    /// How many endpoints of one service the tunnel uses at most.
    #[cfg(feature = "mesh")]
    pub(crate) fn most_endpoints(&self) -> usize {
        self.lock().forward.most_endpoints()
    }

    /// Flows of packets: alive, the most that may be, how many there have been, and how many were refused.
    #[must_use]
    pub fn packet_flows(&self) -> (usize, usize, u64, u64) {
        let inner = self.lock();
        (inner.packets.len(), inner.packet_limit, inner.packets_opened, inner.packets_refused)
    }

    /// Flows alive, and counters.
    #[must_use]
    pub fn flows(&self) -> (usize, Totals) {
        let mut inner = self.lock();
        let live: Vec<_> = inner.controls.iter().map(|(id, control)| (*id, control.carried())).collect();
        live.into_iter().for_each(|(id, (to, from))| inner.flows.progress(id, to, from));
        (inner.flows.len(), inner.flows.totals())
    }

    /// Flows that neighbours have opened through the tunnel, those of packets too.
    #[cfg(feature = "mesh")]
    pub(crate) fn of_neighbours(&self) -> crate::drain::UnderWay {
        let inner = self.lock();
        let now = inner.flows.iter().filter(|(_, flow)| flow.from.is_some()).count();
        crate::drain::UnderWay { now: now as u64, ever: inner.of_neighbours }
    }

    /// This service has a local port here, so that what it carries is counted; or no longer.
    pub fn exposed(&self, service: &ServiceName, exposed: bool) {
        self.lock().carried.exposed(service, exposed);
    }

    /// Bytes carried towards a service and from it, if it is this node's own or has a local port here.
    #[must_use]
    pub fn carried(&self, service: &ServiceName) -> (u64, u64) {
        let inner = self.lock();
        let live = inner.flows.of_service(service).into_iter();
        let live = live.filter_map(|id| inner.controls.get(&id)).map(|control| control.carried());
        live.fold(inner.carried.of(service), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    }

    /// What a service speaks, as far as a route or the service itself tells.
    #[must_use]
    pub fn protocol(&self, service: &ServiceName) -> Option<Protocol> {
        let inner = self.lock();
        inner
            .forward
            .resolve(Caller::Local, service, None, Limits::HOPS, 0)
            .ok()
            .map(|choice| choice.protocol)
    }

    /// Whether a local client could reach a service now, by a port of this protocol.
    ///
    /// # Errors
    /// Why it could not, in words.
    pub fn reachable(&self, service: &ServiceName, port: Protocol) -> Result<(), String> {
        let kind = if port == Protocol::Udp { FlowKind::Packets } else { FlowKind::Bytes };
        let why = match self.plan_kind(kind, None, service, None, Limits::HOPS, 1) {
            Ok(_) if port != Protocol::Udp && self.mesh.get().is_some_and(|mesh| !mesh.has(service)) => {
                return Err("Envoy does not have it yet".to_string());
            }
            Ok(_) => return Ok(()),
            Err(why) => why,
        };
        let inner = self.lock();
        match inner.forward.resolve(Caller::Local, service, None, Limits::HOPS, 0) {
            Ok(choice) if (choice.protocol == Protocol::Udp) != (port == Protocol::Udp) => Err(format!(
                "a {} service: the port is for {port}; set 'protocol' under 'expose'",
                choice.protocol
            )),
            _ => Err(why.to_string()),
        }
    }
}

/// A flow in the table. Dropping it closes the entry with the bytes that it carried.
#[derive(Debug)]
pub struct Live {
    tables: Arc<Tables>,
    id: FlowId,
    /// Counters, and the way to cut it.
    pub control: Arc<FlowControl>,
}

impl Live {
    /// The service that it leads to.
    #[must_use]
    pub fn service(&self) -> String {
        self.tables.lock().flows.get(self.id).map_or_else(String::new, |flow| flow.service.to_string())
    }

    /// The neighbour that carries it on.
    pub fn through(&self, peer: &NodeName) {
        self.tables.lock().flows.reroute(self.id, Some(peer));
    }

    /// The way of a flow of packets is known.
    pub fn goes(&self, way: NextHop) {
        let mut inner = self.tables.lock();
        if let NextHop::Peer(peer) = &way {
            inner.flows.reroute(self.id, Some(peer));
        }
        // A way withdrawn since the plan must not slip through.
        let stands = inner.flows.get(self.id).is_some_and(|flow| {
            let choice = inner.forward.resolve(Caller::Local, &flow.service, None, Limits::HOPS, 0);
            choice.is_ok_and(|c| c.best.next == way || c.alternatives().any(|e| e.next == way))
        });
        if let Some(known) = inner.packets.get_mut(&self.id) {
            *known = Some(way);
        }
        drop(inner);
        if !stands {
            self.control.cut(Refusal::NoEndpoint);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut inner = self.tables.lock();
        let (to, from) = self.control.carried();
        inner.flows.progress(self.id, to, from);
        if let Some(flow) = inner.flows.close(self.id) {
            inner.carried.add(&flow.service, (to, from));
        }
        inner.controls.remove(&self.id);
        inner.packets.remove(&self.id);
    }
}

impl Inner {
    /// The controls of a service's flows of packets that go a way like this.
    fn packets_of(&self, service: &ServiceName, like: impl Fn(&NextHop) -> bool) -> Vec<Arc<FlowControl>> {
        let ids = self.flows.of_service(service).into_iter();
        let gone = ids.filter(|id| self.packets.get(id).and_then(Option::as_ref).is_some_and(&like));
        gone.filter_map(|id| self.controls.get(&id).cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
