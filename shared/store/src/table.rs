//! The trait, and the words it is spoken in.

use redb::TableDefinition;

use crate::error::StoreError;
use crate::limits::Limits;

/// The name of a table. A table exists once something was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub(crate) &'static str);

impl Table {
    /// A table of this name. Names that begin with `catalyst.` are the store's own.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Table(name)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One change of a batch. Later changes of the same key win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Writes a row, replacing what the key held.
    Put(Table, &'a [u8], &'a [u8]),
    /// Removes a row; not an error when there is none.
    Delete(Table, &'a [u8]),
}

/// Which rows a scan returns, always in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a [u8],
    /// Only keys greater than this: the last key of the scan before, to go on.
    pub after: Option<&'a [u8]>,
    /// At most this many rows; [`Limits::SCAN`] in any case.
    pub limit: usize,
}

impl<'a> Scan<'a> {
    /// The first rows of a table.
    #[must_use]
    pub const fn all() -> Self {
        Scan { prefix: &[], after: None, limit: Limits::SCAN }
    }

    /// The first rows whose keys begin with `prefix`.
    #[must_use]
    pub const fn prefix(prefix: &'a [u8]) -> Self {
        Scan { prefix, ..Scan::all() }
    }

    /// The rows after `key`, which need not exist.
    #[must_use]
    pub const fn after(self, key: &'a [u8]) -> Self {
        Scan { after: Some(key), ..self }
    }

    /// At most `limit` rows.
    #[must_use]
    pub const fn limit(self, limit: usize) -> Self {
        Scan { limit, ..self }
    }

    pub(crate) fn rows(&self) -> usize {
        self.limit.min(Limits::SCAN)
    }
}

/// State that survives a restart. Shared between threads; each call is one transaction.
pub trait Store: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// The disk, or a damaged file.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Rows in the order of their keys.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn scan(&self, table: Table, scan: Scan<'_>) -> Result<Vec<Row>, StoreError>;

    /// Makes all the changes or none; they are on the disk when it returns.
    ///
    /// # Errors
    /// The disk, a damaged file, or a change beyond [`Limits`]. Nothing was changed then.
    fn batch(&self, ops: &[Op<'_>]) -> Result<(), StoreError>;

    /// Raises the counter at `key` to the larger of its value plus one and `at_least`, and returns it.
    /// A key that holds nothing counts from zero.
    ///
    /// A node's incarnation must grow even when its store was lost: pass the wall clock's seconds as
    /// `at_least` when the clock is trusted.
    ///
    /// # Errors
    /// As [`Store::batch`]; or the row is not a counter.
    fn bump(&self, table: Table, key: &[u8], at_least: u64) -> Result<u64, StoreError>;

    /// Closes the file in order, so that the next open can tell damage from a sudden end. A later call opens it again.
    fn close(&self) {}

    /// Writes one row; it is on the disk when it returns.
    ///
    /// # Errors
    /// As [`Store::batch`].
    fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.batch(&[Op::Put(table, key, value)])
    }

    /// Removes one row; not an error when there is none.
    ///
    /// # Errors
    /// As [`Store::batch`].
    fn delete(&self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.batch(&[Op::Delete(table, key)])
    }
}

/// Refuses what no store takes, before anything is touched.
pub(crate) fn check(ops: &[Op<'_>]) -> Result<(), StoreError> {
    bounded("a batch", ops.len(), Limits::BATCH)?;
    for op in ops {
        match op {
            Op::Put(_, key, value) => {
                bounded("a key", key.len(), Limits::KEY)?;
                bounded("a value", value.len(), Limits::VALUE)?;
            }
            Op::Delete(_, key) => bounded("a key", key.len(), Limits::KEY)?,
        }
    }
    Ok(())
}

fn bounded(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size > max { Err(StoreError::TooLarge { what, size, max }) } else { Ok(()) }
}

/// The next value of a counter whose row holds `old`.
pub(crate) fn raised(table: Table, old: Option<&[u8]>, at_least: u64) -> Result<u64, StoreError> {
    let old = match old {
        None => 0,
        Some(bytes) => u64::from_be_bytes(
            bytes.try_into().map_err(|_| StoreError::NotACounter { table: table.0, size: bytes.len() })?,
        ),
    };
    Ok(old.saturating_add(1).max(at_least))
}

/// The table as the file's library knows it.
pub(crate) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.0)
}
