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

const PATIENCE: Duration = Duration::from_secs(15);

/// A block of the guide.
#[derive(Debug)]
pub struct Block {
    pub host: String,
    background: bool,
    lines: Vec<String>,
}

/// The blocks of a section that name a machine.
pub fn blocks(section: &str) -> Vec<Block> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide.md")).unwrap();
    let section = text.split("\n## ").find(|s| s.starts_with(section)).expect("the section is there");
    let mut found = Vec::new();
    let mut inside: Option<Block> = None;
    for line in section.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let words: Vec<&str> = info.split(' ').collect();
                let [_, host, more @ ..] = &words[..] else { panic!("a block for nobody: {line}") };
                inside =
                    Some(Block { host: (*host).into(), background: *more == ["background"], lines: vec![] });
            }
            (Some(_), Some(_)) => found.extend(inside.take()),
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
    running: Vec<Process>,
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
            wait::until(&format!("'ready' of {line}"), PATIENCE, || {
                assert!(process.ended().is_none(), "{host}: {line} has ended: {}", tail(&log, 20));
                tail(&log, 100).contains("ready;").then_some(())
            });
        }
        self.running.push(process);
    }

    /// Types a line and expects that it succeeds. What asks for the first byte may be typed again: a person is slower.
    fn type_in(&self, host: &str, line: &str) -> String {
        let limit = if line.starts_with("curl") { PATIENCE } else { Duration::ZERO };
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
            for line in &block.lines {
                if block.background {
                    self.start(&block.host, line);
                } else {
                    said.push((line.clone(), self.type_in(&block.host, line)));
                }
            }
        }
        said
    }
}
