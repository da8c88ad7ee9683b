//! Names of organisations, nodes, services and protocols: parsing and limits.
//!
//! Every name that enters the system, from a file, a flag or a peer, passes one of the parsers here.
//! All names are lower-case ASCII, shaped like DNS (RFC 1035 section 2.3.1, with RFC 1123's leading
//! digits), and bounded by [`Limits`], so that a name is always safe to print, to put in a path or a
//! header, and to keep in a fixed-size table.
//!
//! | type | example | shape |
//! |---|---|---|
//! | [`OrgId`] | `acme.example` | one or more labels, a SPIFFE trust domain |
//! | [`NodeId`] | `edge-1` | one label |
//! | [`OriginId`] | `edge-1`, `o4f1c...` | one label; opaque beyond the border |
//! | [`ServiceLabel`] | `inventory` | one label |
//! | [`ServiceName`] | `inventory.acme.example` | a label and an organisation |
//! | [`NodeName`] | `edge-1.acme.example` | a node and its organisation; what a neighbour is called |
//! | [`Protocol`] | `http:graphql` | a closed set with aliases |
//! | [`SpiffeId`] | `spiffe://acme.example/node/edge-1` | SPIFFE-ID section 2 |
#![no_std]

pub mod check;
mod error;
mod limits;
mod macros;
mod org;
mod pair;
mod protocol;
mod spiffe;

pub use error::{NameError, Reason};
pub use limits::Limits;
pub use org::{NodeId, OrgId, OriginId, ServiceLabel};
pub use pair::{NodeName, ServiceName};
pub use protocol::Protocol;
pub use spiffe::{SpiffeId, SpiffeKind};
