//! A node of the simulated network, and what its data plane was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use catalyst_control::record::Recording;
use catalyst_control::{Forward, LocalService, Notice};
use catalyst_names::{NodeName, ServiceLabel, ServiceName};

use crate::any::AnyCore;
use crate::held::{Held, Way};
use crate::plan::NodePlan;
use crate::seen::Name;

/// A node while it runs, and what it is to become again after a restart.
pub struct Node {
    pub(crate) plan: NodePlan,
    /// Its links, by their places.
    pub(crate) links: Vec<usize>,
    pub(crate) services: BTreeMap<ServiceLabel, LocalService>,
    pub(crate) secret: [u8; 32],
    pub(crate) core: Option<AnyCore>,
    pub(crate) incarnation: u64,
    /// It is about to stop.
    pub(crate) draining: bool,
    pub(crate) tick_at: Option<u64>,
    pub(crate) recording: Option<Recording>,
    pub(crate) forwards: BTreeMap<ServiceName, Forward>,
    pub(crate) grants: BTreeSet<(NodeName, ServiceName)>,
    pub(crate) notices: VecDeque<(u64, Notice)>,
    /// The steps of the simulator at which a service changed last and before that, and at which the rules did.
    pub(crate) changed: BTreeMap<ServiceName, [u64; 2]>,
    pub(crate) rules_changed: u64,
    /// Since when each key waits of which it has yet to tell better news.
    pub(crate) paused: BTreeMap<Name, u64>,
    /// While rules are all that changes: what neighbours might use and may no longer.
    pub(crate) cut: Option<BTreeSet<(NodeName, ServiceName)>>,
    /// What it uses and tells nobody inside.
    pub(crate) withheld: BTreeMap<Name, Held>,
    /// Whether the way that it told somebody inside at last led straight to the service's home or over a border, and when.
    pub(crate) said: BTreeMap<Name, (bool, u64)>,
    /// What it uses for each key of a service and tells inside, since that changed last.
    pub(crate) told: BTreeMap<ServiceName, BTreeMap<Name, Way>>,
}

impl Node {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.plan.name
    }

    /// Its core, while it runs.
    #[must_use]
    pub fn core(&self) -> Option<&AnyCore> {
        self.core.as_ref()
    }

    /// What its data plane was told last, by service.
    #[must_use]
    pub fn forwards(&self) -> &BTreeMap<ServiceName, Forward> {
        &self.forwards
    }

    /// Which neighbours may use which services, as its data plane was told.
    #[must_use]
    pub fn grants(&self) -> &BTreeSet<(NodeName, ServiceName)> {
        &self.grants
    }

    /// Every event of its present run, in order, if recordings are kept.
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// What it said, with the moments.
    pub fn notices(&self) -> impl DoubleEndedIterator<Item = &(u64, Notice)> {
        self.notices.iter()
    }
}
