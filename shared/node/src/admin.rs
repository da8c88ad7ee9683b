//! The admin API, version 1: one JSON object a line, each way, on a Unix socket.
//!
//! ```text
//! > {"v":1,"do":"service-add","service":{"name":"inventory","protocol":"http","target":"127.0.0.1:8080"}}
//! < {"v":1,"ok":{"services":[...]}}
//! > {"v":1,"do":"service-remove","name":"nonsense"}
//! < {"v":1,"error":"no service 'nonsense' on this node; see 'service ls'"}
//! ```
//! A request is carried out while its client waits: when the client has closed the connection before the node comes to it,
//! it is dropped. Whoever may open the socket may do everything: its folder is 0700, the socket 0600. An answer never holds a
//! key, a token or a secret.

use catalyst_control::view::RouteRow;
use catalyst_control::visibility::VisibilityRow;
use catalyst_names::{NodeId, NodeName, Protocol, ServiceLabel, ServiceName};
use serde::{Deserialize, Serialize};

#[cfg(feature = "mesh")]
use crate::drain::DrainRow;
#[cfg(feature = "mesh")]
use crate::envoy_row::EnvoyRow;
use crate::exposes::ExposeSpec;
use crate::peers::PeerSpec;
#[cfg(feature = "mesh")]
use crate::rules::Lists;
use crate::rules::RuleSpec;

/// The version that this code speaks.
pub const VERSION: u32 = 1;

/// A request with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`].
    pub v: u32,
    /// What to do.
    #[serde(flatten)]
    pub request: Request,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// How the node is.
    Status,
    /// Routes, of one service if named.
    Routes {
        /// A full name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// Configured peers and their sessions.
    Peers,
    /// Add a neighbour, or change one.
    PeerAdd {
        /// The neighbour.
        peer: PeerSpec,
    },
    /// Forget a neighbour.
    PeerRemove {
        /// Its whole name.
        name: NodeName,
    },
    /// Services of this node.
    Services,
    /// Offer a service, or change one.
    ServiceAdd {
        /// The service.
        service: ServiceSpec,
    },
    /// Offer a service no longer.
    ServiceRemove {
        /// Its label.
        name: ServiceLabel,
    },
    /// Local ports for services.
    Exposed,
    /// Open a local port for a service.
    ExposeAdd {
        /// The port.
        expose: ExposeSpec,
    },
    /// Close the local ports of a service.
    ExposeRemove {
        /// The full name of the service.
        service: ServiceName,
        /// The one port alone, as `status` shows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listen: Option<String>,
    },
    /// Export and import rules.
    Rules,
    /// Let a service pass between organisations.
    RuleAdd {
        /// The rule.
        rule: RuleSpec,
    },
    /// Let it pass no longer.
    RuleRemove {
        /// The rule.
        rule: RuleSpec,
    },
    /// What other rules would change.
    #[cfg(feature = "mesh")]
    PolicyPlan {
        /// All rules.
        rules: Lists,
    },
    /// Put other rules in the place of all.
    #[cfg(feature = "mesh")]
    PolicyApply {
        /// All rules.
        rules: Lists,
        /// The rules that the caller has seen, as a plan names them.
        etag: String,
    },
    /// Changes of routes as they happen: the one request with many answers, which come until the client goes.
    #[cfg(feature = "mesh")]
    Watch {
        /// Names of services, in which `*` stands for any characters; of labels alone without a dot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        /// Do not begin with the routes that are there.
        #[serde(default)]
        changes_only: bool,
    },
    /// Why a service goes the way it goes, and who hears of it.
    #[cfg(feature = "mesh")]
    Explain {
        /// Its full name.
        service: String,
        /// Announcements to this neighbour alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<NodeName>,
    },
    /// Let neighbours use other ways, wait until they do, then stop.
    #[cfg(feature = "mesh")]
    Drain {
        /// After so many seconds at the latest.
        deadline_s: u64,
        /// Do not stop.
        #[serde(default)]
        stay: bool,
    },
    /// How far the drain is.
    #[cfg(feature = "mesh")]
    Drained,
    /// Let neighbours use this node as before.
    #[cfg(feature = "mesh")]
    Undrain,
    /// Which services other organisations see, and which of theirs are seen here; why not.
    Visibility,
    /// The trust bundle of this node's organisation.
    Bundle,
    /// Invite a node: only at the authority.
    Invite {
        /// Its name.
        node: NodeId,
        /// For how many seconds.
        ttl_s: u64,
        /// `host:port` where it finds this node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// Nodes that were invited, issued for or revoked: only at the authority.
    Nodes,
    /// Cut a node off: only at the authority.
    Revoke {
        /// Its name.
        node: NodeId,
        /// Also when neither the books nor a route nor a neighbour know it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
}

/// A service as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its label.
    pub name: ServiceLabel,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// `host:port` of its socket.
    pub target: String,
    /// Lower is better.
    #[serde(default)]
    pub cost: u32,
    /// Share among equals.
    #[serde(default = "default_weight")]
    pub weight: u16,
    /// `org:tag`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Neighbours that have lost this node for longer than the restart time use it no longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_closed: bool,
}

fn default_weight() -> u16 {
    catalyst_wire::attr::DEFAULT_WEIGHT
}

/// An answer with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`].
    pub v: u32,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Answer>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// With an error: what was asked for is in force all the same, but is not on the disk yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Answer>,
}

