//! How long a name may be. These are also the maxima on the wire.

/// The longest names, in bytes of ASCII. When full: the parser refuses the name and says which limit it met.
pub struct Limits;

impl Limits {
    /// One DNS label (RFC 1035 section 2.3.4). When full: refused.
    pub const LABEL: usize = 63;
    /// An organisation. Shorter than DNS's 253, so that a full service name fits 164 bytes. When full: refused.
    pub const ORG: usize = 100;
    /// A host name that is dialled (RFC 1035 section 2.3.4). When full: refused.
    pub const HOST: usize = 253;
    /// A service label, a dot, an organisation. Follows from the two above.
    pub const SERVICE: usize = Self::LABEL + 1 + Self::ORG;
    /// `spiffe://` + organisation + `/node/` + label. Follows from the above.
    pub const SPIFFE: usize = 9 + Self::ORG + 6 + Self::LABEL;
}
