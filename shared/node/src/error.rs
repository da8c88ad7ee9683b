//! Why a node did not start or a command failed, and the exit code that says it to scripts.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use catalyst_config::ConfigErrors;
use catalyst_identity::IdentityError;
use catalyst_store::StoreError;
use catalyst_transport::TransportError;

use crate::limits::Limits;
use crate::space;

/// Exit codes of both programs. They do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Something failed that fits no other code.
    Failed = 1,
    /// The command line is wrong: an argument is missing, unknown or malformed. Nothing was asked of anybody.
    Usage = 2,
    /// The configuration, a key, a certificate or an agreement is wrong. Nothing was started.
    Config = 3,
    /// No node answers on the admin socket.
    NotRunning = 4,
    /// The node refused the request: no such service, a limit, a target that it cannot use.
    Refused = 5,
    /// The deadline was over before what was waited for had come.
    Late = 6,
}

/// Why a node did not start, or a command failed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration is wrong; each error says where.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// A file could not be read.
    #[error("{}: {source}; '{key}' in the configuration names this file", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The key of the configuration.
        key: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A key file that others may read, or that is not a file.
    #[error("{0}")]
    PrivateFile(String),
    /// A key, certificate or bundle that does not fit.
    #[error("{}: {source}", .path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdentityError,
    },
    /// The certificate names another node than the configuration.
    #[error(
        "{}: the certificate belongs to '{found}' but the configuration is of '{wanted}'; \
         sign a request of this node, or mend 'org' and 'node'", .path.display()
    )]
    WrongName {
        /// The certificate file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// Anything else about an input file, already in words.
    #[error("{0}")]
    Input(String),
    /// The state could not be opened.
    #[error("{0}{help}", help = state_help(.0))]
    Store(#[from] StoreError),
    /// The peering socket could not be opened.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// A local address could not be listened on.
    #[error("cannot listen on {address} for '{what}': {}", listen_help(.source))]
    Listen {
        /// The address.
        address: String,
        /// The key of the configuration, and which service it is for.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The admin socket could not be made.
    #[error("cannot make the admin socket {}: {}", .path.display(), socket_help(.source))]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node went while a command listened to it.
    #[error("the node behind {} is gone: {why}", .path.display())]
    Gone {
        /// Its socket.
        path: PathBuf,
        /// What it said, or how its end was noticed.
        why: String,
    },
    /// No node answers.
    #[error(
        "no node answers on {}: {source}; start it, or name another socket with --socket or another \
         configuration with --config", .path.display()
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is another user's.
    #[error(
        "permission denied: the admin socket {} is {owner}; run the command as that user (sudo -u ...), or as root",
        .path.display()
    )]
    NotYours {
        /// The socket.
        path: PathBuf,
        /// Whose it is, as far as can be seen.
        owner: String,
    },
    /// The node refused the request.
    #[error("{0}")]
    Refused(String),
    /// What was typed cannot be meant: no node was asked.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is in force, but the disk did not take it yet.
    #[error("{0}")]
    Unwritten(String),
    /// The node has stopped, and changes of this run never came to the disk.
    #[error("the node has stopped, and the disk did not take what was changed in this run: {} ({why}); {}",
        named(.lost), AGAIN)]
    Lost {
        /// What was changed, by name.
        lost: Vec<String>,
        /// What the last try said.
        why: String,
    },
    /// The deadline was over.
    #[cfg(feature = "mesh")]
    #[error("{0}")]
    Late(String),
    /// Anything else that the system refused.
    #[error("{0}")]
    Failed(String),
}

const AGAIN: &str = "make these changes again when it does";

/// The first names of a list.
fn named(lost: &[String]) -> String {
    let shown = lost.get(..Limits::LOST_NAMES).unwrap_or(lost).join(", ");
    match lost.len().saturating_sub(Limits::LOST_NAMES) {
        0 => format!("{shown} {}", if lost.len() == 1 { "is lost" } else { "are lost" }),
        more => format!("{shown} and {more} more are lost"),
    }
}

/// The store knows its file, not the key that led there.
fn state_help(error: &StoreError) -> String {
    let StoreError::Io { file, source, .. } = error else { return String::new() };
    let folder = file.parent().unwrap_or(file);
    let room = match space::free(folder).filter(|_| source.kind() == io::ErrorKind::StorageFull) {
        Some(free) => format!(" ({free} bytes are free in {})", folder.display()),
        None => String::new(),
    };
    format!("{room}; 'state_dir' in the configuration names this folder")
}

pub(crate) fn listen_help(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop what uses it (see 'ss -ltnp'), or choose another".to_string()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose a higher one"
                .to_string()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_string(),
        _ => error.to_string(),
    }
}

fn socket_help(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another node answers there; stop it, or set admin.socket to another path".to_string()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; give the folder to the user that runs the node, or set admin.socket"
                .to_string()
        }
        io::ErrorKind::StorageFull => {
            "the disk is full; free some space on it, or set admin.socket to another".to_string()
        }
        io::ErrorKind::InvalidInput => {
            "the path is too long for a socket (107 bytes at most); set admin.socket to a shorter one"
                .to_string()
        }
        _ => error.to_string(),
    }
}

impl NodeError {
    /// Why nobody answers on an admin socket.
    pub(crate) fn no_answer(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() != io::ErrorKind::PermissionDenied {
            return NodeError::NotRunning { path, source };
        }
        // The socket, or the first folder above it that this user may look at.
        let seen = path.ancestors().find_map(|above| above.symlink_metadata().ok());
        let owner =
            seen.map_or_else(|| "another user's".to_string(), |meta| format!("user {}'s", meta.uid()));
        NodeError::NotYours { path, owner }
    }

    /// The exit code of this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            NodeError::Config(_)
            | NodeError::File { .. }
            | NodeError::PrivateFile(_)
            | NodeError::Identity { .. }
            | NodeError::WrongName { .. }
            | NodeError::Input(_) => Exit::Config,
            NodeError::Usage(_) => Exit::Usage,
            #[cfg(feature = "mesh")]
            NodeError::Late(_) => Exit::Late,
            NodeError::NotRunning { .. } | NodeError::Gone { .. } => Exit::NotRunning,
            NodeError::Refused(_) | NodeError::NotYours { .. } => Exit::Refused,
            _ => Exit::Failed,
        }
    }
}
