//! A store on a real disk: what survives, what is moved aside, what is refused.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use catalyst_store::{Limits, Op, Opened, RedbStore, Row, SCHEMA, Scan, Store, StoreError, Table};

const SERVICES: Table = Table::new("services");
const PEERS: Table = Table::new("peers");

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state").join("node.redb");
    (folder, file)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A closed store with some rows, as bytes.
fn sample() -> (Vec<u8>, Vec<Row>) {
    let (_folder, file) = place();
    let (store, _) = RedbStore::open(&file).unwrap();
    let rows: Vec<_> = (0..40u8).map(|i| (vec![b'k', i], vec![i; 30 * usize::from(i)])).collect();
    let ops: Vec<_> = rows.iter().map(|(k, v)| Op::Put(SERVICES, k, v)).collect();
    store.batch(&ops).unwrap();
    store.put(PEERS, b"p", b"q").unwrap();
    drop(store);
    (fs::read(&file).unwrap(), rows)
}

#[test]
fn rows_and_counters_survive_a_restart() {
    let (_folder, file) = place();
    let (store, opened) = RedbStore::open(&file).unwrap();
    assert_eq!(opened, Opened::Created);
    store.put(SERVICES, b"inventory", b"1").unwrap();
    store.put(SERVICES, b"orders", b"2").unwrap();
    store.delete(SERVICES, b"orders").unwrap();
    assert_eq!(store.bump(PEERS, b"incarnation", 0).unwrap(), 1);
    assert_eq!(store.bump(PEERS, b"incarnation", 1_000).unwrap(), 1_000);
    drop(store);
    let (store, opened) = RedbStore::open(&file).unwrap();
    assert_eq!(opened, Opened::Existing);
    assert_eq!(store.scan(SERVICES, Scan::all()).unwrap(), [(b"inventory".to_vec(), b"1".to_vec())]);
    assert_eq!(store.bump(PEERS, b"incarnation", 5).unwrap(), 1_001);
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn a_process_that_dies_without_closing_keeps_its_rows() {
    let (_folder, file) = place();
    let (store, _) = RedbStore::open(&file).unwrap();
    store.put(SERVICES, b"a", b"1").unwrap();
    let torn = fs::read(&file).unwrap();
    drop(store);
    fs::write(&file, torn).unwrap();
    let (store, opened) = RedbStore::open(&file).unwrap();
    assert_eq!(opened, Opened::Existing);
    assert_eq!(store.get(SERVICES, b"a").unwrap().unwrap(), b"1");
}

#[test]
fn a_second_opener_is_told_who_holds_it_and_nothing_is_moved() {
    let (_folder, file) = place();
    let (store, _) = RedbStore::open(&file).unwrap();
    store.put(SERVICES, b"a", b"1").unwrap();
    let error = RedbStore::open(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: another node runs with this state directory (process {}); stop it, or give this one its own state_dir",
            file.display(),
            std::process::id()
        )
    );
    assert_eq!(store.get(SERVICES, b"a").unwrap().unwrap(), b"1");
    drop(store);
    assert_eq!(RedbStore::open(&file).unwrap().1, Opened::Existing);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, file) = place();
    let (store, _) = RedbStore::open(&file).unwrap();
    store.put(Table::new("catalyst.meta"), b"schema", &(SCHEMA + 1).to_be_bytes()).unwrap();
    drop(store);
    for _ in 0..4 {
        let error = RedbStore::open(&file).unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { found, known: SCHEMA, .. } if found == SCHEMA + 1),
            "{error}"
        );
        assert!(error.to_string().contains("written by a newer version (schema 2, this one knows up to 1)"));
    }
    assert!(file.exists());
}

