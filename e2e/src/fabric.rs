//! The place of one scenario: a folder, a loopback address of its own, organisations and agreements.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Programs, both, output, tail};

/// The first port that is given out: below every range of ephemeral ports.
const FIRST_PORT: u16 = 20_001;
/// Held for as long as the address is in use.
const CLAIM_PORT: u16 = 20_000;

/// Which program a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// `catalyst up`
    Cloud,
    /// `catalyst-edge run`
    Edge,
}

/// One scenario's surroundings; cheap to clone. The folder goes when the last clone goes.
#[derive(Clone, Debug)]
pub struct Fabric(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: TempDir,
    ip: Ipv4Addr,
    _claim: TcpListener,
    port: AtomicU16,
    programs: Programs,
    logs: Mutex<Vec<(String, PathBuf)>>,
}

/// An organisation: a root of its own, in a folder of its own.
#[derive(Clone, Debug)]
pub struct Org {
    /// `acme.example`
    pub name: String,
    /// Where its root is.
    pub root: PathBuf,
}

impl Org {
    /// The trust bundle.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.root.join(format!("{}.bundle.pem", self.name))
    }

    /// The full name of a service.
    #[must_use]
    pub fn service(&self, label: &str) -> String {
        format!("{label}.{}", self.name)
    }
}

/// A loopback address that nobody else uses, so that fixed ports never collide: all of 127/8 is this machine.
fn claim() -> (Ipv4Addr, TcpListener) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let host = (std::process::id().wrapping_shl(8) | (n & 0xff)) & 0x003f_ffff;
        let [_, b, c, d] = (host | 0x0040_0000).to_be_bytes();
        let ip = Ipv4Addr::new(127, b, c, d);
        if let Ok(listener) = TcpListener::bind((ip, CLAIM_PORT)) {
            return (ip, listener);
        }
        assert!(n < 1 << 16, "no free loopback address");
    }
}

impl Default for Fabric {
    fn default() -> Self {
        Fabric::new()
    }
}

impl Fabric {
    /// An empty one.
    ///
    /// # Panics
    /// Without the programs, or without a folder for temporary files.
    #[must_use]
    pub fn new() -> Fabric {
        let programs = Programs::find();
        let (ip, claim) = claim();
        let dir = tempfile::Builder::new().prefix("catalyst-").tempdir().unwrap();
        let inner = Inner {
            dir,
            ip,
            _claim: claim,
            port: AtomicU16::new(FIRST_PORT),
            programs,
            logs: Mutex::default(),
        };
        Fabric(Arc::new(inner))
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.0.dir.path()
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        IpAddr::V4(self.0.ip)
    }

    /// An address that nobody uses yet, for a listener that must keep it over restarts.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.0.port.fetch_add(1, Ordering::Relaxed))
    }

    /// `catalyst` or `catalyst-edge`, with no arguments yet.
    #[must_use]
    pub fn command(&self, build: Build) -> Command {
        let mut command = Command::new(match build {
            Build::Cloud => &self.0.programs.cloud,
            Build::Edge => &self.0.programs.edge,
        });
        // What the caller's environment sets must not reach the nodes.
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("CATALYST_")) {
            command.env_remove(name);
        }
        command.current_dir(self.dir());
        command
    }

    /// Runs `catalyst` with these arguments and expects that it succeeds. Returns what it printed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn catalyst(&self, args: &[&str]) -> String {
        let out = output(self.command(Build::Cloud).args(args));
        assert!(out.status.success(), "catalyst {args:?} failed: {}", both(&out));
        both(&out)
    }

    /// Makes an organisation.
    #[track_caller]
    pub fn org(&self, name: &str) -> Org {
        self.org_in(name, &self.dir().join(format!("root-{name}")))
    }

    /// Makes an organisation whose root is kept in `root`: a second root of one name is another organisation.
    #[track_caller]
    pub fn org_in(&self, name: &str, root: &Path) -> Org {
        self.catalyst(&["org", "init", name, "--dir", text(root)]);
        Org { name: name.to_string(), root: root.to_owned() }
    }

    /// Remembers where a node logs, for reports.
    pub(crate) fn remember_log(&self, name: String, log: PathBuf) {
        self.0.logs.lock().unwrap().push((name, log));
    }

    /// Writes an agreement; each party is `{ "org": ..., "role": ... }` and more.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn agreement(&self, file: &str, parties: [Value; 2]) -> PathBuf {
        let path = self.dir().join(file);
        let [a, b] = parties;
        fs::write(&path, json!({ "version": 1, "parties": [a, b] }).to_string()).unwrap();
        path
    }

    /// The ends of all logs, for a report.
    #[must_use]
    pub fn logs(&self) -> String {
        let logs = self.0.logs.lock().unwrap();
        logs.iter().map(|(name, path)| format!("--- log of {name}\n{}\n", tail(path, 25))).collect()
    }
}

/// A path in an argument list.
///
/// # Panics
/// When it is not UTF-8.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder with a name in UTF-8")
}
