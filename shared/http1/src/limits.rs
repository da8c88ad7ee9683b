//! Capacities of one message.

/// Fixed capacities.
pub struct Limits;

impl Limits {
    /// Bytes of a head, its empty line included. When full: 431.
    pub const HEAD: usize = 16 * 1024;
    /// Header fields of a head. When full: 431.
    pub const FIELDS: usize = 100;
    /// Bytes of a chunk's first line: size and extensions. When full: 400.
    pub const CHUNK_LINE: usize = 1024;
    /// Bytes of a trailer section. When full: 400.
    pub const TRAILERS: usize = 4 * 1024;
}
