//! What the tables are indexed by.

/// An interned name: a service, an origin or a neighbour. Means something only to the table that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sym(pub u32);

/// A route's key: the service, then where it comes from, so that all origins of a service stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RouteKey {
    /// The service's full name.
    pub service: Sym,
    /// The origin id.
    pub origin: Sym,
}

impl RouteKey {
    /// The lowest and the highest key of a service.
    #[must_use]
    pub fn range(service: Sym) -> (RouteKey, RouteKey) {
        (RouteKey { service, origin: Sym(0) }, RouteKey { service, origin: Sym(u32::MAX) })
    }
}

/// One place in Adj-RIB-In: the key, then the neighbour, so that all candidates of a key stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The route's key.
    pub key: RouteKey,
    /// Who announced it: the interned name of the neighbour, or of this node for its own services.
    pub neighbour: Sym,
}

impl Slot {
    /// The lowest and the highest slot of a key.
    #[must_use]
    pub fn range(key: RouteKey) -> (Slot, Slot) {
        (Slot { key, neighbour: Sym(0) }, Slot { key, neighbour: Sym(u32::MAX) })
    }
}
