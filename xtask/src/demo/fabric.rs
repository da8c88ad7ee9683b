//! The demo's two organisations: made with the real command line, then started, asked and stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::config;
use super::folder::Folder;
use super::ports::{Port, Ports};
use super::process::Process;
use super::wait::Look;

/// How long a process may take to stop. When over: it is killed, and that is a failure.
const STOP: Duration = Duration::from_secs(5);

/// Where the two programs are.
pub struct Programs {
    /// The cloud node and command line.
    pub catalyst: PathBuf,
    /// The edge node.
    pub edge: PathBuf,
    /// What carries the traffic of the cloud nodes.
    pub envoy: PathBuf,
}

/// The nodes, in the order they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// `cloud-1.globex.example`: the other organisation.
    Globex,
    /// `cloud-1.acme.example`: where the client is.
    Cloud,
    /// `edge-1.acme.example`: dials out only.
    Edge,
    /// `edge-2.acme.example`: joins by token while the others run, in the checks.
    Joined,
}

/// Those that run from the start.
pub const NODES: [Node; 3] = [Node::Globex, Node::Cloud, Node::Edge];

impl Node {
    /// Its full name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Globex => "cloud-1.globex.example",
            Self::Cloud => "cloud-1.acme.example",
            Self::Edge => "edge-1.acme.example",
            Self::Joined => "edge-2.acme.example",
        }
    }

    /// Whether it is an edge node.
    fn dials_only(self) -> bool {
        matches!(self, Self::Edge | Self::Joined)
    }

    fn node(self) -> &'static str {
        self.name().split_once('.').map_or("", |(node, _)| node)
    }

    fn org(self) -> &'static str {
        self.name().split_once('.').map_or("", |(_, org)| org)
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Globex => "globex-cloud",
            Self::Cloud => "acme-cloud",
            Self::Edge => "acme-edge",
            Self::Joined => "acme-edge-2",
        }
    }
}

/// The service of UDP.
pub const CLOCK: &str = "clock";

/// The services: name, port, and the organisation they belong to.
pub const SERVICES: [(&str, Port, &str); 4] = [
    ("inventory", Port::InventoryServer, "acme.example"),
    ("orders", Port::OrdersServer, "globex.example"),
    ("payroll", Port::PayrollServer, "globex.example"),
    // Of UDP; the others speak HTTP.
    (CLOCK, Port::ClockServer, "acme.example"),
];

/// Everything that the demo made. Dropped, it ends all of it.
pub struct Fabric {
    programs: Programs,
    /// In the order they started; all are ended before the folder goes.
    running: Vec<Process>,
    /// Their ports.
    pub ports: Ports,
    /// Their files.
    pub folder: Folder,
}

impl Fabric {
    /// Nothing runs yet.
    pub fn new(programs: Programs, ports: Ports, folder: Folder) -> Self {
        Self { programs, running: Vec::new(), ports, folder }
    }

    /// The program of a node.
    pub fn program(&self, node: Node) -> &Path {
        if node.dials_only() { &self.programs.edge } else { &self.programs.catalyst }
    }

    /// The configuration of a node.
    pub fn config(&self, node: Node) -> PathBuf {
        self.folder.path().join(node.folder()).join("catalyst.json")
    }

    /// Rules of globex to plan and apply: with payroll, or without.
    pub fn rules(&self, payroll: bool) -> PathBuf {
        let name = if payroll { "payroll-too.rules.json" } else { "orders-alone.rules.json" };
        self.config(Node::Globex).with_file_name(name)
    }

    fn root(&self, org: &str) -> PathBuf {
        self.folder.path().join(format!("{}-root", org.trim_end_matches(".example")))
    }

    /// Roots of both organisations, and a certificate for each node.
    ///
    /// # Errors
    /// What the command line said.
    pub fn identities(&self) -> Result<()> {
        let catalyst = &self.programs.catalyst;
        for org in ["acme.example", "globex.example"] {
            let mut init = Command::new(catalyst);
            run(init.args(["org", "init", org, "--dir"]).arg(self.root(org)))?;
        }
        for node in NODES {
            let dir = self.folder.path().join(node.folder());
            fs::create_dir_all(&dir)?;
            let mut csr = Command::new(self.program(node));
            run(csr.args(["node", "csr", "--org", node.org(), "--node", node.node(), "--dir"]).arg(&dir))?;
            let root = self.root(node.org());
            let mut sign = Command::new(catalyst);
            run(sign
                .args(["org", "sign"])
                .arg(dir.join(format!("{}.csr", node.node())))
                .arg("--dir")
                .arg(&root))?;
            self.bundle(node.org(), &dir)?;
        }
        self.bundle("globex.example", &self.folder.path().join(Node::Cloud.folder()))?;
        self.bundle("acme.example", &self.folder.path().join(Node::Globex.folder()))
    }

