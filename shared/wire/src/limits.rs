//! Maxima on the wire.

/// The largest things that a frame may carry. Names have their own, in `catalyst_names::Limits`.
pub struct Limits;

impl Limits {
    /// Bytes of a frame's body. When full: the frame is refused before it is read, and the session ends.
    pub const FRAME_BODY: usize = 16_384;
    /// Bytes of one route entry. When full: the route is refused; the session goes on.
    pub const ENTRY: usize = 4_096;
    /// Organisations in `org_path`. When full: the route is malformed.
    pub const ORG_PATH: usize = 16;
    /// Nodes in `node_path`. When full: the route is malformed.
    pub const NODE_PATH: usize = 32;
    /// Tags of one route. When full: the route is malformed.
    pub const TAGS: usize = 32;
    /// Bytes of one tag. When full: the route is malformed.
    pub const TAG: usize = 164;
    /// Bytes of an attestation reference. When full: the route is malformed.
    pub const ATTESTATION: usize = 256;
    /// Bytes of all unknown transitive attributes of a route, with their heads. When full: the route is malformed.
    pub const UNKNOWN: usize = 1_024;
    /// Bytes of the reason in NOTIFY and REFUSED. When full: cut off by the writer, refused by the reader.
    pub const REASON: usize = 512;
    /// Bytes of the document in NOTIFY: an agreement. When full: left out by the writer.
    pub const DOCUMENT: usize = 4_096;
    /// Bytes of the statement in TRUST. When full: neither written nor read; the session ends.
    pub const STATEMENT: usize = 16_000;
    /// Bytes of the signature in TRUST. When full: neither written nor read; the session ends.
    pub const SIGNATURE: usize = 256;
    /// Patterns in the list of INTEREST, over all its frames. When full: the writer leaves further ones out, and the
    /// reader ends the session.
    pub const INTEREST: usize = 1_024;
    /// Those of them with a `*`: each costs its reader a look at every change. When full: as for their number.
    pub const INTEREST_STARS: usize = 64;
    /// Bytes of all those patterns. When full: as for their number.
    pub const INTEREST_BYTES: usize = 32_768;
    /// Bytes of the mesh address in OPEN. When full: neither written nor read; the session ends.
    pub const MESH_ADDRESS: usize = 264;
}
