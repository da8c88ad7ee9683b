//! Machines that are network namespaces: hosts, wires between them, routers with NAT, all inside one user namespace, so
//! that nobody has to be root.
//!
//! A host is a process that holds a network namespace; commands enter it by `nsenter`. `/etc/hosts` is the world's own.
//! Everything goes when the [`World`] goes, or the thread that made it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{both, output};
use crate::wait;

/// A user and mount namespace with machines in it.
#[derive(Debug)]
pub struct World {
    holder: Child,
    hosts: Vec<Host>,
    names: PathBuf,
    wires: usize,
}

/// One machine.
#[derive(Debug)]
pub struct Host {
    name: String,
    holder: Child,
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.hosts.iter_mut().map(|h| &mut h.holder).chain([&mut self.holder]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a process that holds namespaces, and waits until it does.
fn hold(command: &mut Command) -> Child {
    command.args(["sh", "-c", "echo held; exec sleep 3600"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| {
        panic!("{command:?}: {e}; these tests need util-linux (unshare, nsenter, setpriv)")
    });
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(
        line.trim(),
        "held",
        "no namespaces here: {command:?} failed. They need a kernel that lets users make them \
         (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0); to leave these \
         tests out, run the stages by name: cargo xtask test unit e2e"
    );
    child
}

/// `nsenter` into the namespaces of a process, so that what runs there ends with the thread that asked.
fn enter(pid: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid.to_string(), "-U", "-m", "-n", "--preserve-credentials"]);
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
    command
}

impl World {
    /// An empty world; files of its own go to `dir`.
    ///
    /// # Panics
    /// Where the kernel does not let users make namespaces.
    #[must_use]
    pub fn new(dir: &Path) -> World {
        let names = dir.join("hosts");
        fs::write(&names, "127.0.0.1 localhost\n").unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "-Urnm", "--propagation", "private"]);
        let world = World { holder: hold(&mut command), hosts: Vec::new(), names, wires: 0 };
        world.root(&["mount", "--bind", world.names.to_str().unwrap(), "/etc/hosts"]);
        world
    }

    /// Runs a command in the namespace that holds the others, and expects that it succeeds.
    #[track_caller]
    fn root(&self, args: &[&str]) {
        let out = output(enter(self.holder.id()).args(args));
        assert!(out.status.success(), "{args:?}: {}", both(&out));
    }

    /// Puts an empty folder of the world's own over one of the real machine.
    pub fn fresh(&self, folder: &str) {
        self.root(&["mount", "-t", "tmpfs", "none", folder]);
    }

    /// A machine without wires.
    pub fn host(&mut self, name: &str) -> usize {
        let mut command = enter(self.holder.id());
        command.args(["unshare", "-n"]);
        let holder = hold(&mut command);
        self.hosts.push(Host { name: name.to_string(), holder });
        let at = self.hosts.len() - 1;
        self.run(at, "ip link set lo up");
        at
    }

    /// A wire between two machines: each gets the address, of a network of 24 bits.
    #[track_caller]
    pub fn wire(&mut self, a: (usize, &str), b: (usize, &str)) {
        let n = self.wires;
        self.wires += 1;
        let pid = |host: usize| self.hosts[host].holder.id().to_string();
        let (name_a, name_b) = (format!("w{n}a"), format!("w{n}b"));
        self.root(&["ip", "link", "add", &name_a, "type", "veth", "peer", "name", &name_b]);
        for ((host, address), name) in [(a, name_a), (b, name_b)] {
            self.root(&["ip", "link", "set", &name, "netns", &pid(host)]);
            self.run(host, &format!("ip addr add {address}/24 dev {name} && ip link set {name} up"));
        }
    }

    /// What the machine of this name is called in `/etc/hosts` of all.
    pub fn name(&self, name: &str, address: &str) {
        let old = fs::read_to_string(&self.names).unwrap();
        fs::write(&self.names, format!("{old}{address} {name}\n")).unwrap();
    }

    /// A command on a machine, without arguments yet.
    #[must_use]
    pub fn command(&self, host: usize) -> Command {
        enter(self.hosts[host].holder.id())
    }

    /// Runs a line of shell on a machine, and expects that it succeeds. Returns what it said.
    #[track_caller]
    pub fn run(&self, host: usize, line: &str) -> String {
        let out = output(self.command(host).args(["sh", "-ec", line]));
        assert!(out.status.success(), "{}: {line}: {}", self.hosts[host].name, both(&out));
        both(&out)
    }

    /// Makes a machine a router that hides what is behind `inner` (an address prefix such as `10.0.2.0/24`).
    #[track_caller]
    pub fn nat(&self, router: usize, inner: &str) {
        self.run(router, "echo 1 > /proc/sys/net/ipv4/ip_forward || sysctl -q -w net.ipv4.ip_forward=1");
        self.run(router, &format!("iptables -t nat -A POSTROUTING -s {inner} ! -d {inner} -j MASQUERADE"));
        // Nothing comes in that was not asked for.
        self.run(router, &format!("iptables -A FORWARD ! -s {inner} -m conntrack --ctstate NEW -j DROP"));
    }

    /// Waits until a line of shell succeeds on a machine. Returns what it said.
    #[track_caller]
    pub fn until(&self, host: usize, line: &str, limit: Duration) -> String {
        let mut last = String::new();
        let found = wait::poll(limit, || {
            let out = output(self.command(host).args(["sh", "-ec", line]));
            last = both(&out);
            out.status.success().then_some(())
        });
        assert!(found.is_some(), "{}: waited {limit:?} in vain for: {line}\n{last}", self.hosts[host].name);
        last
    }
}
