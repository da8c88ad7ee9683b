//! The same contract without a disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::limits::Limits;
use crate::table::{Op, Row, Scan, Store, Table, check, raised};

type Tables = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing below can panic while it holds the lock.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one change and returns what the key held before.
fn apply(tables: &mut Tables, op: &Op<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    match op {
        Op::Put(table, key, value) => {
            let rows = tables.entry(table.0).or_default();
            if rows.len() >= Limits::ROWS && !rows.contains_key(*key) {
                return Err(StoreError::Full { table: table.0, max: Limits::ROWS });
            }
            Ok(rows.insert(key.to_vec(), value.to_vec()))
        }
        Op::Delete(table, key) => Ok(tables.get_mut(table.0).and_then(|rows| rows.remove(*key))),
    }
}

/// Puts back what a change replaced.
fn undo(tables: &mut Tables, op: &Op<'_>, before: Option<Vec<u8>>) {
    let (Op::Put(table, key, _) | Op::Delete(table, key)) = op;
    let rows = tables.entry(table.0).or_default();
    match before {
        Some(value) => rows.insert(key.to_vec(), value),
        None => rows.remove(*key),
    };
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().get(table.0).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(&self, table: Table, scan: Scan<'_>) -> Result<Vec<Row>, StoreError> {
        let tables = self.tables();
        let Some(rows) = tables.get(table.0) else { return Ok(Vec::new()) };
        let start = match scan.after {
            Some(after) if after >= scan.prefix => Bound::Excluded(after),
            _ => Bound::Included(scan.prefix),
        };
        Ok(rows
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(scan.prefix))
            .take(scan.rows())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn batch(&self, ops: &[Op<'_>]) -> Result<(), StoreError> {
        check(ops)?;
        let mut tables = self.tables();
        let mut done = Vec::with_capacity(ops.len());
        for op in ops {
            match apply(&mut tables, op) {
                Ok(before) => done.push((op, before)),
                Err(e) => {
                    for (op, before) in done.into_iter().rev() {
                        undo(&mut tables, op, before);
                    }
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    fn bump(&self, table: Table, key: &[u8], at_least: u64) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let old = tables.get(table.0).and_then(|rows| rows.get(key)).map(Vec::as_slice);
        let next = raised(table, old, at_least)?;
        let bytes = next.to_be_bytes();
        let op = Op::Put(table, key, &bytes);
        check(&[op])?;
        apply(&mut tables, &op)?;
        Ok(next)
    }
}
