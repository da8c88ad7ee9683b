//! One node: its configuration, its process, and questions to it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

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

    /// The same for a service of UDP.
    pub fn exposes_udp(&mut self, service: &str) {
        let listen = SocketAddr::new(self.fabric.ip(), 0).to_string();
        let port = json!({ "service": service, "listen": listen, "protocol": "udp" });
        list(&mut self.config, "expose").push(port);
    }

    /// Lets another organisation learn a service.
    pub fn exports(&mut self, label: &str, to: &Org) {
        list(&mut self.config, "exports").push(json!({ "service": label, "to": to.name }));
    }

    /// Accepts a service of another organisation.
    pub fn imports(&mut self, label: &str, from: &Org) {
        list(&mut self.config, "imports").push(json!({ "service": label, "from": from.name }));
    }

    /// Has Envoy carry its traffic, with a mesh port that neighbours are told of. Returns the address of its HTTP ingress.
    pub fn has_envoy(&mut self) -> SocketAddr {
        let (mesh, http) = (self.fabric.address(), self.fabric.address());
        let program = std::env::var("CATALYST_ENVOY").expect(
            "CATALYST_ENVOY must name an Envoy: 'cargo xtask envoy fetch' gets one and prints its path",
        );
        self.config["envoy"] = json!({
            "mode": "managed",
            "path": program,
            "listen": mesh.to_string(),
            "address": mesh.to_string(),
            "workers": 1,
        });
        self.config["http"] = json!({ "listen": http.to_string() });
        http
    }

    /// Where the Envoy of this node writes its access log.
    #[must_use]
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.dir.join("state/envoy/access.log")).unwrap_or_default()
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
        let command = self.run_command(more);
        self.start_as(command);
    }

    /// As [`Node::start`], by a program that ends in executing what follows its arguments, such as `unshare`.
    #[track_caller]
    pub fn start_under(&mut self, wrapper: &[&str]) {
        let command = self.command_under(wrapper);
        self.start_as(command);
    }

    fn command_under(&self, wrapper: &[&str]) -> Command {
        let inner = self.run_command(&[]);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.fabric.dir());
        for (name, _) in inner.get_envs().filter(|(_, value)| value.is_none()) {
            command.env_remove(name);
        }
        command
    }

    #[track_caller]
    fn start_as(&mut self, mut command: Command) {
        assert!(self.process.is_none(), "{} runs already", self.full_name());
        let mut process = Process::start(&mut command, &self.log);
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
        self.in_vain(self.run_command(&[]))
    }

    /// As [`Node::start_in_vain`], under a wrapper as [`Node::start_under`] takes it.
    #[track_caller]
    pub fn start_in_vain_under(&self, wrapper: &[&str]) -> (String, i32) {
        self.in_vain(self.command_under(wrapper))
    }

    #[track_caller]
    fn in_vain(&self, mut command: Command) -> (String, i32) {
        let out = output(&mut command);
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

    /// SIGTERM, and the wait for its end, which must be a bad one. Returns the exit code.
    #[track_caller]
    pub fn stop_badly(&mut self) -> i32 {
        let status = self.end(Signal::SIGTERM);
        assert!(!status.success(), "{} ended well:\n{}", self.full_name(), tail(&self.log, 40));
        status.code().unwrap_or(-1)
    }

    /// Waits for its end, which it comes to by itself and which must be a good one.
    #[track_caller]
    pub fn ends(&mut self) {
        let status = self.process().join(SOON);
        self.process = None;
        assert!(status.success(), "{} ended with {status}:\n{}", self.full_name(), tail(&self.log, 40));
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

    /// SIGSTOP: it stands still, all its threads do when this returns; its sockets stay.
    #[track_caller]
    pub fn freeze(&mut self) {
        self.process().signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.pid());
        // proc_pid_stat(5): the state comes after the name, which may hold anything.
        let stopped = |stat: &str| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
        wait::until("it stands still", SOON, || {
            let all = std::fs::read_dir(&tasks).unwrap().flatten();
            let stats = all.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
            stats.into_iter().all(|stat| stopped(&stat)).then_some(())
        });
    }

    /// SIGCONT.
    #[track_caller]
    pub fn thaw(&mut self) {
        self.process().signal(Signal::SIGCONT);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A node that is killed leaves its Envoy running for a while, for the next one to find.
        if self.config["envoy"]["mode"] == "managed"
            && let Some(process) = &mut self.process
        {
            process.end_quietly();
        }
    }
}
