//! The delta ADS server of one node for its one Envoy.
//!
//! It knows nothing of services, routes or policy: it is given resources, and brings Envoy to hold exactly them.
#![forbid(unsafe_code)]

mod board;
mod canonical;
mod error;
mod flight;
mod kind;
mod lane;
mod limits;
mod message;
mod publisher;
mod reason;
mod resource;
mod serve;
mod session;
mod snapshot;
mod status;
mod step;
mod wire;

pub use error::{Error, Full, Reason};
pub use kind::Kind;
pub use limits::Limits;
pub use publisher::Publisher;
pub use resource::Resource;
pub use serve::serve;
pub use snapshot::Changes;
pub use status::{Connected, KindStatus, Nack, Rejected, Rejection, Status};

#[cfg(test)]
mod tests;
