use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use catalyst_store::{Limits as StoreLimits, MemoryStore, Op, Row, Scan, StoreError, Table};
use futures_lite::future::block_on;

use super::*;

const TABLE: Table = Table::new("test");

/// A disk that is full, or not; it knows the keys in the order in which they came.
#[derive(Default)]
struct Disk {
    rows: MemoryStore,
    full: AtomicBool,
    came: Mutex<Vec<String>>,
}

impl Disk {
    fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    fn came(&self) -> Vec<String> {
        self.came.lock().unwrap().clone()
    }

    fn row(&self, key: &str) -> Option<Vec<u8>> {
        self.rows.get(TABLE, key.as_bytes()).unwrap()
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn scan(&self, table: Table, scan: Scan<'_>) -> Result<Vec<Row>, StoreError> {
        self.rows.scan(table, scan)
    }

    fn batch(&self, ops: &[Op<'_>]) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            let source = io::Error::from(io::ErrorKind::StorageFull);
            return Err(StoreError::Io { file: "x".into(), doing: "writing", source });
        }
        self.rows.batch(ops)?;
        for op in ops {
            let (Op::Put(_, key, _) | Op::Delete(_, key)) = op;
            self.came.lock().unwrap().push(String::from_utf8_lossy(key).into_owned());
        }
        Ok(())
    }

    fn bump(&self, table: Table, key: &[u8], at_least: u64) -> Result<u64, StoreError> {
        self.rows.bump(table, key, at_least)
    }
}

fn started() -> (Arc<Disk>, Persist, tempfile::TempDir) {
    let (disk, dir) = (Arc::new(Disk::default()), tempfile::tempdir().unwrap());
    let persist = Persist::start(disk.clone(), dir.path(), None).unwrap();
    (disk, persist, dir)
}

fn put(key: &str, value: &str) -> Write {
    Write::one(TABLE, key, Some(value.as_bytes().to_vec()))
}

fn owed(result: Result<(), Unwritten>) -> String {
    match result {
        Err(Unwritten::Owed(why)) => why,
        other => panic!("not owed: {other:?}"),
    }
}

#[test]
fn what_the_disk_does_not_take_comes_to_it_by_itself_in_order_and_status_tells() {
    let (disk, persist, dir) = started();
    assert_eq!(block_on(persist.write(put("a", "1"))), Ok(()));
    assert_eq!(persist.owed().row(), None);
    disk.fill(true);
    for key in ["c", "b", "a"] {
        let why = owed(block_on(persist.write(put(key, "2"))));
        assert!(why.contains("free some space"), "{why}");
    }
    let row = persist.owed().row().unwrap();
    assert_eq!((row.changes, row.folder), (3, dir.path().display().to_string()));
    assert!(row.why.contains("free some space") && row.free_bytes.is_some(), "{}", row.why);
    disk.fill(false);
    // Nobody asks for anything: the thread does it.
    let until = Instant::now() + Limits::OWED_RETRY * 4;
    while persist.owed().row().is_some() {
        assert!(Instant::now() < until, "it is not tried again");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(disk.came(), ["a", "c", "b", "a"]);
    assert_eq!(block_on(persist.end()), [""; 0]);
}

#[test]
fn a_new_change_comes_after_those_that_are_owed() {
    let (disk, persist, _dir) = started();
    disk.fill(true);
    owed(block_on(persist.write(put("a", "old"))));
    disk.fill(false);
    assert_eq!(block_on(persist.write(put("a", "new"))), Ok(()));
    assert_eq!((disk.came(), disk.row("a")), (vec!["a".into(), "a".into()], Some(b"new".to_vec())));
    assert_eq!(persist.owed().row(), None);
}

#[test]
fn what_breaks_a_limit_of_the_store_is_told_and_holds_up_nothing() {
    let (disk, persist, _dir) = started();
    let large = "x".repeat(StoreLimits::VALUE + 1);
    let lost = block_on(persist.write(put("large", &large)));
    assert!(matches!(&lost, Err(Unwritten::Lost(why)) if why.contains("too large")), "{lost:?}");
    assert_eq!(persist.owed().row(), None);
    // The same, found out only later.
    disk.fill(true);
    for (key, value) in [("a", "1"), ("large", &large), ("b", "1")] {
        owed(block_on(persist.write(put(key, value))));
    }
    disk.fill(false);
    assert_eq!(block_on(persist.write(put("c", "1"))), Ok(()));
    assert_eq!(disk.came(), ["a", "b", "c"]);
    assert_eq!(persist.owed().row(), None);
}

#[test]
fn more_than_fits_becomes_one_in_which_the_later_value_counts_and_the_limits_hold_for_each_row() {
    let (disk, persist, _dir) = started();
    disk.fill(true);
    let large = "x".repeat(StoreLimits::VALUE + 1);
    owed(block_on(persist.write(put("large", &large))));
    for n in 0..Limits::OWED * 3 {
        owed(block_on(persist.write(put(&format!("k{}", n % 100), &n.to_string()))));
        assert!(persist.owed().row().unwrap().changes <= Limits::OWED);
    }
    // More rows than one batch may have.
    let many = (0..StoreLimits::BATCH + 1)
        .fold(Write::default(), |w, n| w.and(TABLE, &format!("m{n}"), Some(vec![1])));
    owed(block_on(persist.write(many)));
    disk.fill(false);
    assert_eq!(block_on(persist.write(put("last", "1"))), Ok(()));
    for n in 0..Limits::OWED * 3 {
        let last = (0..Limits::OWED * 3).rev().find(|m| m % 100 == n % 100).unwrap();
        assert_eq!(disk.row(&format!("k{}", n % 100)), Some(last.to_string().into_bytes()));
    }
    assert_eq!(disk.row(&format!("m{}", StoreLimits::BATCH)), Some(vec![1]));
    assert_eq!(disk.row("large"), None);
    assert_eq!(disk.came().last().unwrap(), "last");
}

#[test]
fn the_end_tries_once_more_and_names_what_is_lost() {
    let (disk, persist, _dir) = started();
    disk.fill(true);
    owed(block_on(persist.write(put("a", "1"))));
    owed(block_on(persist.write(put("seen", "1").spare())));
    assert_eq!(block_on(persist.end()), ["test/a"], "what can be lost without harm is no loss");
    assert!(matches!(block_on(persist.write(put("b", "1"))), Err(Unwritten::Lost(_))));

    let (disk, persist, _dir) = started();
    disk.fill(true);
    owed(block_on(persist.write(put("a", "1"))));
    disk.fill(false);
    assert_eq!(block_on(persist.end()), [""; 0]);
    assert_eq!(disk.row("a"), Some(b"1".to_vec()));
}

#[test]
fn a_file_that_cannot_be_written_holds_up_no_row_and_only_its_newest_text_is_kept() {
    let (disk, persist, dir) = started();
    let folder = dir.path().join("folder");
    // A file where the folder has to be.
    std::fs::write(&folder, "").unwrap();
    let file = |text: &str| Write::default().file(folder.join("file"), text.to_string());
    for text in ["1", "2"] {
        owed(block_on(persist.write(file(text))));
    }
    assert!(matches!(block_on(persist.write(file("3").spare())), Err(Unwritten::Lost(_))));
    assert_eq!(persist.owed().row().unwrap().changes, 1);
    assert_eq!(block_on(persist.write(put("a", "1"))), Ok(()));
    assert_eq!(disk.row("a"), Some(b"1".to_vec()));
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(block_on(persist.end()), [""; 0]);
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "2");
}

#[test]
fn what_was_owed_before_the_start_comes_first() {
    let (disk, dir) = (Arc::new(Disk::default()), tempfile::tempdir().unwrap());
    disk.fill(true);
    let owing = Some((put("a", "1"), "it was full".to_string()));
    let persist = Persist::start(disk.clone(), dir.path(), owing).unwrap();
    let row = persist.owed().row().unwrap();
    assert_eq!((row.changes, row.why.as_str()), (1, "it was full"));
    disk.fill(false);
    assert_eq!(block_on(persist.write(put("b", "1"))), Ok(()));
    assert_eq!(disk.came(), ["a", "b"]);
}

#[test]
fn a_merged_change_leaves_files_as_the_last_word_was() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = (MemoryStore::default(), dir.path().join("x"));
    let (write, remove) =
        (Write::default().file(path.clone(), "x".into()), Write::default().without(path.clone()));
    remove.clone().then(write.clone()).run(&store).unwrap();
    assert!(path.exists());
    write.then(remove).run(&store).unwrap();
    assert!(!path.exists());
}
