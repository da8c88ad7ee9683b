//! Rows of the answers: rules, nodes, peers, services, local ports.

use catalyst_names::NodeId;
use serde::{Deserialize, Serialize};

use crate::rules::RuleSpec;

/// A rule, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleSpec,
    /// `file` or `runtime`.
    pub source: String,
    /// What it is called: its own name, or its place.
    #[serde(default)]
    pub name: String,
    /// How often it has decided since the start.
    #[serde(default)]
    pub matches: u64,
    /// All of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<catalyst_policy::Rule>>,
}

/// A plan, and the rules that it is compared with.
#[cfg(feature = "mesh")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAnswer {
    /// Names the rules that hold now: to be given with the order to replace them.
    pub etag: String,
    /// Rules that would come, go, change or be asked in another order, first those for exports.
    #[serde(default)]
    pub rules: Vec<catalyst_policy::RuleChange>,
    /// What would change.
    #[serde(flatten)]
    pub plan: catalyst_control::plan::Plan,
    /// New rules that would never decide, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
}

/// A node that was invited, issued for or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its name.
    pub node: NodeId,
    /// `invited`, `joined`, `expired` or `revoked`.
    pub state: String,
    /// Until when the invitation or the certificate is good, in seconds since 1970; when it was revoked.
    pub until: u64,
}

/// A configured peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Its name.
    pub name: String,
    /// `internal`, `customer`, `provider`, `peer` or `no agreement`.
    pub relation: String,
    /// `up`, `syncing` or `down`.
    pub state: String,
    /// Where it is dialled, or `dials us`.
    pub address: String,
    /// What carries the session, `quic` or `tcp`; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub via: String,
    /// Seconds in this state.
    pub since_s: u64,
    /// Routes of it that are held.
    pub routes: usize,
    /// The most that it may have here.
    pub max_routes: usize,
    /// Bytes of their attributes, and the most that it may have here.
    #[cfg(feature = "mesh")]
    #[serde(default)]
    pub bytes: (usize, usize),
    /// It nears one of these limits: 80 % of it was used, and has not been let go.
    #[cfg(feature = "mesh")]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub near_limit: bool,
    /// Routes announced to it.
    pub announced: usize,
    /// Routes of it that are refused now.
    pub refused: u32,
    /// There may be more of them than were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused_more: bool,
    /// How often a route of it was refused so far.
    #[serde(default)]
    pub refused_total: u64,
    /// Why the last of these was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_why: Option<String>,
    /// Routes of ours that it refuses now.
    pub refused_by_peer: u32,
    /// Whether what it says to have announced is what is held: `equal`, `differs`, `suspended` while something that came
    /// is not held, `refreshing`; empty before its first digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Digests of it so far that did not fit.
    #[serde(default)]
    pub digest_mismatches: u32,
    /// How often it was asked to tell its table again.
    #[serde(default)]
    pub refreshes: u32,
    /// What it asks for, names first, [`crate::Limits::PATTERNS`] at most; everything without it.
    #[cfg(feature = "mesh")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<InterestRow>,
    /// Malformed routes of it, treated as withdrawn.
    pub malformed: u32,
    /// Routes of it that policy keeps out.
    pub denied: u32,
    /// What no rule lets pass between the organisations, in words; empty inside one (RFC 8212).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub withheld: String,
    /// Sessions so far.
    pub sessions: u32,
    /// Why the last session ended, or why the last dial failed.
    pub last_error: String,
    /// What becomes of its routes that no session confirms, in words; empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stale: String,
    /// `file` or `runtime`.
    #[serde(default)]
    pub source: String,
    /// Two processes use its identity: their runs and addresses, in words. Empty when none are suspected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub clones: String,
}

/// What a node asks its neighbours for.
#[cfg(feature = "mesh")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterestRow {
    /// It has promised a list that has not come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
    /// How many patterns.
    pub count: usize,
    /// The first of them.
    pub patterns: Vec<String>,
}

/// A service of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its full name.
    pub name: String,
    /// What it speaks.
    pub protocol: String,
    /// Its socket.
    pub target: String,
    /// Lower is better.
    pub cost: u32,
    /// Share among equals.
    pub weight: u16,
    /// `org:tag`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `file` or `runtime`.
    pub source: String,
    /// Organisations it is exported to.
    pub exported_to: Vec<String>,
    /// Bytes carried towards it and from it, by all flows since the start.
    #[serde(default)]
    pub carried: (u64, u64),
    /// How it is, if this node runs or checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthRow>,
}

/// How a service is that this node runs or checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRow {
    /// `starting`, `healthy` or `unhealthy`.
    pub state: String,
    /// Seconds in this state.
    pub since_s: u64,
    /// Why it is not healthy; empty if it is.
    pub why: String,
    /// Its process, if this node runs it and it is there.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// How many of its checks have failed.
    pub checks_failed: u64,
}

/// A local port for a remote service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposeRow {
    /// The service.
    pub service: String,
    /// The local address.
    pub listen: String,
    /// What clients speak there: `tcp` or `udp`.
    #[serde(default)]
    pub port: String,
    /// The protocol of the service; empty while no route tells it.
    #[serde(default)]
    pub protocol: String,
    /// `reachable`, or why not.
    pub state: String,
    /// `file` or `runtime`.
    #[serde(default)]
    pub source: String,
    /// Bytes carried towards it and from it, by all flows since the start. Not there for a port that Envoy serves: its figures
    /// tell of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<(u64, u64)>,
}
