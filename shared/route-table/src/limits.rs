//! Capacities of a table.

/// How much a table may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Routes in Adj-RIB-In, all neighbours together. When full: new routes are refused, old ones stay.
    pub routes: usize,
    /// Distinct names. When full: routes with new names are refused.
    pub names: usize,
    /// Bytes of attributes of one route. When full: that route is refused, and what stood in its place is gone.
    pub attrs: usize,
}

impl Limits {
    /// What a cloud node starts with.
    pub const CLOUD: Limits =
        Limits { routes: 1_000_000, names: 2_000_000, attrs: catalyst_wire::Limits::ENTRY };

    /// The most memory that a heap table of these limits takes, in bytes, without the attributes of its routes: runs two
    /// thirds full, names of average length 32. An estimate for sizing, not a guarantee.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.routes * (size_of::<crate::Slot>() * 2 + 64) * 3 / 2 + self.names * 96
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::CLOUD
    }
}