    /// Gives a node the trust bundle of an organisation.
    fn bundle(&self, org: &str, to: &Path) -> Result<()> {
        let name = format!("{org}.bundle.pem");
        fs::copy(self.root(org).join(&name), to.join(&name))
            .with_context(|| format!("cannot copy {name}"))?;
        Ok(())
    }

    /// The agreement, the same bytes on both sides, and a configuration for each node; each is checked.
    ///
    /// # Errors
    /// What `config check` said.
    pub fn configurations(&self) -> Result<()> {
        for node in [Node::Cloud, Node::Globex] {
            let path = self.config(node).with_file_name("acme-globex.agreement.json");
            write(&path, config::AGREEMENT)?;
        }
        write(&self.rules(true), config::PAYROLL_TOO)?;
        write(&self.rules(false), config::ORDERS_ALONE)?;
        let envoy = self.programs.envoy.display().to_string();
        for node in NODES {
            let text = match node {
                Node::Globex => config::globex(&self.ports, &envoy),
                Node::Cloud => config::acme(&self.ports, &envoy),
                Node::Edge | Node::Joined => config::edge(&self.ports),
            };
            write(&self.config(node), &text)?;
            let mut check = Command::new(self.program(node));
            run(check.args(["config", "check", "--config"]).arg(self.config(node)))?;
        }
        Ok(())
    }

    /// A one-time token for the node that joins.
    ///
    /// # Errors
    /// What the command line said.
    pub fn invite(&self) -> Result<String> {
        let mut invite = Command::new(&self.programs.catalyst);
        invite.args(["node", "invite", Node::Joined.node(), "--config"]).arg(self.config(Node::Cloud));
        Ok(run(&mut invite)?.trim().to_owned())
    }

    /// Joins with a token, in the folder of the configuration `config`.
    ///
    /// # Errors
    /// What the command line said.
    pub fn join(&self, token: &str, config: &Path) -> Result<()> {
        let mut join = Command::new(&self.programs.edge);
        run(join.args(["join", token, "--config"]).arg(config)).map(drop)
    }

    /// Gives the node that joined local ports for the services of the other edge node, and starts it.
    ///
    /// # Errors
    /// When its configuration is not there, or it does not start.
    pub fn start_joined(&mut self) -> Result<()> {
        let path = self.config(Node::Joined);
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let listen = self.ports.address(Port::JoinedInventory).to_string();
        let clock = self.ports.address(Port::JoinedClock).to_string();
        config["expose"] = serde_json::json!([
            { "service": "inventory.acme.example", "listen": listen },
            { "service": "clock.acme.example", "listen": clock, "protocol": "udp" },
        ]);
        write(&path, &config.to_string())?;
        self.start_node(Node::Joined)
    }

    /// Cuts the node that joined off.
    ///
    /// # Errors
    /// What the command line said.
    pub fn revoke(&self) -> Result<()> {
        let mut revoke = Command::new(&self.programs.catalyst);
        run(revoke.args(["node", "revoke", Node::Joined.node(), "--config"]).arg(self.config(Node::Cloud)))
            .map(drop)
    }

    /// Has neighbours of a node use others first, and waits until they do; it goes on, or is as before.
    ///
    /// # Errors
    /// What the command line said.
    pub fn drain(&self, node: Node, drain: bool) -> Result<()> {
        let mut command = Command::new(&self.programs.catalyst);
        let words: &[&str] = if drain { &["node", "drain", "--stay"] } else { &["node", "undrain"] };
        run(command.args(words).arg("--socket").arg(self.socket(node))).map(drop)
    }

