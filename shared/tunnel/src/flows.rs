//! The flows that are alive on this node: who, what, how much, and which must end when a permission goes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use catalyst_names::{NodeName, ServiceName};

use crate::limits::Limits;
use crate::refusal::Refusal;

/// A flow's number on this node; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One live flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The service that it uses.
    pub service: Arc<ServiceName>,
    /// The neighbour that it came from; `None` for a client on this node.
    pub from: Option<Arc<NodeName>>,
    /// The neighbour that it goes to; `None` for a service on this node.
    pub to: Option<Arc<NodeName>>,
    /// The policy epoch under which it was admitted.
    pub policy_epoch: u64,
    /// When it was opened, in milliseconds of the monotonic clock.
    pub opened_ms: u64,
    /// Bytes towards the service.
    pub bytes_in: u64,
    /// Bytes from the service.
    pub bytes_out: u64,
}

/// Sums over flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Flows that were opened.
    pub opened: u64,
    /// Flows that were refused because the table was full.
    pub refused: u64,
    /// Bytes towards services.
    pub bytes_in: u64,
    /// Bytes from services.
    pub bytes_out: u64,
}

/// All live flows, found by number, by service and by neighbour. Each name is kept once.
#[derive(Clone, Debug)]
pub struct FlowTable {
    limit: usize,
    last: u64,
    flows: BTreeMap<FlowId, Flow>,
    by_service: BTreeMap<Arc<ServiceName>, BTreeSet<FlowId>>,
    by_peer: BTreeMap<Arc<NodeName>, BTreeSet<FlowId>>,
    totals: Totals,
}

impl FlowTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        FlowTable {
            limit: limits.flows,
            last: 0,
            flows: BTreeMap::new(),
            by_service: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// Enters a flow that starts at `now_ms` (monotonic milliseconds).
    ///
    /// # Errors
    /// [`Refusal::TooManyFlows`] when [`Limits::flows`] are alive; it is counted.
    pub fn open(
        &mut self,
        service: &ServiceName,
        from: Option<&NodeName>,
        to: Option<&NodeName>,
        policy_epoch: u64,
        now_ms: u64,
    ) -> Result<FlowId, Refusal> {
        if self.flows.len() >= self.limit {
            self.totals.refused += 1;
            return Err(Refusal::TooManyFlows);
        }
        self.last += 1;
        let id = FlowId(self.last);
        let service = enter(&mut self.by_service, service, id);
        let from = from.map(|peer| enter(&mut self.by_peer, peer, id));
        let to = to.map(|peer| enter(&mut self.by_peer, peer, id));
        let flow = Flow { service, from, to, policy_epoch, opened_ms: now_ms, bytes_in: 0, bytes_out: 0 };
        self.flows.insert(id, flow);
        self.totals.opened += 1;
        Ok(id)
    }

    /// Sets the bytes that a flow has carried so far; numbers that go backwards are ignored.
    pub fn progress(&mut self, id: FlowId, bytes_in: u64, bytes_out: u64) {
        if let Some(flow) = self.flows.get_mut(&id) {
            self.totals.bytes_in += bytes_in.saturating_sub(flow.bytes_in);
            self.totals.bytes_out += bytes_out.saturating_sub(flow.bytes_out);
            flow.bytes_in = flow.bytes_in.max(bytes_in);
            flow.bytes_out = flow.bytes_out.max(bytes_out);
        }
    }

    /// Moves a flow to another neighbour, when the first endpoint did not connect.
    pub fn reroute(&mut self, id: FlowId, to: Option<&NodeName>) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        if let Some(old) = flow.to.take().filter(|old| Some(old) != flow.from.as_ref()) {
            forget(&mut self.by_peer, &old, id);
        }
        flow.to = to.map(|to| enter(&mut self.by_peer, to, id));
    }

    /// Takes a flow out that has ended.
    pub fn close(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.flows.remove(&id)?;
        forget(&mut self.by_service, &flow.service, id);
        for peer in [&flow.from, &flow.to].into_iter().flatten() {
            forget(&mut self.by_peer, peer, id);
        }
        Some(flow)
    }

    /// The flow with this number.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// All flows, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FlowId, &Flow)> {
        self.flows.iter().map(|(id, flow)| (*id, flow))
    }

    /// How many are alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether none is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many use each service.
    pub fn by_service(&self) -> impl Iterator<Item = (&ServiceName, usize)> {
        self.by_service.iter().map(|(service, flows)| (&**service, flows.len()))
    }

    /// How many come from or go to each neighbour.
    pub fn by_peer(&self) -> impl Iterator<Item = (&NodeName, usize)> {
        self.by_peer.iter().map(|(peer, flows)| (&**peer, flows.len()))
    }

    /// Sums since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    // Which flows must end.

    /// After the permission of `peer` to use `service` was withdrawn: its flows, not those of others. A flow that
    /// was admitted under `epoch` or later has passed the new permission and may stay; `u64::MAX` spares none.
    #[must_use]
    pub fn revoked(&self, peer: &NodeName, service: &ServiceName, epoch: u64) -> Vec<FlowId> {
        let of_service = |flow: &Flow| *flow.service == *service;
        self.pick(self.by_peer.get(peer), |flow| {
            of_service(flow) && flow.from.as_deref() == Some(peer) && flow.policy_epoch < epoch
        })
    }

    /// After `service` is gone from this node's table.
    #[must_use]
    pub fn of_service(&self, service: &ServiceName) -> Vec<FlowId> {
        self.pick(self.by_service.get(service), |_| true)
    }

    /// After `peer` is gone for good, or all its permissions are.
    #[must_use]
    pub fn of_peer(&self, peer: &NodeName) -> Vec<FlowId> {
        self.pick(self.by_peer.get(peer), |_| true)
    }

    fn pick(&self, ids: Option<&BTreeSet<FlowId>>, wanted: impl Fn(&Flow) -> bool) -> Vec<FlowId> {
        let ids = ids.into_iter().flatten().copied();
        ids.filter(|id| self.flows.get(id).is_some_and(&wanted)).collect()
    }
}

/// Enters a number in an index. Returns the name as the index keeps it.
fn enter<K: Ord + Clone>(index: &mut BTreeMap<Arc<K>, BTreeSet<FlowId>>, key: &K, id: FlowId) -> Arc<K> {
    let known = index.get_key_value(key).map(|(known, _)| known.clone());
    let name = known.unwrap_or_else(|| Arc::new(key.clone()));
    index.entry(name.clone()).or_default().insert(id);
    name
}

/// Removes a number from an index, and the key with its last number.
fn forget<K: Ord>(index: &mut BTreeMap<Arc<K>, BTreeSet<FlowId>>, key: &K, id: FlowId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
