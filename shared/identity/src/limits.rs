//! How much the identity crate keeps and how large a text it reads.

/// Bounds on what is kept and on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Organisations in one [`crate::TrustStore`], one's own included.
    /// When full: a new organisation is refused with an error; replacing and removing still work.
    pub organisations: usize,
}

impl Limits {
    /// Roots in one bundle: the current one, the next one, and some room. When full: the bundle is refused.
    pub const ROOTS: usize = 8;
    /// Roots in one join token. When full: the token is refused.
    pub const TOKEN_ROOTS: usize = 4;
    /// Bytes of the text of a join token. When full: the token is refused.
    pub const TOKEN: usize = 2_048;
    /// Revoked nodes that a node remembers. When full: a revocation is refused with an error, and nothing is forgotten.
    pub const REVOKED: usize = 65_536;
    /// One certificate, in bytes of DER. When full: the certificate is refused. (RSA-4096 roots need about 2 KiB.)
    pub const CERTIFICATE: usize = 4096;
    /// Certificates that a peer may present: leaf, intermediates, and the root that some send along.
    /// When full: the handshake is refused.
    pub const CHAIN: usize = 4;
    /// One PEM text: a key, a request, a chain or a bundle, in bytes. When full: the text is refused unread.
    pub const PEM: usize = 64 * 1024;

    /// The most memory a full trust store takes, in bytes: each root once as DER and once as a parsed anchor.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        const PER_ENTRY: usize = 256;
        self.organisations
            .saturating_mul(Self::ROOTS.saturating_mul(2 * Self::CERTIFICATE + PER_ENTRY) + PER_ENTRY)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { organisations: 64 }
    }
}
