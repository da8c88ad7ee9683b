//! Why a table did not take a route.

use core::fmt;

/// A route that was not taken. The table is as it was: where a replacement was refused, the caller withdraws what
/// stands there, for it is no longer what the neighbour announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// The table holds as many routes as it may.
    Routes,
    /// The table holds as many names as it may.
    Names,
    /// The route's attributes are larger than one route's may be.
    Attrs,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Routes => "the route table is full",
            Refusal::Names => "the name table is full",
            Refusal::Attrs => "the attributes of the route are too large",
        })
    }
}

impl core::error::Error for Refusal {}
