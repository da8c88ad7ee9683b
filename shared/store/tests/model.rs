//! Both stores do the same, whatever they are asked.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use catalyst_store::{Limits, MemoryStore, Op, RedbStore, Scan, Store, StoreError, Table};
use proptest::prelude::*;

const TABLES: [Table; 3] = [Table::new("a"), Table::new("b"), Table::new("c")];

#[derive(Debug, Clone)]
enum Step {
    Get(usize, Vec<u8>),
    Scan(usize, Vec<u8>, Option<Vec<u8>>, usize),
    Batch(Vec<(usize, Vec<u8>, Option<Vec<u8>>)>),
    Bump(usize, Vec<u8>, u64),
    Reopen,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..3, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12));
    let change = (0usize..3, key(), value);
    prop_oneof![
        2 => (0usize..3, key()).prop_map(|(t, k)| Step::Get(t, k)),
        3 => (0usize..3, key(), proptest::option::of(key()), 0usize..8).prop_map(|(t, p, a, n)| Step::Scan(t, p, a, n)),
        4 => proptest::collection::vec(change, 0..6).prop_map(Step::Batch),
        2 => (0usize..3, key(), prop_oneof![0u64..5, Just(u64::MAX)]).prop_map(|(t, k, n)| Step::Bump(t, k, n)),
        1 => Just(Step::Reopen),
    ]
}

/// What a step answers, in a form that can be compared.
fn run(store: &dyn Store, step: &Step) -> String {
    match step {
        Step::Get(t, k) => format!("{:?}", store.get(TABLES[*t], k)),
        Step::Scan(t, prefix, after, limit) => {
            let scan = Scan { prefix, after: after.as_deref(), limit: *limit };
            format!("{:?}", store.scan(TABLES[*t], scan))
        }
        Step::Batch(changes) => {
            let ops: Vec<_> = changes
                .iter()
                .map(|(t, k, v)| match v {
                    Some(v) => Op::Put(TABLES[*t], k, v),
                    None => Op::Delete(TABLES[*t], k),
                })
                .collect();
            format!("{:?}", store.batch(&ops))
        }
        Step::Bump(t, k, at_least) => format!("{:?}", store.bump(TABLES[*t], k, *at_least)),
        Step::Reopen => String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redb_answers_as_memory_does(steps in proptest::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.redb");
        let memory = MemoryStore::new();
        let mut redb = RedbStore::open(&file).unwrap().0;
        for step in &steps {
            if matches!(step, Step::Reopen) {
                drop(redb);
                redb = RedbStore::open(&file).unwrap().0;
            }
            prop_assert_eq!(run(&redb, step), run(&memory, step), "{:?}", step);
        }
        for table in TABLES {
            prop_assert_eq!(redb.scan(table, Scan::all()).unwrap(), memory.scan(table, Scan::all()).unwrap());
        }
    }
}

fn both(check: impl Fn(&dyn Store)) {
    let folder = tempfile::tempdir().unwrap();
    check(&RedbStore::open(folder.path().join("node.redb")).unwrap().0);
    check(&MemoryStore::new());
}

#[test]
fn a_batch_with_one_refused_change_changes_nothing() {
    both(|store| {
        store.put(TABLES[0], b"a", b"old").unwrap();
        let long = vec![0; Limits::VALUE + 1];
        let error =
            store.batch(&[Op::Put(TABLES[0], b"a", b"new"), Op::Put(TABLES[1], b"b", &long)]).unwrap_err();
        assert_eq!(error.to_string(), "a value of 65537 is too large for the store: at most 65536");
        assert_eq!(store.get(TABLES[0], b"a").unwrap().unwrap(), b"old");
        let error = store.put(TABLES[0], &[0; Limits::KEY + 1], b"").unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { what: "a key", .. }));
        let many = vec![Op::Delete(TABLES[0], b"a"); Limits::BATCH + 1];
        assert!(matches!(store.batch(&many).unwrap_err(), StoreError::TooLarge { what: "a batch", .. }));
        assert_eq!(store.get(TABLES[0], b"a").unwrap().unwrap(), b"old");
    });
}

#[test]
fn a_full_table_keeps_its_rows_and_refuses_new_ones_with_the_whole_batch() {
    both(|store| {
        let keys: Vec<[u8; 4]> = (0..Limits::ROWS as u32).map(u32::to_be_bytes).collect();
        for part in keys.chunks(Limits::BATCH) {
            let ops: Vec<_> = part.iter().map(|k| Op::Put(TABLES[0], k, b"v")).collect();
            store.batch(&ops).unwrap();
        }
        let error = store
            .batch(&[
                Op::Put(TABLES[0], &keys[0], b"w"),
                Op::Delete(TABLES[1], b"x"),
                Op::Put(TABLES[0], b"new", b"v"),
            ])
            .unwrap_err();
        assert_eq!(error.to_string(), "table 'a' is full (65536 rows): delete some first");
        assert_eq!(store.get(TABLES[0], &keys[0]).unwrap().unwrap(), b"v");
        store.batch(&[Op::Delete(TABLES[0], &keys[0]), Op::Put(TABLES[0], b"new", b"v")]).unwrap();
        assert_eq!(store.get(TABLES[0], b"new").unwrap().unwrap(), b"v");
        // A whole table, in scans of bounded size.
        let (mut seen, mut after) = (0, None::<Vec<u8>>);
        loop {
            let scan = Scan { after: after.as_deref(), limit: usize::MAX, ..Scan::all() };
            let rows = store.scan(TABLES[0], scan).unwrap();
            assert!(rows.len() <= Limits::SCAN);
            let Some((last, _)) = rows.last() else { break };
            (seen, after) = (seen + rows.len(), Some(last.clone()));
        }
        assert_eq!(seen, Limits::ROWS);
    });
}

#[test]
fn a_row_that_is_no_counter_is_not_bumped() {
    both(|store| {
        store.put(TABLES[0], b"name", b"text").unwrap();
        let error = store.bump(TABLES[0], b"name", 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a row of table 'a' is not a counter: its value is 4 bytes, a counter has 8"
        );
        assert_eq!(store.get(TABLES[0], b"name").unwrap().unwrap(), b"text");
    });
}
