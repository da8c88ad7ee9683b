//! What can go wrong with a store, in words that a person can act on.

use std::io;
use std::path::{Path, PathBuf};

/// What is said of a file on which the store library panics.
pub(crate) const NO_SENSE: &str = "the store library could not make sense of it";

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "{}: another node runs with this state directory{}; stop it, or give this one its own state_dir",
        .file.display(), process(.by)
    )]
    Locked {
        /// The store's file.
        file: PathBuf,
        /// The process that holds it, when it left its number.
        by: Option<u32>,
    },
    /// The user that runs this process may not use the file or its folder.
    #[error(
        "{}: permission denied while {doing}; the node needs to read and write this file and its folder: \
         give them to the user that runs it (chown), or choose another state_dir",
        .file.display()
    )]
    Permission {
        /// The file or folder.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// A newer version wrote it. It stays where it is.
    #[error(
        "{}: written by a newer version (schema {found}, this one knows up to {known}); \
         run that version again, or move the file away to begin without its state",
        .file.display()
    )]
    Newer {
        /// The store's file.
        file: PathBuf,
        /// The schema version in the file.
        found: u32,
        /// The newest one that this build reads.
        known: u32,
    },
    /// The disk or the file system refused.
    #[error("{}: {doing}: {source}{}", .file.display(), advice(.source))]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file turned out damaged while it was in use.
    #[error("{}: damaged ({why}); restart the node: it moves the file aside and begins a new one", .file.display())]
    Damaged {
        /// The store's file.
        file: PathBuf,
        /// What the store library found.
        why: String,
    },
    /// A key, a value or a batch beyond [`crate::Limits`].
    #[error("{what} of {size} is too large for the store: at most {max}")]
    TooLarge {
        /// "a key", "a value" or "a batch".
        what: &'static str,
        /// Bytes, or changes of a batch.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The table holds as many rows as it may.
    #[error("table '{table}' is full ({max} rows): delete some first")]
    Full {
        /// The table.
        table: &'static str,
        /// [`crate::Limits::ROWS`].
        max: usize,
    },
    /// `bump` on a row that is not a counter.
    #[error("a row of table '{table}' is not a counter: its value is {size} bytes, a counter has 8")]
    NotACounter {
        /// The table.
        table: &'static str,
        /// Bytes of the value found.
        size: usize,
    },
}

fn process(by: &Option<u32>) -> String {
    by.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "; free some space on this disk",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a state_dir on a writable file system",
        io::ErrorKind::NotADirectory => "; a part of this path is a file, not a folder",
        _ => "",
    }
}

impl StoreError {
    /// Sorts an error of the system: permissions have their own advice.
    pub(crate) fn io(file: &Path, doing: &'static str, source: io::Error) -> Self {
        let file = file.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied => StoreError::Permission { file, doing },
            _ => StoreError::Io { file, doing, source },
        }
    }
}
