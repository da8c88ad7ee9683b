//! A node gives up what it does not need, before its first thread starts: files and TCP ports by Landlock, capabilities,
//! and system calls by seccomp. Threads and children inherit all of it, and nothing takes it back.
//!
//! ```text
//!   configuration read, state open ──> enter ──> runtime, threads, sockets ──> READY
//! ```
//! Each layer stands for itself: where the kernel lacks one, the others hold, and the [`Report`] says so.
//!
//! Landlock knows TCP ports only: what the QUIC socket may reach is for a firewall or the service manager to say.

mod calls;
mod capabilities;
mod files;

use std::path::PathBuf;

/// What a node goes on to need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Files and folders that it reads. Those that are not there are left out.
    pub read: Vec<PathBuf>,
    /// Folders in which it reads, writes, makes and removes files, folders and sockets.
    pub write: Vec<PathBuf>,
    /// Folders in which it makes sockets and removes them: files there cannot be read or written.
    pub sockets: Vec<PathBuf>,
    /// TCP ports that it listens on; 0 allows the system to choose one. `None` when they are not known yet: then any.
    pub listen: Option<Vec<u16>>,
}

impl Wanted {
    /// What looking up names needs, with any C library: its files are read late, and modules are loaded.
    #[must_use]
    pub fn names(mut self) -> Self {
        const NEEDED: [&str; 12] = [
            "/etc/resolv.conf",
            "/etc/hosts",
            "/etc/host.conf",
            "/etc/nsswitch.conf",
            "/etc/gai.conf",
            "/etc/services",
            "/etc/ld.so.cache",
            "/run/systemd/resolve",
            "/run/resolvconf",
            "/lib",
            "/lib64",
            "/usr/lib",
        ];
        self.read.extend(NEEDED.map(PathBuf::from));
        self.read.extend(["/dev/urandom", "/proc/self", "/proc/stat"].map(PathBuf::from));
        self
    }
}

/// How well a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All of it.
    Enforced,
    /// Some of it: the kernel is older.
    Partly,
    /// Nothing.
    Off,
}

impl State {
    /// A word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Enforced => "enforced",
            State::Partly => "partly",
            State::Off => "off",
        }
    }
}

/// One layer, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// `files and ports`, `capabilities` or `system calls`.
    pub name: &'static str,
    /// How well it holds.
    pub state: State,
    /// What it keeps out, or why it does not hold.
    pub why: String,
}

/// What became of each layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they were entered.
    pub layers: Vec<Layer>,
}

impl Report {
    /// The first layer that does not hold fully.
    #[must_use]
    pub fn weakest(&self) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.state != State::Enforced)
    }
}

/// The filter of system calls, as the kernel takes it (`struct sock_filter`, seccomp(2)), for those who want to try it.
///
/// # Errors
/// There is none for this kind of processor.
pub fn call_filter() -> Result<Vec<u8>, String> {
    calls::bytes()
}

/// Enters all layers. Must be called while the process has one thread: later ones inherit, earlier ones would not.
#[must_use]
pub fn enter(wanted: &Wanted) -> Report {
    // Seccomp last: the layers before it make system calls.
    Report { layers: vec![files::enter(wanted), capabilities::drop_all(), calls::enter()] }
}
