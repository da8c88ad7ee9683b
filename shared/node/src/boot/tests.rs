use std::io;

use catalyst_control::Now;
use catalyst_store::{MemoryStore, Op, Row, Scan};

use super::*;

/// A store that can be read only, for the disk is full.
struct Full(MemoryStore);

fn full() -> StoreError {
    StoreError::Io { file: "x".into(), doing: "writing", source: io::ErrorKind::StorageFull.into() }
}

impl Store for Full {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn scan(&self, table: Table, scan: Scan<'_>) -> Result<Vec<Row>, StoreError> {
        self.0.scan(table, scan)
    }

    fn batch(&self, _: &[Op<'_>]) -> Result<(), StoreError> {
        Err(full())
    }

    fn bump(&self, _: Table, _: &[u8], _: u64) -> Result<u64, StoreError> {
        Err(full())
    }
}

fn now(wall_trusted: bool) -> Now {
    Now { mono: 0, wall: if wall_trusted { 1_800_000_000 } else { 5 }, wall_trusted }
}

#[test]
fn on_a_full_disk_a_run_has_a_larger_number_than_those_before_and_owes_it() {
    for trusted in [true, false] {
        let store = MemoryStore::default();
        let before = incarnation(&store, now(trusted), &mut Owing::default()).unwrap();
        let store = Full(store);
        let mut owing = Owing::default();
        let own = incarnation(&store, now(trusted), &mut owing).unwrap();
        assert!(own > before, "{trusted}: {before} {own}");
        let (write, why) = owing.into_inner().unwrap();
        assert!(write.is_spare() && why.contains("free some space"), "{why}");
        write.run(&store.0).unwrap();
        assert_eq!(store.get(NODE, b"incarnation").unwrap(), Some(own.to_be_bytes().to_vec()));
    }
}

#[test]
fn runs_whose_numbers_were_lost_have_different_ones_also_within_one_second() {
    for trusted in [true, false] {
        let store = MemoryStore::default();
        // Beyond what the clock gives in this second, or after it was set back.
        store.bump(NODE, b"incarnation", now(true).wall << 21).unwrap();
        let store = Full(store);
        let runs: std::collections::BTreeSet<u64> =
            (0..8).map(|_| incarnation(&store, now(trusted), &mut Owing::default()).unwrap()).collect();
        // Two of them may meet by chance, once in 30,000 times.
        assert!(runs.len() >= 7, "{trusted}: {runs:?}");
    }
}

#[test]
fn on_a_full_disk_the_secret_is_the_kept_one_or_a_new_one_that_is_owed() {
    let store = MemoryStore::default();
    let kept = secret(&store, "border-secret", &mut Owing::default()).unwrap();
    let (store, mut owing) = (Full(store), Owing::default());
    assert_eq!(secret(&store, "border-secret", &mut owing).unwrap(), kept);
    assert!(owing.into_inner().is_none());

    let (store, mut owing) = (Full(MemoryStore::default()), Owing::default());
    let new = secret(&store, "border-secret", &mut owing).unwrap();
    incarnation(&store, now(true), &mut owing).unwrap();
    owing.into_inner().unwrap().0.run(&store.0).unwrap();
    assert_eq!(secret(&store, "border-secret", &mut Owing::default()).unwrap(), new);
    assert!(store.get(NODE, b"incarnation").unwrap().is_some());
}

#[test]
fn a_renewed_certificate_is_used_while_it_is_the_good_one_or_the_younger() {
    let span = |not_before, not_after| Validity { not_before, not_after };
    let year = span(0, 365);
    assert!(is_better(span(100, 190), year, 120), "both are good: the younger");
    assert!(!is_better(span(100, 190), year, 300), "it has expired, the other has not");
    assert!(!is_better(span(2_000, 2_090), year, 120), "it was made by a clock that was ahead");
    assert!(is_better(span(360, 450), year, 400), "the other has expired");
    assert!(is_better(span(360, 450), year, 900), "both have: the younger, to be renewed by");
    assert!(!is_better(span(50, 60), span(100, 465), 120), "one signed anew by hand is younger");
}
