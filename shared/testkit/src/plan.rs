//! What a simulated network is made of, before anything runs.

use catalyst_control::{Flap, Limits, LocalService};
use catalyst_names::NodeName;
use catalyst_policy::Rule;

use crate::any::StoreKind;
use crate::fault::Fault;
use crate::link::LinkPlan;

/// A node, as it is configured when it first starts.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Its name.
    pub name: NodeName,
    /// Its store.
    pub store: StoreKind,
    /// How far its monotonic clock is ahead, in milliseconds.
    pub skew: u64,
    /// How late its timers may ring, in milliseconds.
    pub late: u64,
    /// What its core may hold.
    pub limits: Limits,
    /// How long it asks its neighbours to keep its routes, in milliseconds.
    pub restart_ms: u32,
    /// How long it keeps those of lost neighbours at most.
    pub stale_max_ms: u64,
    /// Whether it has a mesh port, so that flows do not go with its sessions.
    pub mesh: bool,
    /// When a route changes too often.
    pub flap: Flap,
    /// What it wants to hear of; everything without a list.
    pub interest: Option<Vec<String>>,
    /// Its services.
    pub services: Vec<LocalService>,
    /// Its export rules.
    pub exports: Vec<Rule>,
    /// Its import rules.
    pub imports: Vec<Rule>,
}

impl NodePlan {
    /// A node over the heap store with nothing to offer.
    #[must_use]
    pub fn new(name: NodeName) -> Self {
        NodePlan {
            name,
            store: StoreKind::Heap,
            skew: 0,
            late: 0,
            limits: Limits::CLOUD,
            restart_ms: 0,
            stale_max_ms: 0,
            mesh: false,
            flap: Flap::OFF,
            interest: None,
            services: Vec::new(),
            exports: Vec::new(),
            imports: Vec::new(),
        }
    }
}

/// A network, and what happens to it. After each epoch the network is given time to come to rest and is compared
/// with the oracle.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything by chance, but for delays.
    pub seed: u64,
    /// Decides every delay, together with the seed.
    pub delays: u64,
    /// In words.
    pub shape: String,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// The links. At most one between two nodes.
    pub links: Vec<LinkPlan>,
    /// Faults with their moments, from the beginning of their epoch.
    pub epochs: Vec<Vec<(u64, Fault)>>,
    /// Replay the recording of every node and compare digests.
    pub record: bool,
    /// Limits are so low that they refuse routes.
    pub tight: bool,
}
