//! What is new of a key since the last step, of whom: it goes along with what neighbours of this organisation are told,
//! so that they need not find out by trying each other's old paths.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use catalyst_route_table::RouteKey;
use catalyst_wire::Seqno;

/// Whether this build numbers its words. A node without it passes nothing on for others, and has no bytes to spare:
/// it skips the numbers of others, as older versions do (ADR 0036).
pub(crate) const NUMBERED: bool = cfg!(feature = "transit");

/// The newest word of a node on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) node: String,
    pub(crate) seqno: Seqno,
}

/// The news of one step, by key.
pub(crate) type NewsOf = BTreeMap<RouteKey, Vec<News>>;