impl Reply {
    /// A reply to a request.
    #[must_use]
    pub fn of(result: Result<Answer, String>) -> Self {
        match result {
            Ok(Answer::Unwritten { why, done }) => {
                Reply { v: VERSION, ok: None, error: Some(why), done: Some(*done) }
            }
            Ok(answer) => Reply { v: VERSION, ok: Some(answer), error: None, done: None },
            Err(error) => Reply { v: VERSION, ok: None, error: Some(error), done: None },
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// How the node is.
    Status(Box<Status>),
    /// Routes.
    Routes(Vec<RouteRow>),
    /// Peers.
    Peers(Vec<PeerRow>),
    /// Services of this node.
    Services(Vec<ServiceRow>),
    /// Local ports for services.
    Exposed(Vec<ExposeRow>),
    /// Export and import rules.
    Rules(Vec<RuleRow>),
    /// What other rules would change.
    #[cfg(feature = "mesh")]
    Plan(Box<PlanAnswer>),
    /// Changes of routes, oldest first.
    #[cfg(feature = "mesh")]
    Watch(Vec<catalyst_control::observe::WatchRow>),
    /// Why a service goes the way it goes.
    #[cfg(feature = "mesh")]
    Explained(Box<catalyst_control::explain::Explanation>),
    /// How far a drain is.
    #[cfg(feature = "mesh")]
    Drain(Box<DrainRow>),
    /// Which services pass between organisations.
    Visibility(Vec<VisibilityRow>),
    /// Nodes of the authority's books.
    Nodes(Vec<NodeRow>),
    /// What a node gets that asked for a certificate; never an answer on the socket.
    #[serde(skip)]
    Enrolled(crate::enrolment::Reply),
    /// It is in force, but not on the disk yet; on the socket an error, with [`Reply::done`].
    #[serde(skip)]
    Unwritten {
        /// Why, and what happens now.
        why: String,
        /// What was asked for.
        done: Box<Answer>,
    },
    /// An invitation. It holds a secret: the one answer that does.
    Invitation {
        /// The token, to be handed to the board.
        token: String,
        /// For whom it is.
        node: NodeId,
        /// Until when, in seconds since 1970.
        expires: u64,
        /// Where the board finds the authority.
        address: String,
    },
    /// A trust bundle.
    Bundle {
        /// The organisation.
        org: String,
        /// Its roots, in PEM.
        pem: String,
        /// Their fingerprints.
        fingerprints: Vec<String>,
    },
}

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
    /// What would change.
    #[serde(flatten)]
    pub plan: catalyst_control::plan::Plan,
    /// New rules that would never decide, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
}

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
    /// Routes announced to it.
    pub announced: usize,
    /// Routes of it refused in this session, and why.
    pub refused: u32,
    /// Why they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_why: Option<String>,
    /// Routes of ours that it does not hold, and why.
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
    /// Bytes carried towards it and from it, by all flows since the start.
    #[serde(default)]
    pub carried: (u64, u64),
}
