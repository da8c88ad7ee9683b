//! One change of the state on disk: all of its rows, or none.

use catalyst_store::{Op, Store, StoreError, Table};

/// A table, a key, and the new row; `None` deletes it.
type Row = (Table, Vec<u8>, Option<Vec<u8>>);

/// Rows to put or to delete, written as one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Write {
    rows: Vec<Row>,
}

impl Write {
    /// A change of one row; `None` deletes it.
    pub(crate) fn one(table: Table, key: &str, row: Option<Vec<u8>>) -> Self {
        Write::default().and(table, key, row)
    }

    /// One row more.
    #[must_use]
    pub(crate) fn and(mut self, table: Table, key: &str, row: Option<Vec<u8>>) -> Self {
        self.rows.push((table, key.as_bytes().to_vec(), row));
        self
    }

    /// Writes it; it is on the disk when this returns.
    pub(crate) fn run(&self, store: &dyn Store) -> Result<(), StoreError> {
        let ops: Vec<Op<'_>> = self.rows.iter().map(op).collect();
        store.batch(&ops)
    }
}

fn op((table, key, row): &Row) -> Op<'_> {
    match row {
        Some(row) => Op::Put(*table, key, row),
        None => Op::Delete(*table, key),
    }
}
