//! The store in one redb file.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{
    CommitError, Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageError, TableError, TransactionError, WriteTransaction,
};

use crate::error::{NO_SENSE, StoreError};
use crate::guard::guarded;
use crate::limits::Limits;
use crate::lock::{FOUND, Lock};
use crate::open::{self, Opened};
use crate::table::{Op, Row, Scan, Store, Table, check, definition, raised};

/// Makes a handle of the file again, after the disk failed once.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// A store in a file, for one process at a time.
pub struct RedbStore {
    file: PathBuf,
    // The library refuses everything after one failed read or write, also when the disk has space
    // again. So a handle that failed is dropped, and the next call opens the file anew.
    database: RwLock<Option<Database>>,
    opener: Opener,
    lock: Option<Lock>,
}

impl std::fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStore").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A failure inside one transaction.
enum Failed {
    /// The file or the disk.
    Storage(StorageError),
    /// The request.
    Refused(StoreError),
}

impl From<StorageError> for Failed {
    fn from(e: StorageError) -> Self {
        Failed::Storage(e)
    }
}

impl From<StoreError> for Failed {
    fn from(e: StoreError) -> Self {
        Failed::Refused(e)
    }
}

impl From<TransactionError> for Failed {
    fn from(e: TransactionError) -> Self {
        match e {
            TransactionError::Storage(e) => Failed::Storage(e),
            other => Failed::Storage(StorageError::Corrupted(other.to_string())),
        }
    }
}

impl From<CommitError> for Failed {
    fn from(e: CommitError) -> Self {
        match e {
            CommitError::Storage(e) => Failed::Storage(e),
            other => Failed::Storage(StorageError::Corrupted(other.to_string())),
        }
    }
}

impl From<TableError> for Failed {
    fn from(e: TableError) -> Self {
        match e {
            TableError::Storage(e) => Failed::Storage(e),
            other => Failed::Storage(StorageError::Corrupted(other.to_string())),
        }
    }
}

impl RedbStore {
    /// Opens the file, or begins a new one where there is none or where it is damaged.
    ///
    /// The file is readable by its owner only, and so is the folder if it had to be made.
    ///
    /// # Errors
    /// Another process has it open; the user may not use it; a newer version wrote it; the disk fails.
    pub fn open(path: impl AsRef<Path>) -> Result<(RedbStore, Opened), StoreError> {
        let path = path.as_ref();
        let (database, lock, opened) = open::open(path)?;
        let again = path.to_path_buf();
        let store = RedbStore {
            file: path.to_path_buf(),
            database: RwLock::new(Some(database)),
            opener: Box::new(move || open::plain(&again)),
            lock: Some(lock),
        };
        Ok((store, opened))
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    #[cfg(test)]
    pub(crate) fn over(opener: Opener) -> Self {
        RedbStore { file: PathBuf::from("test.redb"), database: RwLock::new(None), opener, lock: None }
    }

    /// Runs one transaction on the open handle, opening it first if the last one failed.
    fn with<T>(
        &self,
        doing: &'static str,
        work: impl Fn(&Database) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        self.reopen()?;
        let result = {
            let handle = self.database.read().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have failed and dropped the handle in between: then this call fails too.
            let handle = handle.as_ref();
            let done = || handle.map_or(Err(Failed::Storage(StorageError::PreviousIo)), work);
            let damaged = || Err(Failed::Storage(StorageError::Corrupted(NO_SENSE.to_owned())));
            guarded(&self.file, false, done).unwrap_or_else(damaged)
        };
        result.map_err(|failed| match failed {
            Failed::Refused(e) => e,
            Failed::Storage(e) => {
                // What it would still write is not missed.
                self.close();
                self.storage_error(doing, e)
            }
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut handle = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if handle.is_none() {
            let opened = guarded(&self.file, false, || (self.opener)());
            let opened = opened
                .unwrap_or_else(|| Err(DatabaseError::Storage(StorageError::Corrupted(NO_SENSE.to_owned()))));
            *handle = Some(opened.map_err(|e| self.reopen_error(e))?);
        }
        Ok(())
    }

    fn storage_error(&self, doing: &'static str, e: StorageError) -> StoreError {
        match e {
            StorageError::Io(e) => StoreError::io(&self.file, doing, e),
            StorageError::PreviousIo | StorageError::DatabaseClosed => {
                StoreError::io(&self.file, doing, std::io::Error::other("the disk failed a moment ago"))
            }
            other => self.damaged(other.to_string()),
        }
    }

    /// The next start looks at the whole file, however large it is.
    fn damaged(&self, why: String) -> StoreError {
        if let Some(lock) = &self.lock {
            lock.note(FOUND);
        }
        StoreError::Damaged { file: self.file.clone(), why }
    }

    fn reopen_error(&self, e: DatabaseError) -> StoreError {
        match e {
            DatabaseError::Storage(e) => self.storage_error("opening it again", e),
            other => self.damaged(other.to_string()),
        }
    }
}

fn apply(write: &WriteTransaction, op: &Op<'_>) -> Result<(), Failed> {
    match op {
        Op::Put(table, key, value) => put(write, *table, key, value),
        Op::Delete(table, key) => {
            write.open_table(definition(*table))?.remove(*key)?;
            Ok(())
        }
    }
}

fn put(write: &WriteTransaction, table: Table, key: &[u8], value: &[u8]) -> Result<(), Failed> {
    let mut rows = write.open_table(definition(table))?;
    if rows.len()? >= Limits::ROWS as u64 && rows.get(key)?.is_none() {
        return Err(Failed::Refused(StoreError::Full { table: table.0, max: Limits::ROWS }));
    }
    rows.insert(key, value)?;
    Ok(())
}

impl Store for RedbStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with("reading", |database| {
            let read = database.begin_read()?;
            let rows = match read.open_table(definition(table)) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            Ok(rows.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, table: Table, scan: Scan<'_>) -> Result<Vec<Row>, StoreError> {
        self.with("reading", |database| {
            let read = database.begin_read()?;
            let rows = match read.open_table(definition(table)) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                other => other?,
            };
            let start = match scan.after {
                Some(after) if after >= scan.prefix => Bound::Excluded(after),
                _ => Bound::Included(scan.prefix),
            };
            let mut found = Vec::new();
            for row in rows.range::<&[u8]>((start, Bound::Unbounded))?.take(scan.rows()) {
                let (key, value) = row?;
                if !key.value().starts_with(scan.prefix) {
                    break;
                }
                found.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(found)
        })
    }

    fn close(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        let _ = guarded(&self.file, false, || drop(database));
    }

    fn batch(&self, ops: &[Op<'_>]) -> Result<(), StoreError> {
        check(ops)?;
        if ops.is_empty() {
            return Ok(());
        }
        // A transaction that is dropped without a commit leaves nothing behind.
        self.with("writing", |database| {
            let write = database.begin_write()?;
            for op in ops {
                apply(&write, op)?;
            }
            write.commit()?;
            Ok(())
        })
    }

    fn bump(&self, table: Table, key: &[u8], at_least: u64) -> Result<u64, StoreError> {
        check(&[Op::Delete(table, key)])?;
        self.with("writing", |database| {
            let write = database.begin_write()?;
            let next = {
                let rows = write.open_table(definition(table))?;
                let old = rows.get(key)?.map(|value| value.value().to_vec());
                raised(table, old.as_deref(), at_least)?
            };
            put(&write, table, key, &next.to_be_bytes())?;
            write.commit()?;
            Ok(next)
        })
    }
}
