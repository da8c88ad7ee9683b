//! Envoy's access log, kept within a bound: when it is large it becomes the old one, in place of the one before.

use std::io;
use std::path::{Path, PathBuf};

use catalyst_envoy::Admin;
use tracing::warn;

use crate::limits::Limits;

/// Looks after it for as long as the node runs.
pub(crate) async fn watch(path: PathBuf, admin: Admin) {
    let mut told = false;
    loop {
        tokio::time::sleep(Limits::ACCESS_LOG_LOOK).await;
        match turn(&path, Limits::ACCESS_LOG) {
            Ok(false) => told = false,
            // One that is busy, or not there, is asked again at the next look.
            Ok(true) => match admin.reopen_logs().await {
                Ok(()) => told = false,
                Err(error) if !std::mem::replace(&mut told, true) => {
                    warn!(%error, "Envoy still writes the access log that was put away");
                }
                Err(_) => {}
            },
            Err(error) => {
                warn!(%error, log = %path.display(), "the access log cannot be put away, and grows")
            }
        }
    }
}

/// Puts the log away if it has more bytes. `true`: it was put away, now or before, and Envoy has to open another.
fn turn(path: &Path, most: u64) -> io::Result<bool> {
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    let length = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Path::new(&old).try_exists(),
        found => found?.len(),
    };
    if length <= most {
        return Ok(false);
    }
    std::fs::rename(path, old).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_logs_at_most_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("access.log");
        assert!(!turn(&log, 3).unwrap(), "there is none");
        for words in ["first", "second", "third"] {
            std::fs::write(&log, words).unwrap();
            assert!(turn(&log, 3).unwrap() && !log.exists());
            assert!(turn(&log, 3).unwrap(), "Envoy has not opened another yet");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("access.log.1")).unwrap(), "third");
        std::fs::write(&log, "4th").unwrap();
        assert!(!turn(&log, 3).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
