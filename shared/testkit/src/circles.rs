//! Flows that run in circles while routes change.

use std::collections::BTreeMap;

use catalyst_names::{OriginId, ServiceName};

/// A flow that runs in a circle: the service, the origin as the node knows it, and the node.
pub(crate) type Circle = (ServiceName, OriginId, usize);

/// Since when the flow runs in circles, and since when in this one, by these nodes.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) since: u64,
    pub(crate) same_since: u64,
    pub(crate) nodes: Vec<usize>,
}

/// Circles that stand now, with the moments when they closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Circles {
    pub(crate) open: BTreeMap<Circle, Standing>,
    /// How many there were, and the longest, in milliseconds.
    pub(crate) seen: u64,
    pub(crate) longest: u64,
}
