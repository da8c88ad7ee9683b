//! Questions to a running node, and waiting for its answers to be as they should.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::Admin;
use crate::node::Node;
use crate::process::output;
use crate::wait::{self, SOON};

/// Routes without those that are ineligible because their neighbour is lost.
fn not_only_kept(rows: &Value) -> Vec<Value> {
    let kept = |row: &&Value| row["standing"] != "ineligible" || row["stale"].is_null();
    rows.as_array().into_iter().flatten().filter(kept).cloned().collect()
}

/// Of those, what neighbours tell of now: without rows of the last run, which are shown and never used.
fn told(rows: &Value) -> Vec<Value> {
    let mut rows = not_only_kept(rows);
    rows.retain(|row| row["standing"] != "remembered");
    rows
}

impl Node {
    /// Runs its program with its configuration and these arguments.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Output {
        output(&mut self.cli_command(args))
    }

    /// The command of [`Node::cli`], not yet run.
    #[must_use]
    pub fn cli_command(&self, args: &[&str]) -> Command {
        let mut command = self.fabric.command(self.build);
        command.arg("-c").arg(self.config_file()).args(args).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Asks its admin socket.
    ///
    /// # Errors
    /// Its refusal, or why there was no answer.
    pub fn try_ask(&self, request: Value) -> Result<Value, String> {
        Admin::connect(&self.socket())?.ask(request)
    }

    /// As [`Node::try_ask`].
    ///
    /// # Panics
    /// With what went wrong, and the logs.
    #[track_caller]
    pub fn ask(&self, request: Value) -> Value {
        match self.try_ask(request.clone()) {
            Ok(answer) => answer,
            Err(error) => panic!("{}: {request}: {error}\n{}", self.full_name(), self.fabric.logs()),
        }
    }

    /// How it is.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.ask(json!({ "do": "status" }))
    }

    /// All its routes but those that are only kept: their neighbour is lost, and they are not used.
    #[track_caller]
    pub fn routes(&self) -> Vec<Value> {
        not_only_kept(&self.ask(json!({ "do": "routes" })))
    }

    /// Its routes to one service, as above.
    #[track_caller]
    pub fn routes_to(&self, service: &str) -> Vec<Value> {
        not_only_kept(&self.ask(json!({ "do": "routes", "service": service })))
    }

    /// Its routes to one service, those that are only kept too.
    #[track_caller]
    pub fn kept_routes_to(&self, service: &str) -> Vec<Value> {
        self.ask(json!({ "do": "routes", "service": service })).as_array().cloned().unwrap_or_default()
    }

    /// The row of a neighbour.
    #[track_caller]
    pub fn peer(&self, other: &Node) -> Value {
        let name = other.full_name();
        let peers = self.ask(json!({ "do": "peers" }));
        let row = peers.as_array().and_then(|p| p.iter().find(|p| p["name"] == name.as_str())).cloned();
        row.unwrap_or_else(|| panic!("{} has no peer {name}: {peers}", self.full_name()))
    }

    /// Offers a service, or changes one.
    #[track_caller]
    pub fn add(&self, label: &str, target: SocketAddr) {
        self.add_service(json!({ "name": label, "target": target.to_string() }));
    }

    /// Offers a service, or changes one, with all that a service can have.
    #[track_caller]
    pub fn add_service(&self, service: Value) {
        self.ask(json!({ "do": "service-add", "service": service }));
    }

    /// Offers a service no longer.
    #[track_caller]
    pub fn remove(&self, label: &str) {
        self.ask(json!({ "do": "service-remove", "name": label }));
    }

    /// Waits until `holds` is true of its status.
    #[track_caller]
    pub fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(what, SOON, json!({ "do": "status" }), holds)
    }

    /// Waits until `holds` is true of its routes to a service, as its neighbours tell of them now.
    #[track_caller]
    pub fn wait_routes(&self, service: &str, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let request = json!({ "do": "routes", "service": service });
        let what = format!("{service}: {what}");
        told(&self.wait_for(&what, SOON, request, |rows| holds(&told(rows))))
    }

    /// Waits until it has any route to a service.
    #[track_caller]
    pub fn wait_route(&self, service: &str) -> Vec<Value> {
        self.wait_routes(service, "a route", |rows| !rows.is_empty())
    }

    /// Waits until it has no route to a service.
    #[track_caller]
    pub fn wait_no_route(&self, service: &str) {
        self.wait_routes(service, "no route", <[Value]>::is_empty);
    }

    /// Waits until an answer is as it should be.
    ///
    /// # Panics
    /// After `limit`, with the last answer, the status and all logs.
    #[track_caller]
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        request: Value,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Err("never asked".to_string());
        let found = wait::poll(limit, || {
            last = self.try_ask(request.clone());
            last.as_ref().ok().filter(|answer| holds(answer)).cloned()
        });
        found.unwrap_or_else(|| {
            let last = last.map_or_else(|e| e, |v| format!("{v:#}"));
            let status = self.try_ask(json!({ "do": "status" })).map_or_else(|e| e, |v| format!("{v:#}"));
            panic!(
                "{}: waited {limit:?} in vain for: {what}\n--- last answer\n{last}\n--- status\n{status}\n{}",
                self.full_name(),
                self.fabric.logs()
            )
        })
    }

    /// Waits until the session with a neighbour is up and both tables are whole.
    #[track_caller]
    pub fn wait_up(&self, other: &Node) {
        self.wait_peer(other, "up", |row| row["state"] == "up");
    }

    /// Waits until the session with a neighbour is down.
    #[track_caller]
    pub fn wait_down(&self, other: &Node) {
        self.wait_peer(other, "down", |row| row["state"] == "down");
    }

    /// Waits until the row of a neighbour is as it should be.
    #[track_caller]
    pub fn wait_peer(&self, other: &Node, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let name = other.full_name();
        let row = |peers: &Value| {
            peers.as_array().and_then(|p| p.iter().find(|p| p["name"] == name.as_str()).cloned())
        };
        let what = format!("{name}: {what}");
        let peers = self
            .wait_for(&what, SOON, json!({ "do": "peers" }), |peers| row(peers).as_ref().is_some_and(&holds));
        row(&peers).unwrap_or_default()
    }

    /// The local port of an exposed service.
    ///
    /// # Panics
    /// When it exposes no such service.
    #[track_caller]
    pub fn port(&self, service: &str) -> SocketAddr {
        let status = self.status();
        let row = status["expose"].as_array().and_then(|e| e.iter().find(|e| e["service"] == service));
        let listen = row.and_then(|r| r["listen"].as_str()).and_then(|l| l.parse().ok());
        listen.unwrap_or_else(|| panic!("{} does not expose {service}: {status:#}", self.full_name()))
    }

    /// Waits until an exposed service can be reached. Returns its local port.
    #[track_caller]
    pub fn wait_reachable(&self, service: &str) -> SocketAddr {
        self.wait(&format!("{service} is reachable"), |status| {
            let rows = status["expose"].as_array().map_or(&[][..], Vec::as_slice);
            rows.iter().any(|e| e["service"] == service && e["state"] == "reachable")
        });
        self.port(service)
    }
}
