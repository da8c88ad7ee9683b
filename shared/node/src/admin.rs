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
use catalyst_control::visibility::Visibility;
use catalyst_names::{NodeId, NodeName, Protocol, ServiceLabel, ServiceName};
use serde::{Deserialize, Serialize};

#[cfg(feature = "mesh")]
use crate::drain::DrainRow;
use crate::exposes::ExposeSpec;
use crate::peers::PeerSpec;
#[cfg(feature = "mesh")]
use crate::rules::Lists;
use crate::rules::RuleSpec;

mod rows;
mod status;

pub use rows::{ExposeRow, HealthRow, NodeRow, PeerRow, RuleRow, ServiceRow};
#[cfg(feature = "mesh")]
pub use rows::{InterestRow, PlanAnswer};
pub use status::{LayerRow, OwedRow, Status, UdpRow};

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
    Visibility(Visibility),
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
