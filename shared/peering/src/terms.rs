//! What a session is to be: our side of OPEN, and what the other side must be.

use catalyst_names::NodeName;
use catalyst_wire::{Full, Open};

use crate::limits::Limits;

/// Monotonic time in milliseconds since any fixed moment.
pub type Millis = u64;

/// Our side of the session, and whom we expect at the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Our own name.
    pub own: NodeName,
    /// The owner of the certificate at the other end.
    pub peer: NodeName,
    /// Which run of ours this is.
    pub incarnation: u64,
    /// The hold time we offer; 0 leaves it to the other side.
    pub hold_ms: u32,
    /// The restart time we ask for.
    pub restart_ms: u32,
    /// Our optional abilities: bits of `catalyst_wire::Capabilities`.
    pub capabilities: u32,
    /// The digest of the agreement we hold; `None` inside an organisation.
    pub agreement: Option<[u8; 32]>,
    /// Versions we speak, lowest and highest.
    pub versions: (u8, u8),
}

impl Terms {
    /// Terms with this code's versions.
    #[must_use]
    pub fn new(own: NodeName, peer: NodeName, incarnation: u64, hold_ms: u32) -> Self {
        Terms {
            own,
            peer,
            incarnation,
            hold_ms,
            restart_ms: 0,
            capabilities: 0,
            agreement: None,
            versions: (Limits::VERSION_MIN, Limits::VERSION_MAX),
        }
    }

    /// Writes our OPEN. `mesh_address` is where this node's mesh port is found, `host:port`; empty without one.
    ///
    /// # Errors
    /// [`Full`] when `buf` is too small (1,024 bytes are enough), or the mesh address is too long.
    pub fn open<'b>(&self, mesh_address: &str, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let open = Open {
            version_min: self.versions.0,
            version_max: self.versions.1,
            node: self.own.as_str(),
            incarnation: self.incarnation,
            hold_ms: self.hold_ms,
            restart_ms: self.restart_ms,
            capabilities: self.capabilities,
            agreement: self.agreement,
            mesh_address,
        };
        open.write(buf)
    }
}
