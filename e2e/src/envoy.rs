//! What a test sees of a node's Envoy, and does to it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::node::Node;
use crate::wait::{self, SOON};

/// The process id in a file of the supervisor.
fn pid(file: &Path) -> Option<i32> {
    let kept: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    i32::try_from(kept["pid"].as_i64()?).ok()
}

/// Whether any of its threads runs: the first is a zombie already while others still hold the sockets.
fn lives(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.any(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

impl Node {
    /// Has Envoy carry its traffic no longer.
    pub fn has_no_envoy(&mut self) {
        self.config["envoy"]["mode"] = "off".into();
    }

    /// Its SPIFFE ID: `spiffe://acme.example/node/edge-1`.
    #[must_use]
    pub fn spiffe(&self) -> String {
        format!("spiffe://{}/node/{}", self.org.name, self.name)
    }

    /// Where local clients name services by Host.
    ///
    /// # Panics
    /// When its configuration has no such place.
    #[must_use]
    #[track_caller]
    pub fn ingress(&self) -> SocketAddr {
        self.config["http"]["listen"].as_str().unwrap().parse().unwrap()
    }

    /// The process id of its Envoy while that runs.
    #[must_use]
    pub fn envoy_pid(&self) -> Option<i32> {
        pid(&self.dir.join("state/envoy/envoy.pid")).filter(|pid| lives(*pid))
    }

    /// SIGKILL for its Envoy. Returns the process id, which is gone then.
    #[track_caller]
    pub fn kill_envoy(&self) -> i32 {
        let pid = wait::until("an Envoy runs", SOON, || self.envoy_pid());
        end(pid);
        pid
    }

    /// SIGKILL for the node, for its Envoy and for what keeps that.
    #[track_caller]
    pub fn kill_all(&mut self) {
        let keeper = pid(&self.dir.join("state/envoy/keeper.pid"));
        let envoy = self.envoy_pid();
        self.kill();
        // The keeper first: it would start another Envoy.
        keeper.into_iter().chain(envoy).for_each(end);
    }

    /// The lines of its Envoy's access log.
    #[must_use]
    pub fn log_rows(&self) -> Vec<Value> {
        self.access_log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until the access log of its Envoy has a line with these fields.
    ///
    /// # Panics
    /// When it does not come, with the log.
    #[track_caller]
    pub fn wait_logged(&self, fields: &[(&str, &str)]) -> Value {
        let same = |field: &Value, value: &str| {
            field == value || value.parse::<i64>().is_ok_and(|number| *field == number)
        };
        let holds = |row: &Value| fields.iter().all(|(name, value)| same(&row[name], value));
        wait::poll(SOON, || self.log_rows().into_iter().find(holds)).unwrap_or_else(|| {
            panic!("{} has no line with {fields:?}:\n{}", self.full_name(), self.access_log())
        })
    }
}

fn end(process: i32) {
    let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
    wait::until("it is gone", SOON, || (!lives(process)).then_some(()));
}
