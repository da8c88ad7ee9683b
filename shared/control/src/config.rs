//! What the core is told about itself, its peers and its services.

use alloc::string::String;
use alloc::vec::Vec;

use catalyst_names::{NodeName, Protocol, ServiceLabel};
use catalyst_policy::Agreement;

use crate::flap::Flap;
use crate::limits::Limits;

/// What does not change while the node runs.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// The name of this node.
    pub name: NodeName,
    /// Which run of this node it is.
    pub incarnation: u64,
    /// Keeps origin ids beyond the border opaque. Not in recordings.
    #[serde(skip)]
    pub border_secret: [u8; 32],
    /// Capacities.
    pub limits: Limits,
    /// Where neighbours find this node's mesh port, `host:port`; empty without one.
    #[serde(default)]
    pub mesh_address: String,
    /// How long routes of a neighbour that is lost are kept at most, in milliseconds; 0: not at all.
    #[serde(default)]
    pub stale_max_ms: u64,
    /// When a route changes too often.
    #[serde(default)]
    pub flap: Flap,
}

impl core::fmt::Debug for Settings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// A configured neighbour.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PeerConfig {
    /// Its name, as its certificate has it.
    pub name: NodeName,
    /// The agreement with its organisation; without one, a neighbour of another organisation gets and gives nothing.
    pub agreement: Option<Agreement>,
    /// The hold time to offer, in milliseconds; 0 leaves it to the neighbour.
    pub hold_ms: u32,
    /// How long it is asked to keep this node's routes when the session is lost, in milliseconds; 0: not at all.
    #[serde(default)]
    pub restart_ms: u32,
}

/// A service that this node offers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LocalService {
    /// Its first label; the organisation is the node's.
    pub label: ServiceLabel,
    /// What it speaks.
    pub protocol: Protocol,
    /// Lower is better.
    pub cost: u32,
    /// Share among equals.
    pub weight: u16,
    /// `org:tag`.
    pub tags: Vec<String>,
    /// Whether it may be announced: false while a health check fails.
    pub healthy: bool,
    /// Neighbours drop it with the restart time instead of keeping it as long-lived stale.
    #[serde(default)]
    pub fail_closed: bool,
}
