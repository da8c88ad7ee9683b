//! One change of the state on disk: all of its rows, or none, up to the most that the store takes at one time, which no
//! single change exceeds; files beside them are there before the rows that name them. Several that could not be written may
//! become one ([`Write::then`]): that may be written in parts.

use std::path::PathBuf;

use catalyst_config::files;

use catalyst_store::{Limits, Op, Store, StoreError, Table};

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
    /// Nobody is the poorer without it.
    spare: bool,
    /// Made of several.
    merged: bool,
}

/// Why a change is not on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It breaks a limit of the store, and would at every other try.
    Limit(String),
    /// One of its files could not be written; the store was not asked.
    File(String),
    /// The store could not write.
    Store(String),
}

impl Failed {
    /// In words.
    pub(crate) fn why(&self) -> &str {
        let (Failed::Limit(why) | Failed::File(why) | Failed::Store(why)) = self;
        why
    }
}

impl From<StoreError> for Failed {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::TooLarge { .. } | StoreError::Full { .. } | StoreError::NotACounter { .. } => {
                Failed::Limit(e.to_string())
            }
            other => Failed::Store(other.to_string()),
        }
    }
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

    /// A change that can be lost without harm.
    #[must_use]
    pub(crate) fn spare(self) -> Self {
        Write { spare: true, ..self }
    }

    /// Whether it can be lost without harm.
    pub(crate) fn is_spare(&self) -> bool {
        self.spare
    }

    /// Whether it is made of several.
    pub(crate) fn is_merged(&self) -> bool {
        self.merged
    }

    /// Whether it is nothing but files: then it may be written before or after any change of rows.
    pub(crate) fn is_of_files(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether there is nothing in it that this later one does not write anew.
    pub(crate) fn is_replaced_by(&self, later: &Write) -> bool {
        self.is_of_files()
            && self.leftovers.is_empty()
            && self.files.iter().all(|(path, _)| later.files.iter().any(|(p, _)| p == path))
    }

    /// This change and a later one, as one: of what both write the later counts.
    #[must_use]
    pub(crate) fn then(mut self, later: Write) -> Self {
        let again = |(table, key, _): &Row| later.rows.iter().any(|(t, k, _)| t == table && k == key);
        self.rows.retain(|row| !again(row));
        self.files.retain(|(path, _)| {
            !later.leftovers.contains(path) && !later.files.iter().any(|(p, _)| p == path)
        });
        self.leftovers
            .retain(|path| !later.leftovers.contains(path) && !later.files.iter().any(|(p, _)| p == path));
        let (spare, more) = (self.spare && later.spare, self.with(later));
        Write { spare, merged: true, ..more }
    }

    /// What it changes, for people: `table/key` and paths.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(name).chain(self.files.iter().map(|(path, _)| path.display().to_string()))
    }

    /// Writes it; it is on the disk when this returns. One of more rows than a batch may have is written in parts.
    pub(crate) fn run(&self, store: &dyn Store) -> Result<(), Failed> {
        for (path, text) in &self.files {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|e| Failed::File(format!("{}: {e}", folder.display())))?;
            }
            files::write_public_file(path, text.as_bytes()).map_err(|e| Failed::File(e.to_string()))?;
        }
        for rows in self.rows.chunks(Limits::BATCH) {
            let ops: Vec<Op<'_>> = rows.iter().map(op).collect();
            store.batch(&ops)?;
        }
        for path in &self.leftovers {
            // One that stays does no harm.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// Writes what the limits of the store let through of one that is made of several, each row alone. Answers what was
    /// left out, by name.
    pub(crate) fn run_apart(&self, store: &dyn Store) -> Result<Vec<String>, Failed> {
        let mut left_out = Vec::new();
        for row in &self.rows {
            match store.batch(&[op(row)]).map_err(Failed::from) {
                Ok(()) => {}
                Err(Failed::Limit(why)) => left_out.push(format!("{}: {why}", name(row))),
                Err(other) => return Err(other),
            }
        }
        Ok(left_out)
    }
}

fn name((table, key, _): &Row) -> String {
    format!("{}/{}", table.name(), String::from_utf8_lossy(key))
}

fn op((table, key, row): &Row) -> Op<'_> {
    match row {
        Some(row) => Op::Put(*table, key, row),
        None => Op::Delete(*table, key),
    }
}
