//! A test alone in a network namespace of its own, and machines beside it: for firewalls, and for addresses that change.
//!
//! Unlike in a [`World`](crate::world::World) the test itself is one of the machines: it runs again in the namespace, as
//! the root there, and reaches services, clients and admin sockets as always.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::process::{both, output};

/// Set for the test in its namespace: outside it would change the machine's own firewall.
const INSIDE: &str = "CATALYST_TEST_IN_NAMESPACE";

/// Whether the test, of this name in its binary, runs in a namespace that has nothing but a loopback. If it does not yet, it
/// is run there now, and there is nothing left to do for the caller.
///
/// # Panics
/// When it fails there.
#[track_caller]
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("setpriv");
    command.env(INSIDE, "1").args(["--pdeathsig", "KILL", "unshare", "-Urn"]);
    command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    let output = command.output().expect("'setpriv' and 'unshare' of util-linux start");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in the namespace: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Runs a line of shell on the test's own machine, and expects that it succeeds.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn run(line: &str) {
    let out = output(Command::new("sh").args(["-ec", line]));
    assert!(out.status.success(), "{line}: {}", both(&out));
}

/// Another machine. It goes when dropped.
#[derive(Debug)]
pub struct Machine {
    holder: Child,
    pid: String,
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Machine {
    /// One without wires.
    ///
    /// # Panics
    /// When the kernel makes no namespace.
    #[must_use]
    pub fn new() -> Machine {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "-n"]);
        command.args(["sh", "-c", "ip link set lo up && echo held && exec sleep 3600"]);
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "held", "no network namespace");
        let pid = holder.id().to_string();
        Machine { holder, pid }
    }

    /// A wire between the test's machine and this one, called `name` on both, with an address of 24 bits for each.
    #[track_caller]
    pub fn wire(&self, name: &str, here: &str, there: &str) {
        let pid = &self.pid;
        run(&format!("ip link add {name} type veth peer name {name} netns {pid}"));
        run(&format!("ip addr add {here}/24 dev {name} && ip link set {name} up"));
        self.run(&format!("ip addr add {there}/24 dev {name} && ip link set {name} up"));
    }

    /// What comes before a command that is to run on it, for [`Node::start_under`](crate::Node::start_under).
    #[must_use]
    pub fn enter(&self) -> [&str; 4] {
        ["nsenter", "-t", &self.pid, "-n"]
    }

    /// Runs a line of shell on it, and expects that it succeeds.
    #[track_caller]
    pub fn run(&self, line: &str) {
        let [program, rest @ ..] = self.enter();
        let out = output(Command::new(program).args(rest).args(["sh", "-ec", line]));
        assert!(out.status.success(), "{line}: {}", both(&out));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