    /// Starts the servers, each a process of its own.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start_services(&mut self) -> Result<()> {
        for (name, port, _) in SERVICES {
            let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
            command.args(["demo", "--serve", name, &self.ports.address(port).to_string()]);
            self.start(name, command)?;
        }
        Ok(())
    }

    /// Starts a node.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_node(&mut self, node: Node) -> Result<()> {
        let mut command = Command::new(self.program(node));
        command.arg(if node.dials_only() { "run" } else { "up" }).arg("--config").arg(self.config(node));
        self.start(node.name(), command)
    }

    fn start(&mut self, name: &str, command: Command) -> Result<()> {
        let log = self.folder.path().join(format!("{name}.log"));
        let process = Process::start(name, command, &log)?;
        self.folder.add(&process)?;
        self.running.retain(|other| other.name != name);
        self.running.push(process);
        Ok(())
    }

    /// A running process by its name.
    pub fn process(&mut self, name: &str) -> Option<&mut Process> {
        self.running.iter_mut().find(|process| process.name == name)
    }

    /// A process that was killed on purpose is not one that fell.
    pub fn forget(&mut self, name: &str) {
        self.running.retain(|process| process.name != name);
    }

    /// The admin socket of a node.
    pub fn socket(&self, node: Node) -> PathBuf {
        self.config(node).with_file_name("state").join("admin.sock")
    }

    /// Asks a node by its own command line, with `--json`: `status`, `route ls`...
    ///
    /// # Errors
    /// What it said on stderr.
    pub fn ask(&self, node: Node, question: &[&str]) -> Result<Value> {
        let output = run(self.command(node, question).arg("--json"))?;
        serde_json::from_str(&output)
            .with_context(|| format!("{} answered something else: {output}", node.name()))
    }

    /// What a command says at a node, on both its outputs, and its exit code. There is nobody to answer questions.
    ///
    /// # Errors
    /// When it does not start, or was killed.
    pub fn say(&self, node: Node, words: &[&str]) -> Result<(i32, String)> {
        let mut command = self.command(node, words);
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
        let code =
            output.status.code().with_context(|| format!("{command:?} ended with {}", output.status))?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((code, said))
    }

    /// Leaves a command of a node running. It is known to who cleans up, and killed when it is dropped.
    ///
    /// # Errors
    /// When it does not start.
    pub fn leave(&self, node: Node, name: &str, words: &[&str]) -> Result<Process> {
        let log = self.folder.path().join(format!("{name}.log"));
        let process = Process::start(name, self.command(node, words), &log)?;
        self.folder.add(&process)?;
        Ok(process)
    }

    fn command(&self, node: Node, words: &[&str]) -> Command {
        let mut command = Command::new(self.program(node));
        command.args(words).arg("--config").arg(self.config(node));
        command
    }

    /// One look at a node's status: what `see` makes of it, or why there is none.
    pub fn look<T>(&mut self, node: Node, see: impl Fn(&Value) -> Result<T, String>) -> Look<T> {
        if let Some((name, how)) = self.fallen() {
            return Look::Never(format!("{name} ended with {how}"));
        }
        match self.ask(node, &["status"]) {
            Err(error) => Look::NotYet(format!("{error:#}")),
            Ok(status) => see(&status).map_or_else(Look::NotYet, Look::Done),
        }
    }

    /// The first process that ended though nobody asked it to, and how.
    pub fn fallen(&mut self) -> Option<(String, String)> {
        self.running.iter_mut().find_map(|process| Some((process.name.clone(), process.ended()?.to_string())))
    }

    /// Stops everything in order, what dials first: nodes, then services. Gives those that
    /// stopped by themselves when asked.
    ///
    /// # Errors
    /// The first that did not stop by itself; the others are stopped all the same.
    pub fn stop(&mut self) -> Result<Vec<String>> {
        let mut stopped = Vec::new();
        let mut failed = None;
        while let Some(mut process) = self.running.pop() {
            // Services have nothing to put in order, and no handler.
            if SERVICES.iter().any(|(name, ..)| *name == process.name) {
                process.kill();
                continue;
            }
            match process.stop(STOP) {
                Ok(()) => stopped.push(process.name.clone()),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(stopped), Err)
    }

    /// The logs that say something, and their last lines.
    pub fn logs(&self, most: usize) -> Vec<(String, Vec<String>)> {
        let names = NODES
            .iter()
            .chain([&Node::Joined])
            .map(|node| node.name())
            .chain(SERVICES.iter().map(|(name, ..)| *name));
        names
            .filter_map(|name| {
                let text = fs::read(self.folder.path().join(format!("{name}.log"))).ok()?;
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<String> = text.lines().map(str::to_owned).collect();
                let tail = lines.get(lines.len().saturating_sub(most)..)?.to_vec();
                (!tail.is_empty()).then(|| (name.to_owned(), tail))
            })
            .collect()
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        // On the way out of an error nobody asks how it went; what does not stop is killed.
        let _ = self.stop();
        let _ = self.folder.remove();
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
