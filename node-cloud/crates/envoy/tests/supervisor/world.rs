//! What the tests are made of.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalyst_envoy::{
    Admin, BootstrapSpec, EnvoySpec, Found, Handle, LogLine, Place, State, Supervisor, find, launch,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub mod node;

/// However slow the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until this gives something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The real Envoy.
pub fn envoy() -> Found {
    assert!(
        std::env::var_os("CATALYST_ENVOY").is_some(),
        "CATALYST_ENVOY names no Envoy: run `cargo xtask envoy fetch` and set it to what that prints"
    );
    find(None, None).unwrap()
}

/// A program in place of Envoy: what it says of its version is right.
pub fn pretender(folder: &Path, script: &str) -> Found {
    let path = folder.join("pretender");
    let version = "[ \"$1\" = --version ] && { echo x/1.40.0/Clean; exit; }";
    fs::write(&path, format!("#!/bin/sh\n{version}\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    find(Some(&path), None).unwrap()
}

/// An Envoy that does not wait for a node that answers xDS: there is none here.
pub fn spec(found: Found, state: &Path, node: &str, away: Duration) -> EnvoySpec {
    let place = Place::of(state);
    let first_config = Some(Duration::from_millis(200));
    let bootstrap = BootstrapSpec { first_config, ..BootstrapSpec::new(node, "acme.example", &place) };
    EnvoySpec { concurrency: Some(1), away, ..EnvoySpec::new(found, place, bootstrap) }
}

/// Whether a process lives, zombies aside.
pub fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| !matches!(state, "Z" | "X"))
}

pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// The processes that have this text among their arguments: the folder of a test, which is in those of its Envoy.
pub fn processes_of(folder: &Path) -> Vec<u32> {
    let text = folder.to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let of = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&text)
    };
    pids.filter(|pid| of(pid) && lives(*pid)).collect()
}

/// What is in the folder of an Envoy.
pub fn files(state: &Path) -> Vec<String> {
    let folder = fs::read_dir(Place::of(state).folder()).unwrap();
    let mut names: Vec<String> = folder.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An Envoy, supervised from this process.
pub struct Watched {
    pub state: TempDir,
    pub runtime: tokio::runtime::Runtime,
    pub handle: Handle,
    pub lines: Arc<Mutex<Vec<LogLine>>>,
    pub keepers: Vec<u32>,
}

impl Watched {
    pub fn start(found: impl FnOnce(&Path) -> Found) -> Self {
        let state = tempfile::tempdir().unwrap();
        let found = found(state.path());
        let spec = spec(found, state.path(), "cloud-1.acme.example", Duration::from_secs(20));
        Self::launch(state, &spec)
    }

    pub fn launch(state: TempDir, spec: &EnvoySpec) -> Self {
        let launched = launch(spec).unwrap();
        let keepers = launched.keepers();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lines);
        let handle =
            runtime.block_on(async { Supervisor::start(launched, move |l| log.lock().unwrap().push(l)) });
        Watched { state, runtime, handle, lines, keepers }
    }

    pub fn now(&self) -> State {
        self.handle.state().borrow().clone()
    }

    /// Waits until Envoy runs as a process that is none of these.
    pub fn running(&self, not: &[u32]) -> u32 {
        wait_for("a running Envoy", || match self.now() {
            State::Running { pid, .. } if !not.contains(&pid) => Some(pid),
            _ => None,
        })
    }

    pub fn ready(&self) {
        let admin = Admin::new(self.socket());
        wait_for("a ready Envoy", || self.runtime.block_on(admin.ready()).ok().filter(|ready| *ready));
    }

    pub fn socket(&self) -> PathBuf {
        Place::of(self.state.path()).admin_socket()
    }

    /// Stops it, and sees that nothing is left.
    pub fn stop(self) -> catalyst_envoy::Ended {
        let ended = self.runtime.block_on(self.handle.stop());
        assert_eq!(processes_of(self.state.path()), Vec::<u32>::new(), "processes are left");
        for keeper in self.keepers {
            assert!(!lives(keeper), "a keeper is left");
        }
        assert_eq!(files(self.state.path()), ["keeper.lock"], "files are left");
        ended
    }
}
