//! Demos beside each other, and demos that are killed. Long, for they build and run the real programs: the stage `demo` of
//! `cargo xtask test` runs them.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Building may be part of it.
const PATIENCE: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("demo").args(arguments).current_dir(root()).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// A demo that stays until it is told to end.
struct Demo {
    process: Child,
    folder: PathBuf,
    /// The local port for a service behind its edge node.
    inventory: SocketAddr,
}

impl Demo {
    fn start() -> Demo {
        let mut process = demo(&[]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (mut folder, mut inventory) = (None, None);
        let end = Instant::now() + PATIENCE;
        let mut said = String::new();
        while !said.contains("Ctrl-C stops everything.") {
            let before = said.len();
            let read = output.read_line(&mut said).unwrap();
            assert!(read > 0 && Instant::now() < end, "it does not come up: {said}");
            let line = said[before..].trim();
            if let Some(path) = line.strip_prefix("starting in ") {
                folder = Some(root().join(path));
            }
            if let Some(rest) = line.strip_prefix("curl http://").filter(|l| l.contains(" inventory,")) {
                inventory = Some(rest.split('/').next().unwrap().parse().unwrap());
            }
        }
        // What it says at its end must have somewhere to go.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Demo { process, folder: folder.expect(&said), inventory: inventory.expect(&said) }
    }

    /// Whether the service behind its edge node answers.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.inventory) else { return false };
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text.contains("200 OK") && text.contains("inventory")
    }

    /// What it started: nodes and services.
    fn processes(&self) -> Vec<u32> {
        let list = fs::read_to_string(self.folder.join("processes")).unwrap();
        list.lines().skip(1).map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// The process that cleans up after it.
    fn guard(&self) -> u32 {
        let name = self.folder.file_name().unwrap().to_str().unwrap();
        let all = fs::read_dir("/proc").unwrap().flatten();
        let mut all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let found = all.find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains("demo --guard") && line.trim_end().ends_with(name)
        });
        found.expect("a guard")
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // After a failure; its guard does the rest.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[track_caller]
fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn check() {
    let out = demo(&["--check"]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn two_run_beside_each_other_and_what_a_killed_one_left_goes() {
    let (mut one, mut two) = (Demo::start(), Demo::start());
    assert_ne!(one.folder, two.folder);
    assert_ne!(one.inventory, two.inventory);
    check();
    assert!(one.answers() && two.answers(), "a third one has disturbed them");

    // Killed: its guard cleans up, and the other one goes on.
    let processes = one.processes();
    assert!(processes.len() >= 7 && processes.iter().all(|pid| alive(*pid)), "{processes:?}");
    one.kill();
    wait("its processes are gone", || !processes.iter().any(|pid| alive(*pid)));
    wait("its folder is gone", || !one.folder.exists());
    assert!(two.answers());

    // Killed, and its guard before it: the next start cleans up.
    let (processes, guard) = (two.processes(), two.guard());
    assert!(Command::new("kill").args(["-9", &guard.to_string()]).status().unwrap().success());
    wait("the guard is gone", || !alive(guard));
    two.kill();
    assert!(processes.iter().all(|pid| alive(*pid)) && two.answers() && two.folder.exists());
    check();
    assert!(!processes.iter().any(|pid| alive(*pid)), "{processes:?}");
    assert!(!two.folder.exists());
}
