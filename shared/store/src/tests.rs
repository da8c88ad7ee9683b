//! What a store does on a disk that fails: space runs out, the power goes.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use redb::{Builder, StorageBackend};

use crate::lock::{FOUND, Lock};
use crate::{Limits, Op, Opened, RedbStore, Scan, Store, StoreError, Table};

const SERVICES: Table = Table::new("services");

/// A disk in memory that keeps apart what was synced and what was only written.
#[derive(Debug, Default)]
struct Disk {
    synced: Vec<u8>,
    /// Since the last sync, in order.
    written: Vec<Write>,
    now: Vec<u8>,
    full: bool,
}

#[derive(Debug, Clone)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

fn apply(disk: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Bytes(at, bytes) => {
            if disk.len() < at + bytes.len() {
                disk.resize(at + bytes.len(), 0);
            }
            disk[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Write::Length(length) => disk.resize(*length, 0),
    }
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Disk>>);

impl Shared {
    fn store(&self) -> RedbStore {
        let disk = self.clone();
        RedbStore::over(Box::new(move || Builder::new().create_with_backend(disk.clone())))
    }

    fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// The disk as the power cut leaves it: unsynced writes reached it or not, as `kept` says.
    fn cut(&self, kept: &[bool]) -> Shared {
        let disk = self.0.lock().unwrap();
        let mut after = disk.synced.clone();
        for (i, write) in disk.written.iter().enumerate() {
            if kept.get(i % kept.len().max(1)).copied().unwrap_or(false) {
                apply(&mut after, write);
            }
        }
        Shared(Arc::new(Mutex::new(Disk { synced: after.clone(), now: after, ..Disk::default() })))
    }
}

fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
}

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let at = offset as usize;
        let bytes = disk.now.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.full {
            return Err(no_space());
        }
        let write = Write::Length(len as usize);
        apply(&mut disk.now, &write);
        disk.written.push(write);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.synced = disk.now.clone();
        disk.written.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.full {
            return Err(no_space());
        }
        let write = Write::Bytes(offset as usize, data.to_vec());
        apply(&mut disk.now, &write);
        disk.written.push(write);
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_store_works_again_when_there_is_space() {
    let disk = Shared::default();
    let store = disk.store();
    store.put(SERVICES, b"a", b"1").unwrap();
    disk.set_full(true);
    for _ in 0..3 {
        let error = store.put(SERVICES, b"b", &[7; 20_000]).unwrap_err();
        assert!(
            matches!(&error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
            "{error:?}"
        );
        assert!(error.to_string().ends_with("free some space on this disk"), "{error}");
    }
    disk.set_full(false);
    assert_eq!(store.get(SERVICES, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.get(SERVICES, b"b").unwrap(), None);
    store.put(SERVICES, b"b", b"2").unwrap();
    assert_eq!(store.get(SERVICES, b"b").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn an_open_that_the_process_did_not_survive_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.redb");
    for times in 1..4 {
        let lock = Lock::take(&file).unwrap();
        assert_eq!(lock.crashed, times - 1);
        lock.note(times);
        // Dropped before the open was done, as by an abort.
    }
    let lock = Lock::take(&file).unwrap();
    lock.note(0);
    drop(lock);
    assert_eq!(Lock::take(&file).unwrap().crashed, 0);
}

#[test]
fn a_large_file_is_looked_at_as_a_whole_after_a_run_that_met_damage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.redb");
    let (store, _) = RedbStore::open(&file).unwrap();
    let value = vec![7; Limits::VALUE];
    let rows = Limits::VERIFIED / Limits::VALUE as u64 + 64;
    let keys: Vec<[u8; 8]> = (0..rows).map(u64::to_be_bytes).collect();
    for keys in keys.chunks(200) {
        let ops: Vec<_> = keys.iter().map(|key| Op::Put(SERVICES, key, &value)).collect();
        store.batch(&ops).unwrap();
    }
    drop(store);
    let damage = |at: u64, bytes: &[u8]| {
        let file = fs::OpenOptions::new().write(true).open(&file).unwrap();
        assert!(file.metadata().unwrap().len() > Limits::VERIFIED);
        file.write_all_at(bytes, at).unwrap();
    };
    // Within a value: only a look at the whole file can tell.
    let mut around = vec![0; 4 * Limits::VALUE];
    fs::File::open(&file).unwrap().read_exact_at(&mut around, Limits::VERIFIED / 2).unwrap();
    let inside = around.windows(4_096).position(|bytes| bytes.iter().all(|byte| *byte == 7)).unwrap();
    damage(Limits::VERIFIED / 2 + inside as u64 + 1_000, &[8; 64]);
    let (store, opened) = RedbStore::open(&file).unwrap();
    assert_eq!(opened, Opened::Existing, "nobody looked there");
    // Worse comes while it is open, and is met.
    let mut before = vec![0; 3 * Limits::VALUE];
    fs::File::open(&file).unwrap().read_exact_at(&mut before, Limits::VERIFIED / 4).unwrap();
    damage(Limits::VERIFIED / 4, &vec![0xff; before.len()]);
    let met = keys.iter().find_map(|key| store.get(SERVICES, key).err()).expect("damage");
    assert!(matches!(met, StoreError::Damaged { .. }), "{met}");
    drop(store);
    assert_eq!(Lock::take(&file).unwrap().crashed, FOUND);
    // Mended, because a debug build of the library would find that in any case.
    damage(Limits::VERIFIED / 4, &before);
    let (store, opened) = RedbStore::open(&file).unwrap();
    assert!(matches!(opened, Opened::Rebuilt { .. }), "{opened:?}");
    drop(store);
    assert_eq!(Lock::take(&file).unwrap().crashed, 0);
    assert_eq!(RedbStore::open(&file).unwrap().1, Opened::Existing);
}

#[test]
fn a_copy_of_the_lock_in_a_process_being_started_does_not_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.redb");
    let lock = Lock::take(&file).unwrap();
    let _copy = lock.copy();
    assert!(matches!(Lock::take(&file), Err(StoreError::Locked { .. })));
    drop(lock);
    Lock::take(&file).unwrap();
}

#[test]
fn errors_of_the_system_say_what_to_do() {
    let denied =
        StoreError::io(Path::new("state/node.redb"), "opening", io::ErrorKind::PermissionDenied.into());
    assert_eq!(
        denied.to_string(),
        "state/node.redb: permission denied while opening; the node needs to read and write this file and its folder: \
         give them to the user that runs it (chown), or choose another state_dir"
    );
    let read_only = StoreError::io(Path::new("s"), "making", io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(read_only.to_string().contains("a writable file system"), "{read_only}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever of the unsynced writes reached the disk, every batch that returned is there, whole.
    #[test]
    fn a_power_cut_loses_nothing_that_was_acknowledged(
        batches in proptest::collection::vec(proptest::collection::vec((any::<u8>(), 0usize..3000), 1..6), 1..12),
        kept in proptest::collection::vec(any::<bool>(), 1..20),
        graceful in any::<bool>(),
    ) {
        let disk = Shared::default();
        let store = disk.store();
        let mut expected = std::collections::BTreeMap::new();
        for batch in &batches {
            let rows: Vec<(Vec<u8>, Vec<u8>)> = batch.iter().map(|(key, size)| (vec![*key], vec![*key; *size])).collect();
            let ops: Vec<Op<'_>> = rows.iter().map(|(key, value)| Op::Put(SERVICES, key, value)).collect();
            store.batch(&ops).unwrap();
            expected.extend(rows);
        }
        if graceful {
            // Closing writes more: those writes may be torn too.
            drop(store);
        }
        let store = disk.cut(&kept).store();
        let found: std::collections::BTreeMap<_, _> = store.scan(SERVICES, Scan::all()).unwrap().into_iter().collect();
        prop_assert_eq!(found, expected);
    }
}
