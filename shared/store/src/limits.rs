//! How much a store holds.

/// The capacities of a store. They bound what a caller can ask of it in one call and in all.
pub struct Limits;

impl Limits {
    /// Bytes of a key. When full: the write is refused.
    pub const KEY: usize = 512;
    /// Bytes of a value. When full: the write is refused.
    pub const VALUE: usize = 64 * 1024;
    /// Rows of a table. When full: a new key is refused; rows that exist can still be replaced.
    pub const ROWS: usize = 65_536;
    /// Changes in one batch. When full: the batch is refused whole.
    pub const BATCH: usize = 4_096;
    /// Rows that one scan returns. When full: the caller asks again after the last key it got.
    pub const SCAN: usize = 1_024;
    /// Bytes of pages that the file's cache keeps in memory. When full: the oldest page is read again later.
    pub const CACHE: usize = 512 * 1024;
    /// Damaged files that are kept beside the store. When full: the oldest is deleted.
    pub const KEPT_CORRUPT: usize = 3;
    /// Times in a row that opening the file may end the process before the file counts as damaged.
    /// When full: it is moved aside.
    pub const CRASHED_OPENS: u32 = 2;
    /// Largest file whose every page is verified when it is opened; reading 64 MiB costs a board some
    /// seconds. When full: only the pages that the open needs are verified, unless the file turned out damaged in the last run.
    pub const VERIFIED: u64 = 64 * 1024 * 1024;

    /// Bytes of memory that an open store may keep: its cache and one batch being written.
    #[must_use]
    pub const fn max_bytes() -> usize {
        Self::CACHE + Self::CACHE
    }
}
