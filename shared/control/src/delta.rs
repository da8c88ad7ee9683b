//! What phase 1 wants to change. Nothing is changed before all plugins have spoken.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use catalyst_names::{NodeName, Protocol, ServiceLabel};
use catalyst_policy::Rule;
use catalyst_route_table::{Rank, Sym};
use catalyst_wire::Seqno;

use crate::config::{LocalService, PeerConfig};

/// Things that are counted per peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// A route whose attributes or key were malformed, and what was wrong.
    Malformed(String),
    /// A route that had already passed here.
    Looped,
    /// A route that policy does not let in.
    Denied,
}

/// One wish.
#[derive(Clone, Debug)]
pub enum Write<'e> {
    /// Put a route into Adj-RIB-In.
    Announce {
        /// Who announced it.
        neighbour: Sym,
        /// The service's full name.
        service: Cow<'e, str>,
        /// The origin id.
        origin: Cow<'e, str>,
        /// What best path compares.
        rank: Rank,
        /// What the service speaks.
        protocol: Protocol,
        /// Share among equals.
        weight: u16,
        /// The attributes, encoded.
        attrs: Cow<'e, [u8]>,
    },
    /// Take a route out of Adj-RIB-In.
    Withdraw {
        /// Who withdrew it.
        neighbour: Sym,
        /// The service's full name.
        service: Cow<'e, str>,
        /// The origin id.
        origin: Cow<'e, str>,
    },
    /// What a node of the organisation said of a key before this is overtaken, whoever still announces it.
    Overtaken {
        /// The service's full name.
        service: Cow<'e, str>,
        /// The origin id.
        origin: Cow<'e, str>,
        /// The node.
        node: Cow<'e, str>,
        /// Its newest word.
        seqno: Seqno,
    },
    /// Take all routes of a neighbour out.
    Flush(Sym),
    /// Look at the next routes of a neighbour that no session confirms: [`crate::Limits::AGED`] of them.
    Age(Sym),
    /// Routes that changed too often and have been at rest since rank as before.
    Rest,
    /// Routes that were overtaken for long enough count again.
    TakeBack,
    /// Count something against a peer.
    Count(Sym, Count),
    /// Remember a service of this node.
    SetService(LocalService),
    /// Forget a service of this node.
    RemoveService(ServiceLabel),
    /// Remember a peer. Its sessions must have ended: on the events that mean this, the core has seen to it.
    SetPeer(Box<PeerConfig>),
    /// Forget a peer. Its sessions must have ended, as above.
    RemovePeer(NodeName),
    /// These are the rules now.
    SetPolicy {
        /// All export rules.
        exports: &'e [Rule],
        /// All import rules.
        imports: &'e [Rule],
    },
}

/// What one plugin wants.
#[derive(Debug, Default)]
pub struct Delta<'e> {
    /// The wishes, in order.
    pub writes: Vec<Write<'e>>,
    /// Import rules that have decided, by their places.
    pub(crate) matched: Vec<u16>,
}

/// What a wish is about: no two plugins may wish for the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject<'a> {
    /// A route, or (with empty names, which no route has) all routes of a neighbour.
    Route(Sym, &'a str, &'a str),
    Service(&'a str),
    Peer(&'a str),
    Policy,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Route(_, "", _) => f.write_str("all routes of a neighbour"),
            Subject::Route(_, service, origin) => write!(f, "the route to '{service}' from '{origin}'"),
            Subject::Service(label) => write!(f, "the service '{label}'"),
            Subject::Peer(name) => write!(f, "the peer '{name}'"),
            Subject::Policy => f.write_str("the export and import rules"),
        }
    }
}

/// The first subject that both speak of. All routes of a neighbour contain each of them.
fn shared<'a>(a: &BTreeSet<Subject<'a>>, b: &BTreeSet<Subject<'a>>) -> Option<Subject<'a>> {
    let within = |all: &BTreeSet<Subject<'a>>, one: &Subject<'a>| match one {
        Subject::Route(neighbour, ..) => all.contains(&Subject::Route(*neighbour, "", "")),
        _ => false,
    };
    let find = |a: &BTreeSet<Subject<'a>>, b: &BTreeSet<Subject<'a>>| {
        a.iter().find(|s| b.contains(s) || within(b, s)).cloned()
    };
    find(a, b).or_else(|| find(b, a))
}

/// Two plugins wrote one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The key, in words.
    pub key: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "two plugins wrote the same key ({}); the event was dropped; remove one of the plugins",
            self.key
        )
    }
}

impl core::error::Error for Conflict {}

impl<'e> Delta<'e> {
    /// Adds a wish.
    pub fn push(&mut self, write: Write<'e>) {
        self.writes.push(write);
    }

    /// Counts a decision of the import rule at this place.
    pub fn matched(&mut self, rule: u16) {
        self.matched.push(rule);
    }

    /// Whether nothing is wished for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.matched.is_empty()
    }

    fn subjects(&self) -> BTreeSet<Subject<'_>> {
        self.writes
            .iter()
            .filter_map(|write| match write {
                Write::Announce { neighbour, service, origin, .. }
                | Write::Withdraw { neighbour, service, origin } => {
                    Some(Subject::Route(*neighbour, service, origin))
                }
                Write::Flush(neighbour) | Write::Age(neighbour) => Some(Subject::Route(*neighbour, "", "")),
                Write::SetService(service) => Some(Subject::Service(service.label.as_str())),
                Write::RemoveService(label) => Some(Subject::Service(label.as_str())),
                Write::SetPeer(peer) => Some(Subject::Peer(peer.name.as_str())),
                Write::RemovePeer(name) => Some(Subject::Peer(name.as_str())),
                Write::SetPolicy { .. } => Some(Subject::Policy),
                Write::Overtaken { .. } | Write::Rest | Write::TakeBack | Write::Count(..) => None,
            })
            .collect()
    }

    /// Joins what several plugins want.
    ///
    /// # Errors
    /// [`Conflict`] when two of them wrote one key. Costs nothing while only one plugin has anything to say.
    pub fn join(deltas: Vec<Delta<'e>>) -> Result<Delta<'e>, Conflict> {
        let mut speaking = deltas.into_iter().filter(|d| !d.is_empty());
        let Some(mut joined) = speaking.next() else { return Ok(Delta::default()) };
        for next in speaking {
            if let Some(key) = shared(&joined.subjects(), &next.subjects()) {
                return Err(Conflict { key: alloc::format!("{key}") });
            }
            joined.writes.extend(next.writes);
            joined.matched.extend(next.matched);
        }
        Ok(joined)
    }
}
