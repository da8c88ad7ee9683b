//! Capacities of an agreement.

/// Capacities of this crate's values.
pub struct Limits;

impl Limits {
    /// The canonical form of an agreement, in bytes. It travels in NOTIFY. When full: the agreement is refused.
    pub const AGREEMENT: usize = 4096;
    /// Bundle fingerprints of one party: room for two rotations under way. When full: the agreement is refused.
    pub const FINGERPRINTS: usize = 4;
    /// Bytes of a contact line. When full: the agreement is refused.
    pub const CONTACT: usize = 128;
}
