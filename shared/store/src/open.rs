//! Opening a file that may be anything.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageError, TableError};

use crate::SCHEMA;
use crate::aside::{move_aside, sibling};
use crate::error::{NO_SENSE, StoreError};
use crate::guard::guarded;
use crate::limits::Limits;
use crate::lock::{FOUND, Lock};
use crate::table::{Table, definition};

/// What was found at the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A store, with its rows.
    Existing,
    /// A store of which a part was damaged: it is as it was before the last change, or the few last. Tell the operator.
    Repaired,
    /// Nothing; an empty store was made.
    Created,
    /// A damaged file; it was moved aside and an empty store was made. Tell the operator.
    Rebuilt {
        /// Where the damaged file is now.
        moved_to: PathBuf,
        /// What was wrong with it.
        why: String,
    },
}

/// The first bytes of every redb file.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// A file shorter than its header page holds nothing.
const SHORTEST: u64 = 4096;

const META: Table = Table("catalyst.meta");
const SCHEMA_KEY: &[u8] = b"schema";

/// Why a file is not usable as it is.
enum Unusable {
    /// Move it aside and go on without it.
    Damaged(String),
    /// Leave it and tell.
    Refused(StoreError),
}

/// Takes the lock, opens or makes the file.
pub(crate) fn open(path: &Path) -> Result<(Database, Lock, Opened), StoreError> {
    make_folder(path)?;
    let lock = Lock::take(path)?;
    let crashed = lock.crashed;
    lock.note(crashed.saturating_add(1));
    let opened = match existing(path, crashed) {
        Ok(Some((database, true))) => Ok((database, Opened::Existing)),
        Ok(Some((database, false))) => Ok((database, Opened::Repaired)),
        Ok(None) => create(path).map(|database| (database, Opened::Created)),
        Err(Unusable::Damaged(why)) => rebuild(path, why),
        Err(Unusable::Refused(e)) => Err(e),
    };
    lock.note(0);
    opened.map(|(database, opened)| (database, lock, opened))
}

fn rebuild(path: &Path, why: String) -> Result<(Database, Opened), StoreError> {
    let moved_to = move_aside(path)?;
    Ok((create(path)?, Opened::Rebuilt { moved_to, why }))
}

/// Opens a file that was good a moment ago.
pub(crate) fn plain(path: &Path) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(Limits::CACHE).open(path)
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| StoreError::io(folder, "making the folder", e)),
        _ => Ok(()),
    }
}

/// The database in the file, and whether it is whole; `None` when there is no file.
fn existing(path: &Path, crashed: u32) -> Result<Option<(Database, bool)>, Unusable> {
    let Some(length) = look(path)? else { return Ok(None) };
    let (found, crashed) = (crashed >= FOUND, crashed % FOUND);
    if crashed >= Limits::CRASHED_OPENS {
        return Err(Unusable::Damaged(format!("opening it ended the process {crashed} times in a row")));
    }
    // A build that unwinds catches what the library did not expect; one that aborts has the count above.
    let database = guarded(path, true, || -> Result<(Database, bool), Unusable> {
        let mut database = plain(path).map_err(|e| unusable(path, e))?;
        // False means: it was torn, and is whole again as of its last good commit.
        let trusted = length > Limits::VERIFIED && !found;
        let whole = trusted || database.check_integrity().map_err(|e| unusable(path, e))?;
        read_schema(path, &database)?;
        Ok((database, whole))
    })
    .unwrap_or_else(|| Err(Unusable::Damaged(NO_SENSE.to_owned())))?;
    // Made readable by others by hand or by a copy: take that back. Not ours to insist on.
    let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
    Ok(Some(database))
}

/// The length of a file that looks like a store.
fn look(path: &Path) -> Result<Option<u64>, Unusable> {
    let refused = |doing, e| Unusable::Refused(StoreError::io(path, doing, e));
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refused("opening", e)),
    };
    let meta = file.metadata().map_err(|e| refused("reading", e))?;
    if !meta.is_file() {
        return Err(refused("opening", io::Error::other("it is not an ordinary file")));
    }
    if meta.len() < SHORTEST {
        return Err(Unusable::Damaged(format!("it is {} bytes long, too short for a store", meta.len())));
    }
    let mut first = [0; MAGIC.len()];
    file.read_exact(&mut first).map_err(|e| refused("reading", e))?;
    if first != MAGIC {
        return Err(Unusable::Damaged("it does not begin like a store".to_owned()));
    }
    Ok(Some(meta.len()))
}

fn unusable(path: &Path, e: DatabaseError) -> Unusable {
    match e {
        DatabaseError::DatabaseAlreadyOpen => {
            Unusable::Refused(StoreError::Locked { file: path.to_path_buf(), by: None })
        }
        DatabaseError::UpgradeRequired(format) => {
            Unusable::Damaged(format!("its file format, {format}, is not one this version reads"))
        }
        DatabaseError::Storage(StorageError::Io(e))
            if !matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
        {
            Unusable::Refused(StoreError::io(path, "opening", e))
        }
        other => Unusable::Damaged(other.to_string()),
    }
}

/// Reads the record that every store of ours holds, and so proves that its tables can be read at all.
fn read_schema(path: &Path, database: &Database) -> Result<(), Unusable> {
    let damaged = |why: String| Unusable::Damaged(why);
    let read = database.begin_read().map_err(|e| damaged(e.to_string()))?;
    let meta = match read.open_table(definition(META)) {
        Err(TableError::TableDoesNotExist(_)) => {
            return Err(damaged("it holds no record of its schema".to_owned()));
        }
        other => other.map_err(|e| damaged(e.to_string()))?,
    };
    let record = meta.get(SCHEMA_KEY).map_err(|e| damaged(e.to_string()))?;
    let found = record
        .and_then(|value| value.value().try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or_else(|| damaged("its record of the schema is not readable".to_owned()))?;
    if found > SCHEMA {
        let file = path.to_path_buf();
        return Err(Unusable::Refused(StoreError::Newer { file, found, known: SCHEMA }));
    }
    Ok(())
}

/// Makes an empty store under another name and renames it: no power cut leaves half a file.
fn create(path: &Path) -> Result<Database, StoreError> {
    let fresh = sibling(path, ".new");
    let io = |doing| move |e| StoreError::io(path, doing, e);
    if let Err(e) = fs::remove_file(&fresh)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(StoreError::io(&fresh, "removing what is left of an earlier start", e));
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(io("making"))?;
    let database =
        Builder::new().set_cache_size(Limits::CACHE).create_file(file).map_err(|e| made(path, e))?;
    write_schema(&database).map_err(|e| made(path, DatabaseError::Storage(e)))?;
    fs::rename(&fresh, path).map_err(io("making"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("making"))?;
    Ok(database)
}

fn made(path: &Path, e: DatabaseError) -> StoreError {
    match e {
        DatabaseError::Storage(StorageError::Io(e)) => StoreError::io(path, "making", e),
        other => StoreError::io(path, "making", io::Error::other(other.to_string())),
    }
}

fn write_schema(database: &Database) -> Result<(), StorageError> {
    let plain = |e: redb::Error| match e {
        redb::Error::Io(e) => StorageError::Io(e),
        other => StorageError::Io(io::Error::other(other.to_string())),
    };
    let write = database.begin_write().map_err(|e| plain(e.into()))?;
    write
        .open_table(definition(META))
        .map_err(|e| plain(e.into()))?
        .insert(SCHEMA_KEY, SCHEMA.to_be_bytes().as_slice())?;
    write.commit().map_err(|e| plain(e.into()))
}
