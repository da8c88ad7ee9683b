//! One node: its configuration, its process, and questions to it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::fabric::{Build, Fabric, Org, text};
use crate::process::{Process, both, output, tail};
use crate::wait::{self, SOON};

/// A node. It is killed when dropped.
#[derive(Debug)]
pub struct Node {
    /// Where it belongs.
    pub fabric: Fabric,
    /// Its organisation.
    pub org: Org,
    /// What it runs.
    pub build: Build,
    /// Its own name: `edge-1`.
    pub name: String,
    /// The folder of its configuration, key and state.
    pub dir: PathBuf,
    /// Its configuration; written at every start.
    pub config: Value,
    listen: Option<SocketAddr>,
    process: Option<Process>,
    log: PathBuf,
}

/// A flag list's end for the command that runs a node.
fn verb(build: Build) -> &'static str {
    match build {
        Build::Cloud => "up",
        Build::Edge => "run",
    }
}

fn list<'a>(config: &'a mut Value, key: &str) -> &'a mut Vec<Value> {
    let slot = &mut config[key];
    if slot.is_null() {
        *slot = json!([]);
    }
    slot.as_array_mut().unwrap()
}

impl Node {
    pub(crate) fn new(fabric: Fabric, org: &Org, build: Build, name: &str, dir: PathBuf) -> Node {
        let mut config = json!({ "version": 1, "org": org.name, "node": name, "log": "debug" });
        let listen = (build == Build::Cloud).then(|| fabric.address());
        if let Some(listen) = listen {
            config["listen"] = json!(listen.to_string());
        }
        let log = dir.join("log");
        Node { fabric, org: org.clone(), build, name: name.into(), dir, config, listen, process: None, log }
    }

