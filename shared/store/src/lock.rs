//! One process a store: the lock file beside it.
//!
//! The lock is taken before the store's file is looked at, so that a file which another process is
//! still writing is never judged damaged. The lock file also holds a line with the owner's process
//! number, for the message, and the number of times in a row that opening the store ended the process:
//! the edge aborts on a panic, so a file that makes the store library panic would otherwise end every
//! start of the node.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::error::StoreError;

/// Added to the count when the file turned out damaged while it was in use: the next open looks at all of it.
pub(crate) const FOUND: u32 = 1 << 16;

/// Held as long as the store is open; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// Times in a row that an open began and did not finish; with [`FOUND`] or not.
    pub(crate) crashed: u32,
}

impl Lock {
    /// Takes the lock of the store at `store`.
    pub(crate) fn take(store: &Path) -> Result<Self, StoreError> {
        let path = crate::aside::sibling(store, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| StoreError::io(&path, "opening the lock file", e))?;
        let locked = file.try_lock();
        let (pid, crashed) = read(&mut file);
        match locked {
            Ok(()) => Ok(Lock { file, crashed }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { file: store.to_path_buf(), by: pid }),
            Err(TryLockError::Error(e)) => Err(StoreError::io(&path, "locking", e)),
        }
    }

    /// The same open file, as a process being started has it.
    #[cfg(test)]
    pub(crate) fn copy(&self) -> File {
        #[allow(clippy::unwrap_used)]
        self.file.try_clone().unwrap()
    }

    /// Notes how many opens in a row have begun and not finished, this one counted.
    pub(crate) fn note(&self, crashed: u32) {
        // In place and of one length, so that it works on a full disk too; not synced, as it has to
        // outlive the process, not the power. If it fails, a crashing open is only not counted.
        let line = format!("{:>10} {crashed:>10}\n", std::process::id());
        let _ = self.file.write_all_at(line.as_bytes(), 0);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process being started by another thread holds a copy of every open file for a moment, and
        // with it the lock, unless the lock is given back by name.
        let _ = self.file.unlock();
    }
}

/// Whatever is readable of the line; a damaged one counts as nothing.
fn read(file: &mut File) -> (Option<u32>, u32) {
    let mut text = String::new();
    let _ = Read::take(file, 64).read_to_string(&mut text);
    let mut words = text.split_whitespace().map(|word| word.parse::<u32>().ok());
    (words.next().flatten(), words.next().flatten().unwrap_or(0))
}
