//! The shapes of rows that more than one view shows.

use alloc::string::String;
use alloc::vec::Vec;

/// One route of Adj-RIB-In.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouteRow {
    /// The service's full name.
    pub service: String,
    /// The origin id.
    pub origin: String,
    /// What the service speaks.
    pub protocol: String,
    /// The neighbour that announced it, or this node.
    pub via: String,
    /// `best`, `next`, `alternative` or `ineligible`.
    pub standing: String,
    /// Organisations passed, nearest first.
    pub org_path: Vec<String>,
    /// Nodes of this organisation passed, nearest first.
    pub node_path: Vec<String>,
    /// Rank inside the organisation.
    pub local_pref: u32,
    /// Lower is better.
    pub cost: u32,
    /// Share among equals.
    pub weight: u16,
    /// `org:tag`.
    pub tags: Vec<String>,
    /// Whether the service answers.
    pub healthy: bool,
    /// `stale`: its neighbour is lost. `long-lived stale`: for longer than the restart time, here or on the way. Or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stale: String,
    /// Its node, or one on the way, is about to stop (RFC 8326): it is used when there is nothing else that is fresh.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub draining: bool,
    /// It changed too often, and ranks behind what holds still.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub flapping: bool,
}