    /// `edge-1.acme.example`
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.name, self.org.name)
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The file that its program reads.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("catalyst.json")
    }

    /// Its admin socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("state/admin.sock")
    }

    /// Where it is dialled.
    ///
    /// # Panics
    /// For an edge: nobody dials it.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.listen.expect("an edge is never dialled")
    }

    // --- its configuration ---

    fn add_peer(&mut self, other: &Node, dial: bool, agreement: Option<&Path>) {
        let mut peer = json!({ "node": other.name });
        if dial {
            peer["address"] = json!(other.address().to_string());
        }
        if other.org.name != self.org.name {
            peer["org"] = json!(other.org.name);
            peer["bundle"] = json!(text(&other.org.bundle()));
        }
        if let Some(agreement) = agreement {
            peer["agreement"] = json!(text(agreement));
        }
        list(&mut self.config, "peers").push(peer);
    }

    /// Makes neighbours of two nodes of one organisation: this one dials.
    #[track_caller]
    pub fn joins(&mut self, other: &mut Node) {
        self.dials(other);
        other.awaits(self);
    }

    /// Configures a neighbour that it dials.
    #[track_caller]
    pub fn dials(&mut self, other: &Node) {
        self.add_peer(other, true, None);
    }

    /// Configures a neighbour that dials it.
    #[track_caller]
    pub fn awaits(&mut self, other: &Node) {
        self.add_peer(other, false, None);
    }

    /// Configures a neighbour of another organisation that it dials.
    #[track_caller]
    pub fn dials_under(&mut self, other: &Node, agreement: &Path) {
        self.add_peer(other, true, Some(agreement));
    }

    /// Configures a neighbour of another organisation that dials it.
    #[track_caller]
    pub fn awaits_under(&mut self, other: &Node, agreement: &Path) {
        self.add_peer(other, false, Some(agreement));
    }

    /// Adds a service to the file.
    pub fn offers(&mut self, label: &str, protocol: &str, target: SocketAddr) {
        let service = json!({ "name": label, "protocol": protocol, "target": target.to_string() });
        list(&mut self.config, "services").push(service);
    }

    /// Gives a service a local port, found by [`Node::port`] once it runs.
    pub fn exposes(&mut self, service: &str) {
        let listen = SocketAddr::new(self.fabric.ip(), 0).to_string();
        list(&mut self.config, "expose").push(json!({ "service": service, "listen": listen }));
    }

    /// Lets another organisation learn a service.
    pub fn exports(&mut self, label: &str, to: &Org) {
        list(&mut self.config, "exports").push(json!({ "service": label, "to": to.name }));
    }

    /// Accepts a service of another organisation.
    pub fn imports(&mut self, label: &str, from: &Org) {
        list(&mut self.config, "imports").push(json!({ "service": label, "from": from.name }));
    }

    /// Writes the file as it is now.
    pub fn write_config(&self) {
        fs::write(self.config_file(), serde_json::to_string_pretty(&self.config).unwrap()).unwrap();
    }

    // --- its process ---

    /// The command that runs it, with the file written.
    #[must_use]
    pub fn run_command(&self, more: &[&str]) -> Command {
        self.write_config();
        let mut command = self.fabric.command(self.build);
        command.arg(verb(self.build)).arg("-c").arg(self.config_file()).args(more);
        command
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// As [`Node::start`], with more flags.
    ///
    /// # Panics
    /// When it ends, or does not answer.
    #[track_caller]
    pub fn start_with(&mut self, more: &[&str]) {
        assert!(self.process.is_none(), "{} runs already", self.full_name());
        let mut process = Process::start(&mut self.run_command(more), &self.log);
        let pid = process.pid();
        let answers = wait::poll(SOON, || {
            if let Some(status) = process.ended() {
                panic!("{} ended at once ({status}):\n{}", self.full_name(), tail(&self.log, 40));
            }
            let status = Admin::connect(&self.socket()).ok()?.ask(json!({ "do": "status" })).ok()?;
            (status["pid"] == pid).then_some(())
        });
        assert!(answers.is_some(), "{} does not answer:\n{}", self.full_name(), tail(&self.log, 40));
        self.process = Some(process);
    }

    /// Runs it where it must not start. Returns what it said and its exit code.
    #[track_caller]
    pub fn start_in_vain(&self) -> (String, i32) {
        let out = output(&mut self.run_command(&[]));
        assert!(!out.status.success(), "{} ran and ended well: {}", self.full_name(), both(&out));
        (both(&out), out.status.code().unwrap_or(-1))
    }

    #[track_caller]
    fn process(&mut self) -> &mut Process {
        let name = format!("{} does not run", self.name);
        self.process.as_mut().expect(&name)
    }

    /// Its process id.
    #[track_caller]
    pub fn pid(&mut self) -> u32 {
        self.process().pid()
    }

    /// SIGKILL. Returns the moment.
    #[track_caller]
    pub fn kill(&mut self) -> Instant {
        let at = Instant::now();
        self.process().signal(Signal::SIGKILL);
        self.process().join(SOON);
        self.process = None;
        at
    }

    /// SIGTERM, and the wait for its end, which must be a good one. Returns the moment of the signal.
    #[track_caller]
    pub fn stop(&mut self) -> Instant {
        let at = Instant::now();
        let status = self.end(Signal::SIGTERM);
        assert!(status.success(), "{} ended with {status}:\n{}", self.full_name(), tail(&self.log, 40));
        at
    }

    /// SIGINT, as Ctrl-C sends it, and the wait for its end, which must be a good one.
    #[track_caller]
    pub fn interrupt(&mut self) {
        let status = self.end(Signal::SIGINT);
        assert!(status.success(), "{} ended with {status}:\n{}", self.full_name(), tail(&self.log, 40));
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        self.process().signal(signal);
        let status = self.process().join(SOON);
        self.process = None;
        status
    }

    /// SIGSTOP: it stands still, its sockets stay.
    #[track_caller]
    pub fn freeze(&mut self) {
        self.process().signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    #[track_caller]
    pub fn thaw(&mut self) {
        self.process().signal(Signal::SIGCONT);
    }

    // --- questions to it ---

    /// Runs its program with its configuration and these arguments.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Output {
        output(self.fabric.command(self.build).arg("-c").arg(self.config_file()).args(args))
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

    /// All its routes.
    #[track_caller]
    pub fn routes(&self) -> Vec<Value> {
        self.ask(json!({ "do": "routes" })).as_array().cloned().unwrap_or_default()
    }

    /// Its routes to one service.
    #[track_caller]
    pub fn routes_to(&self, service: &str) -> Vec<Value> {
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

    // --- waiting for it ---

    /// Waits until `holds` is true of its status.
    #[track_caller]
    pub fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(what, SOON, json!({ "do": "status" }), holds)
    }

    /// Waits until `holds` is true of its routes to a service.
    #[track_caller]
    pub fn wait_routes(&self, service: &str, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let request = json!({ "do": "routes", "service": service });
        let what = format!("{service}: {what}");
        let rows =
            self.wait_for(&what, SOON, request, |rows| holds(rows.as_array().map_or(&[], Vec::as_slice)));
        rows.as_array().cloned().unwrap_or_default()
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
