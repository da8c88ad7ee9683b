//! Typing a walk: the blocks of a section, on machines that are network namespaces.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use catalyst_e2e::process::{Process, Programs, both, output, tail};
use catalyst_e2e::wait;
use catalyst_e2e::world::World;
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(15);

/// A block of a page.
#[derive(Debug)]
pub struct Block {
    pub host: String,
    kind: Kind,
    lines: Vec<String>,
}

/// What is done with a block.
#[derive(Debug)]
enum Kind {
    /// Each line is typed.
    Typed,
    /// Each line is left running.
    Background,
    /// Nothing.
    Shown,
    /// It is the text of a file of this name.
    File(String),
}

/// The blocks of a section of a page in `docs`; each names a machine.
pub fn blocks(page: &str, section: &str) -> Vec<Block> {
    let text = fs::read_to_string(format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let section = text.split("\n## ").find(|s| s.starts_with(section)).expect("the section is there");
    let mut found = Vec::new();
    let mut inside: Option<Block> = None;
    for line in section.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            // What a command prints is for the reader.
            (None, Some("text")) => {
                inside = Some(Block { host: String::new(), kind: Kind::Shown, lines: vec![] })
            }
            (None, Some(info)) => {
                let words: Vec<&str> = info.split(' ').collect();
                let [_, host, more @ ..] = &words[..] else { panic!("a block for nobody: {line}") };
                let kind = match *more {
                    [] => Kind::Typed,
                    ["background"] => Kind::Background,
                    ["file", name] => Kind::File(name.into()),
                    _ => panic!("a block of no known kind: {line}"),
                };
                inside = Some(Block { host: (*host).into(), kind, lines: vec![] });
            }
            (Some(_), Some(_)) => found.extend(inside.take().filter(|b| !matches!(b.kind, Kind::Shown))),
            (Some(block), None) => block.lines.push(line.to_string()),
            (None, None) => {}
        }
    }
    found
}

/// A walk: machines with a folder each, and the programs on their path.
pub struct Walk {
    dir: tempfile::TempDir,
    pub world: World,
    hosts: BTreeMap<String, usize>,
    /// What was typed, the program, and what its terminal shows.
    running: Vec<(String, Process, PathBuf)>,
}

impl Walk {
    pub fn new() -> Walk {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let programs = Programs::find();
        symlink(&programs.cloud, bin.join("catalyst")).unwrap();
        symlink(&programs.edge, bin.join("catalyst-edge")).unwrap();
        // The wire between two desks: the last argument is MACHINE:, the others are files.
        let scp = format!(
            "#!/bin/sh -e\nfor to; do :; done\nfor file; do [ \"$file\" = \"$to\" ] || cp \"$file\" {}/\"${{to%:}}\"/; done\n",
            dir.path().display()
        );
        fs::write(bin.join("scp"), scp).unwrap();
        fs::set_permissions(bin.join("scp"), fs::Permissions::from_mode(0o755)).unwrap();
        let world = World::new(dir.path());
        Walk { dir, world, hosts: BTreeMap::new(), running: Vec::new() }
    }

    pub fn host(&mut self, name: &str) -> usize {
        fs::create_dir(self.home(name)).unwrap();
        let host = self.world.host(name);
        self.hosts.insert(name.to_string(), host);
        host
    }

    pub fn home(&self, host: &str) -> PathBuf {
        self.dir.path().join(host)
    }

    /// A shell of a person who sits at a machine.
    fn shell(&self, host: &str, line: &str) -> Command {
        let path = format!("{}/bin:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        let mut command = self.world.command(self.hosts[host]);
        command.args(["env", "-u", "CATALYST_BIN", "-u", "CATALYST_EDGE_BIN", "-u", "CATALYST_TEST_FULL"]);
        command.arg(format!("PATH={path}"));
        // Entering a mount namespace leaves the folder behind.
        command.args(["sh", "-ec", &format!("cd '{}'\n{line}", self.home(host).display())]);
        command
    }

    /// Starts what a person leaves running in a terminal, and waits until it is ready.
    fn start(&mut self, host: &str, line: &str) {
        let log = self.home(host).join(format!("terminal-{}", self.running.len()));
        let mut process = Process::start(&mut self.shell(host, &format!("exec {line}")), &log);
        if line.starts_with("catalyst") {
            let ready = if line.starts_with("catalyst route watch") { "synced" } else { "ready;" };
            wait::until(&format!("'{ready}' of {line}"), PATIENCE, || {
                assert!(process.ended().is_none(), "{host}: {line} has ended: {}", tail(&log, 20));
                tail(&log, 100).contains(ready).then_some(())
            });
        }
        self.running.push((line.to_string(), process, log));
    }

    /// Waits until a line succeeds on a machine; shows all terminals if it does not.
    pub fn until(&self, host: &str, line: &str) {
        let mut last = String::new();
        let done = wait::poll(PATIENCE, || {
            let out = output(&mut self.shell(host, line));
            last = both(&out);
            out.status.success().then_some(())
        });
        assert!(done.is_some(), "{host}: {line}\n{last}\n{}", self.terminals());
    }

    /// What the terminal of something that runs shows, once these words are in it.
    pub fn terminal(&self, line: &str, words: &str) -> String {
        let (_, _, log) = self.running.iter().find(|(l, ..)| l.starts_with(line)).expect("it runs");
        wait::until(&format!("'{words}' of {line}"), PATIENCE, || {
            Some(fs::read_to_string(log).unwrap()).filter(|text| text.contains(words))
        })
    }

    /// Ends what was left running, in order, as Ctrl-C at its terminal does.
    pub fn stop(&mut self, line: &str) {
        let at = self.running.iter().position(|(l, ..)| l.starts_with(line)).expect("it runs");
        let (_, mut process, _) = self.running.remove(at);
        process.signal(Signal::SIGINT);
        process.join(PATIENCE);
    }

    /// Types a line and expects that it succeeds. What asks for the first byte, or looks into a log, may be typed again: a
    /// person is slower.
    fn type_in(&self, host: &str, line: &str) -> String {
        let limit =
            if line.starts_with("curl") || line.starts_with("grep") { PATIENCE } else { Duration::ZERO };
        let mut last = String::new();
        let done = wait::poll(limit, || {
            let out = output(&mut self.shell(host, line));
            last = both(&out);
            out.status.success().then_some(())
        });
        assert!(done.is_some(), "{host}: {line}\n{last}\n{}", self.terminals());
        last
    }

    fn terminals(&self) -> String {
        let mut all = String::new();
        for host in self.hosts.keys() {
            for file in fs::read_dir(self.home(host)).unwrap().flatten() {
                if file.file_name().to_string_lossy().starts_with("terminal-") {
                    all += &format!("--- {host} {:?}\n{}\n", file.file_name(), tail(&file.path(), 15));
                }
            }
        }
        all
    }

    /// Types the whole walk. Returns what each line said.
    pub fn walk(&mut self, blocks: &[Block]) -> Vec<(String, String)> {
        let mut said = Vec::new();
        for block in blocks {
            if let Kind::File(name) = &block.kind {
                fs::write(self.home(&block.host).join(name), block.lines.join("\n") + "\n").unwrap();
                continue;
            }
            for line in &block.lines {
                match block.kind {
                    Kind::Background => self.start(&block.host, line),
                    _ => said.push((line.clone(), self.type_in(&block.host, line))),
                }
            }
        }
        said
    }
}
