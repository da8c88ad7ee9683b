//! What `status` answers.

use catalyst_control::visibility::VisibilityRow;
use serde::{Deserialize, Serialize};

#[cfg(feature = "mesh")]
use crate::admin::rows::InterestRow;
use crate::admin::rows::{ExposeRow, PeerRow, ServiceRow};
#[cfg(feature = "mesh")]
use crate::drain::DrainRow;
#[cfg(feature = "mesh")]
use crate::envoy_row::EnvoyRow;

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `edge-1.acme.example`.
    pub node: String,
    /// `edge` or `cloud`.
    pub build: String,
    /// The version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Which run of the node this is.
    pub incarnation: u64,
    /// The UDP address of the peering socket.
    pub peering: String,
    /// Whether others may dial this node.
    pub listens: bool,
    /// When the certificate ends, in seconds since 1970.
    pub certificate_until: u64,
    /// Routes held, and the most it may hold.
    pub routes: (usize, usize),
    /// Routes of the last run whose neighbours have not come back yet, and when they were written, in seconds since 1970.
    #[serde(default)]
    pub remembered: (usize, u64),
    /// Routes that were refused for want of room since the start.
    pub routes_refused: u64,
    /// Routes that rank behind others because they changed too often, and how often one came to that since the start.
    #[serde(default)]
    pub flapping: (usize, u64),
    /// Flows alive, and the most.
    pub flows: (usize, usize),
    /// Flows opened and refused since the start.
    pub flows_total: (u64, u64),
    /// Bytes carried towards services and from them, by all flows since the start.
    #[serde(default)]
    pub carried: (u64, u64),
    /// Connections reset because who should read them did not, and connections for which a neighbour had no room.
    #[serde(default)]
    pub flows_lost: (u64, u64),
    /// Connections to services of this node that the system did not permit.
    #[serde(default)]
    pub denied: u64,
    /// What is carried for clients and services of UDP.
    #[serde(default)]
    pub udp: UdpRow,
    /// What this node asks its neighbours for; everything without it.
    #[cfg(feature = "mesh")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<InterestRow>,
    /// Peers.
    pub peers: Vec<PeerRow>,
    /// Services of this node.
    pub services: Vec<ServiceRow>,
    /// Local ports for remote services.
    pub expose: Vec<ExposeRow>,
    /// Where HTTP clients reach services by Host, if anywhere.
    #[serde(default)]
    pub http: Option<String>,
    /// What passes between organisations, and why not.
    #[serde(default)]
    pub visibility: Vec<VisibilityRow>,
    /// Rows of it that found no room.
    #[serde(default)]
    pub visibility_left_out: usize,
    /// Connections that were turned away: not configured, not trusted, malformed.
    pub refused_connections: u64,
    /// Sessions ended by this node for cause.
    pub sessions_ended: u64,
    /// Frames that could not be understood.
    pub malformed_frames: u64,
    /// Nodes that wanted a certificate of this node and got none.
    #[serde(default)]
    pub joins_refused: u64,
    /// Why the last renewal of this node's certificate failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_error: Option<String>,
    /// What the node has given up for its safety.
    #[serde(default)]
    pub sandbox: Vec<LayerRow>,
    /// What the store said when it was opened, if not all was well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_notice: Option<String>,
    /// Changes that are in force and not on the disk, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<OwedRow>,
    /// How the program is that carries flows, where there is one.
    #[cfg(feature = "mesh")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envoy: Option<Box<EnvoyRow>>,
    /// How far the drain is, if the node drains.
    #[cfg(feature = "mesh")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainRow>,
    /// The one next step that makes sense.
    pub next_step: String,
}

/// Changes that are in force, and that the disk has not taken. The node tries again until it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedRow {
    /// How many.
    pub changes: usize,
    /// Seconds since the first one failed.
    pub since_s: u64,
    /// What the last try said.
    pub why: String,
    /// The folder of the state.
    pub folder: String,
    /// Bytes that were free there at the last try, if the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

/// A layer of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRow {
    /// `files and ports`, `capabilities`, `system calls`.
    pub layer: String,
    /// `enforced`, `partly` or `off`.
    pub state: String,
    /// What it keeps out, or why it does not hold.
    pub why: String,
}

/// What is carried for clients and services of UDP. A flow is one client of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpRow {
    /// Flows alive, and the most.
    pub flows: (usize, usize),
    /// Flows opened and refused since the start.
    pub flows_total: (u64, u64),
    /// Packets and bytes carried towards services.
    pub to_services: (u64, u64),
    /// Packets and bytes carried from services.
    pub from_services: (u64, u64),
    /// Packets dropped because a queue was full.
    pub dropped_full: u64,
    /// Packets dropped because they were longer than 65,507 bytes, or than the path takes.
    pub dropped_too_long: u64,
    /// Packets for a port at which nobody listens, or to which the system has no way.
    pub dropped_unreachable: u64,
    /// Packets for which no flow could be opened, or whose flow has ended.
    pub dropped_no_flow: u64,
    /// Datagrams of neighbours that belong to no flow.
    pub unknown_datagrams: u64,
}

impl UdpRow {
    /// All packets that were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped_full + self.dropped_too_long + self.dropped_unreachable + self.dropped_no_flow
    }
}