#[test]
fn what_is_not_a_file_is_an_error() {
    let (_folder, file) = place();
    fs::create_dir_all(&file).unwrap();
    let error = RedbStore::open(&file).unwrap_err();
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
    let under = _folder.path().join("plain");
    fs::write(&under, b"x").unwrap();
    let error = RedbStore::open(under.join("node.redb")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[test]
fn garbage_is_moved_aside_and_only_the_last_ones_are_kept() {
    let (_folder, file) = place();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let n = u8::try_from(Limits::KEPT_CORRUPT).unwrap() + 2;
    for i in 1..=n {
        fs::write(&file, vec![i; 5000]).unwrap();
        let (store, opened) = RedbStore::open(&file).unwrap();
        let moved_to = file.with_file_name(format!("node.redb.corrupt-{i}"));
        assert_eq!(
            opened,
            Opened::Rebuilt { moved_to: moved_to.clone(), why: "it does not begin like a store".into() }
        );
        assert_eq!(fs::read(&moved_to).unwrap(), vec![i; 5000]);
        store.put(SERVICES, b"a", b"1").unwrap();
    }
    let kept = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains(".corrupt-"))
        .count();
    assert_eq!(kept, Limits::KEPT_CORRUPT);
}

/// Opens damaged bytes. Whatever comes out must work, and the next open must find it whole.
fn survives(file: &Path, bytes: &[u8], rows: &[Row], what: &str) -> bool {
    fs::write(file, bytes).unwrap();
    let (store, opened) = RedbStore::open(file).unwrap_or_else(|e| panic!("{what}: {e}"));
    let found = store.scan(SERVICES, Scan::all()).unwrap();
    match &opened {
        Opened::Existing => assert_eq!(found, rows, "{what}: an undetected change"),
        Opened::Repaired => assert!(rows.starts_with(&found), "{what}: rows that never were"),
        Opened::Created => panic!("{what}: the damaged file was overlooked"),
        Opened::Rebuilt { moved_to, why } => {
            assert!(found.is_empty(), "{what}");
            assert_eq!(fs::read(moved_to).unwrap().len(), bytes.len(), "{what}: {why}");
        }
    }
    store.put(SERVICES, b"again", b"1").unwrap();
    drop(store);
    let (store, again) = RedbStore::open(file).unwrap();
    assert_eq!(again, Opened::Existing, "{what}");
    assert_eq!(store.get(SERVICES, b"again").unwrap().unwrap(), b"1");
    opened != Opened::Existing
}

#[test]
fn a_truncated_file_never_stops_a_start() {
    let (_folder, file) = place();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (bytes, rows) = sample();
    let mut rebuilt = 0;
    for length in (0..bytes.len()).step_by(bytes.len() / 60) {
        rebuilt += usize::from(survives(&file, &bytes[..length], &rows, &format!("cut to {length}")));
    }
    assert!(rebuilt > 30, "{rebuilt}");
}

#[test]
fn a_flipped_byte_never_stops_a_start_and_never_changes_a_row() {
    let (_folder, file) = place();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (bytes, rows) = sample();
    let mut rebuilt = 0;
    // Every byte of the header, then samples of the whole file.
    let offsets = (0..400).step_by(3).chain((400..bytes.len()).step_by(bytes.len() / 150));
    for (i, at) in offsets.enumerate() {
        let mut bytes = bytes.clone();
        bytes[at] ^= [0xff, 0x01, 0x80][i % 3];
        rebuilt += usize::from(survives(&file, &bytes, &rows, &format!("byte {at}")));
    }
    assert!(rebuilt > 10, "{rebuilt}");
}

#[test]
fn overwritten_blocks_never_stop_a_start() {
    let (_folder, file) = place();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (bytes, rows) = sample();
    for block in (0..bytes.len()).step_by(4096).take(64) {
        for fill in [0x00, 0xff] {
            let mut bytes = bytes.clone();
            let end = bytes.len().min(block + 4096);
            bytes[block..end].fill(fill);
            survives(&file, &bytes, &rows, &format!("block {block} filled with {fill}"));
        }
    }
}

#[test]
fn a_file_that_keeps_ending_the_process_is_moved_aside() {
    let (_folder, file) = place();
    drop(RedbStore::open(&file).unwrap());
    let lock = file.with_file_name("node.redb.lock");
    fs::write(&lock, "1 1\n").unwrap();
    assert_eq!(RedbStore::open(&file).unwrap().1, Opened::Existing);
    fs::write(&lock, format!("1 {}\n", Limits::CRASHED_OPENS)).unwrap();
    let (_, opened) = RedbStore::open(&file).unwrap();
    assert!(
        matches!(&opened, Opened::Rebuilt { why, .. } if why == "opening it ended the process 2 times in a row"),
        "{opened:?}"
    );
    assert_eq!(RedbStore::open(&file).unwrap().1, Opened::Existing);
}

#[test]
fn an_open_in_order_leaves_a_count_of_none() {
    let (_folder, file) = place();
    drop(RedbStore::open(&file).unwrap());
    let lock = file.with_file_name("node.redb.lock");
    let line = fs::read_to_string(&lock).unwrap();
    assert_eq!(line.split_whitespace().nth(1), Some("0"), "{line:?}");
}

const CHILD: &str = "CATALYST_STORE_TEST_CHILD";

/// Not a test of its own: what the test below runs in a process that aborts on a panic, as the edge does.
#[test]
fn child_that_aborts_on_a_panic() {
    let Some(file) = std::env::var_os(CHILD) else { return };
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    let (store, _) = RedbStore::open(PathBuf::from(file)).unwrap();
    store.put(SERVICES, b"again", b"1").unwrap();
}

#[test]
fn a_build_that_aborts_on_a_panic_starts_again_after_a_few_tries() {
    let (_folder, file) = place();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (bytes, _) = sample();
    for block in (0..bytes.len()).step_by(4096) {
        let mut bytes = bytes.clone();
        let end = bytes.len().min(block + 4096);
        bytes[block..end].fill(0xff);
        fs::write(&file, &bytes).unwrap();
        let started = (0..=Limits::CRASHED_OPENS).any(|_| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_that_aborts_on_a_panic"])
                .env(CHILD, &file)
                .output()
                .unwrap()
                .status
                .success()
        });
        assert!(started, "block {block}");
        let (store, opened) = RedbStore::open(&file).unwrap();
        assert_eq!(opened, Opened::Existing, "block {block}");
        assert_eq!(store.get(SERVICES, b"again").unwrap().unwrap(), b"1");
    }
}
