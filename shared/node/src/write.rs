//! One change of the state on disk: all of its rows, or none; files beside them are there before the rows that name them.

use std::path::PathBuf;

use catalyst_config::files;

use catalyst_store::{Op, Store, StoreError, Table};

/// A table, a key, and the new row; `None` deletes it.
type Row = (Table, Vec<u8>, Option<Vec<u8>>);

/// Rows to put or to delete, written as one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Write {
    rows: Vec<Row>,
    /// Written first.
    files: Vec<(PathBuf, String)>,
    /// Removed last.
    leftovers: Vec<PathBuf>,
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

    /// A file that must be there before the rows are; its folder is made.
    #[must_use]
    pub(crate) fn file(mut self, path: PathBuf, text: String) -> Self {
        self.files.push((path, text));
        self
    }

    /// A file that nobody needs after this.
    #[must_use]
    pub(crate) fn without(mut self, path: PathBuf) -> Self {
        self.leftovers.push(path);
        self
    }

    /// This change and another one, as one.
    #[must_use]
    pub(crate) fn with(mut self, other: Write) -> Self {
        self.rows.extend(other.rows);
        self.files.extend(other.files);
        self.leftovers.extend(other.leftovers);
        self
    }

    /// Writes it; it is on the disk when this returns.
    pub(crate) fn run(&self, store: &dyn Store) -> Result<(), String> {
        for (path, text) in &self.files {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            }
            files::write_public_file(path, text.as_bytes()).map_err(|e| e.to_string())?;
        }
        self.rows(store).map_err(|e| e.to_string())?;
        for path in &self.leftovers {
            // One that stays does no harm.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    fn rows(&self, store: &dyn Store) -> Result<(), StoreError> {
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
