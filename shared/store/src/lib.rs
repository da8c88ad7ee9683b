//! Durable state behind one small trait.
//!
//! Callers keep rows of bytes in named tables, ordered by key; what the bytes mean (postcard, by
//! convention) is theirs. [`RedbStore`] is one file, used by both nodes; [`MemoryStore`] is the same
//! contract for tests and for a node that keeps nothing.
//!
//! What belongs here: services added at run time, a node's incarnation, a policy's version. What does
//! not: learnt routes (they come again from the neighbours, and a durable commit writes some 28 KB to
//! the disk for a row of 200 bytes), private keys and the audit log (files of their own).
//!
//! Every write waits for the disk: call it where blocking is allowed.
//!
//! A damaged file never keeps a node from starting: [`RedbStore::open`] moves it aside, says so in
//! [`Opened`], and begins a new one. A file that another process holds, or that this user may not
//! read, or that a newer version wrote, is not damaged, and is an error.
#![forbid(unsafe_code)]

mod aside;
mod error;
mod guard;
mod limits;
mod lock;
mod memory;
mod open;
mod redb_store;
mod table;

pub use error::StoreError;
pub use guard::{Busy, busy};
pub use limits::Limits;
pub use memory::MemoryStore;
pub use open::Opened;
pub use redb_store::RedbStore;
pub use table::{Op, Row, Scan, Store, Table};

/// The version of the layout inside the file that this build writes, and the newest it reads.
pub const SCHEMA: u32 = 1;

#[cfg(test)]
mod tests;
