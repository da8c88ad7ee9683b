//! How much room a disk has.

use std::path::Path;

/// Bytes that are free where a file or folder is, for who is not root. `None` when the system does not tell.
pub(crate) fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
