//! What can go wrong, told to a person.

use std::fmt;

use crate::kind::Kind;
use crate::limits::Limits;

/// The server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Unix socket.
    #[error("the xDS socket failed: {0}; see that its directory exists and that this user may write there")]
    Socket(#[from] std::io::Error),
    /// HTTP/2 or gRPC.
    #[error("the xDS server ended: {0}; restart the node, and report this with its log")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a resource was not taken into the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// [`Limits::resources`].
    #[error("there are already {0} of its kind")]
    Resources(usize),
    /// [`Limits::total_bytes`].
    #[error("all resources together may take {0} bytes")]
    TotalBytes(usize),
    /// [`Limits::RESOURCE_BYTES`].
    #[error("it takes {0} bytes, and one may take {max}", max = Limits::RESOURCE_BYTES)]
    TooLarge(usize),
    /// [`Limits::NAME_BYTES`], or no name at all.
    #[error("its name has {0} bytes, and must have 1 to {max}", max = Limits::NAME_BYTES)]
    Name(usize),
}

/// Some resources were not taken: a limit is reached. All others of the same changes were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Full {
    /// The first of them, at most [`Limits::LISTED`].
    pub refused: Vec<(Kind, String, Reason)>,
    /// How many there are in all.
    pub count: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} resources for Envoy were refused, what was there stays", self.count)?;
        if let Some((kind, name, reason)) = self.refused.first() {
            write!(f, "; the first is the {kind} {name:?}: {reason}")?;
        }
        f.write_str("; announce or import fewer services, or raise the limit")
    }
}
