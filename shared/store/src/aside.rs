//! Keeping what was damaged, for a person to look at.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::limits::Limits;

/// The path with `suffix` after its whole name.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(suffix);
    path.with_file_name(name)
}

/// Renames the file to `<name>.corrupt-<n>` and deletes the oldest ones beyond [`Limits::KEPT_CORRUPT`].
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let mut kept = numbers(path);
    let next = kept.last().map_or(1, |last| last.saturating_add(1));
    let target = corrupt(path, next);
    fs::rename(path, &target).map_err(|e| StoreError::io(path, "moving the damaged file aside", e))?;
    kept.push(next);
    let surplus = kept.len().saturating_sub(Limits::KEPT_CORRUPT);
    for old in kept.iter().take(surplus) {
        // A leftover costs space, not correctness; the next damage tries again.
        let _ = fs::remove_file(corrupt(path, *old));
    }
    Ok(target)
}

fn corrupt(path: &Path, n: u32) -> PathBuf {
    sibling(path, &format!(".corrupt-{n}"))
}

/// The numbers in use, rising.
fn numbers(path: &Path) -> Vec<u32> {
    let Some(folder) = path.parent() else { return Vec::new() };
    let prefix = sibling(path, ".corrupt-");
    let prefix = prefix.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found: Vec<u32> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok())
        .collect();
    found.sort_unstable();
    found
}
