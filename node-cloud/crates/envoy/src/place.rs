//! The files and sockets of one Envoy: a folder of its own in the node's state folder, for this user alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::EnvoyError;
use crate::limits::Limits;

/// The folder `envoy` of a state folder, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(PathBuf);

impl Place {
    /// The place in this state folder. Nothing is made yet.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Place(state_dir.join("envoy"))
    }

    /// Makes the folder, closed to others, if it is not there, and checks that sockets can be made in it.
    ///
    /// # Errors
    /// It cannot be made or closed to others, or its path is too long for a socket.
    pub fn make(&self) -> Result<(), EnvoyError> {
        let longest = [self.xds_socket(), self.admin_socket(), self.keeper_socket()];
        for path in longest {
            let length = path.as_os_str().as_bytes().len();
            if length > Limits::SOCKET_PATH {
                return Err(EnvoyError::LongPath { path, length });
            }
        }
        let made = DirBuilder::new().mode(0o700).recursive(true).create(&self.0);
        // It may have been there, with other rights. A link would lead out of the state folder, which a node in its
        // sandbox cannot leave; a keeper could.
        let own = || match fs::symlink_metadata(&self.0)?.is_dir() {
            true => fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700)),
            false => Err(io::ErrorKind::NotADirectory.into()),
        };
        made.and_then(|()| own()).map_err(|why| EnvoyError::File { path: self.0.clone(), why })
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Where the node answers Envoy's xDS stream.
    #[must_use]
    pub fn xds_socket(&self) -> PathBuf {
        self.0.join("xds.sock")
    }

    /// Where Envoy answers questions about itself.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// Where the keeper of Envoy answers the node.
    #[must_use]
    pub fn keeper_socket(&self) -> PathBuf {
        self.0.join("keeper.sock")
    }

    /// What the keeper in office holds locked.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("keeper.lock")
    }

    /// Which process is the keeper in office.
    #[must_use]
    pub fn keeper_pid(&self) -> PathBuf {
        self.0.join("keeper.pid")
    }

    /// Which process is Envoy.
    #[must_use]
    pub fn pid(&self) -> PathBuf {
        self.0.join("envoy.pid")
    }

    /// What Envoy is started with.
    #[must_use]
    pub fn bootstrap(&self) -> PathBuf {
        self.0.join("bootstrap.json")
    }
}

/// Puts these bytes into a file for this user alone; whoever reads it sees the old ones or the new ones.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension("new");
    // One that was left there by a crash may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_for_this_user_alone() {
        let state = tempfile::tempdir().unwrap();
        let place = Place::of(state.path());
        fs::create_dir(place.folder()).unwrap();
        fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        place.make().unwrap();
        place.make().unwrap();
        assert_eq!(fs::metadata(place.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_is_not_followed() {
        let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::set_permissions(other.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let place = Place::of(state.path());
        std::os::unix::fs::symlink(other.path(), place.folder()).unwrap();
        assert!(place.make().unwrap_err().to_string().contains("not a directory"));
        assert_eq!(fs::metadata(other.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_path_that_is_too_long_is_refused_before_anything_is_made() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("x".repeat(90));
        let error = Place::of(&deep).make().unwrap_err().to_string();
        assert!(error.contains("state_dir") && error.contains("107"), "{error}");
        assert!(!deep.exists());
    }

    #[test]
    fn a_file_is_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "old and longer").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
