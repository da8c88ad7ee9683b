//! A node as far as this matters: a process that has an Envoy.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use catalyst_envoy::{State, Supervisor, launch};
use catalyst_sandbox::{Wanted, enter};

use super::{PATIENCE, envoy, spec};

const NODE: &str = "--node";
const SANDBOX: &str = "sandbox";

/// The process itself: tells each state in a line, ends when its input does.
pub fn entry() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, state, name, away, sandbox] = arguments.as_slice() else { return None };
    if first != NODE {
        return None;
    }
    let away = Duration::from_millis(away.parse().unwrap());
    let launched = launch(&spec(envoy(), Path::new(state), name, away)).unwrap();
    for keeper in launched.keepers() {
        println!("keeper {keeper}");
    }
    if sandbox == SANDBOX {
        let report = enter(&Wanted { write: vec![state.into()], ..Wanted::default() }.names());
        println!(
            "sandbox {}",
            report.layers.iter().any(|layer| layer.state == catalyst_sandbox::State::Enforced)
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let handle = Supervisor::start(launched, |_| {});
        let mut states = handle.state();
        let input = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        tokio::pin!(input);
        loop {
            let state = states.borrow_and_update().clone();
            match state {
                State::Running { pid, restarts, .. } => println!("running {pid} {restarts}"),
                State::Missing { why } => println!("missing {why}"),
                State::Starting | State::Backoff { .. } => {}
            }
            std::io::stdout().flush().unwrap();
            tokio::select! {
                _ = states.changed() => {}
                _ = &mut input => break,
            }
        }
        println!("stopped {:?}", handle.stop().await);
    });
    Some(ExitCode::SUCCESS)
}

pub struct Node {
    pub child: Child,
    lines: Receiver<String>,
    pub keepers: Vec<u32>,
}

impl Node {
    pub fn start(state: &Path, name: &str, away: Duration) -> Self {
        Self::with(state, name, away, "no sandbox")
    }

    /// One that enters its sandbox before it goes on, as a node does.
    pub fn sandboxed(state: &Path, name: &str, away: Duration) -> Self {
        Self::with(state, name, away, SANDBOX)
    }

    fn with(state: &Path, name: &str, away: Duration, sandbox: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(NODE).arg(state).arg(name).arg(away.as_millis().to_string()).arg(sandbox);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Node { child, lines, keepers: Vec::new() }
    }

    /// Waits until it has a running Envoy, and says which.
    pub fn running(&mut self) -> u32 {
        let line = self.next("running");
        line.split(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until it tells of a state of this name, and says what it told.
    pub fn next(&mut self, state: &str) -> String {
        loop {
            let line =
                self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{state} did not come about"));
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "keeper" => self.keepers.push(rest.parse().unwrap()),
                "sandbox" => assert_eq!(rest, "true", "no sandbox holds here"),
                word if word == state => return rest.to_owned(),
                _ => {}
            }
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Vec<u32> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.keepers
    }

    /// Lets it end in order. Returns what it says of its Envoy.
    pub fn stop(mut self) -> String {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        self.lines.iter().last().unwrap_or_default()
    }
}
