//! What can go wrong here, in words for a person.

use std::io;
use std::path::PathBuf;

use crate::limits::Limits;

/// Why there is no Envoy.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// Sockets have no room for longer paths.
    #[error(
        "{path}: the path of a socket has {max} bytes at most, this one {length}; set state_dir to a shorter one",
        path = path.display(),
        max = Limits::SOCKET_PATH
    )]
    LongPath {
        /// The socket's.
        path: PathBuf,
        /// Bytes.
        length: usize,
    },
    /// A file or folder of Envoy cannot be made.
    #[error("cannot write {path}: {why}; is there space, and does the folder belong to this user?", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
}
