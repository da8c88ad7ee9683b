//! The two walks of `docs/guide.md`, typed from its own text: each block on its machine, in namespaces.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use catalyst_e2e::process::{Process, Programs, both, output, tail};
use catalyst_e2e::wait;
use catalyst_e2e::world::World;

const PATIENCE: Duration = Duration::from_secs(15);

/// A block of the guide.
#[derive(Debug)]
struct Block {
    host: String,
    background: bool,
    lines: Vec<String>,
}

/// The blocks of a section that name a machine.
fn blocks(section: &str) -> Vec<Block> {
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
struct Walk {
    dir: tempfile::TempDir,
    world: World,
    hosts: BTreeMap<String, usize>,
    running: Vec<Process>,
}

impl Walk {
    fn new() -> Walk {
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

    fn host(&mut self, name: &str) -> usize {
        fs::create_dir(self.home(name)).unwrap();
        let host = self.world.host(name);
        self.hosts.insert(name.to_string(), host);
        host
    }

    fn home(&self, host: &str) -> PathBuf {
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
    fn walk(&mut self, blocks: &[Block]) -> Vec<(String, String)> {
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

/// What the first line that begins so has said.
fn said<'a>(all: &'a [(String, String)], start: &str) -> &'a str {
    &all.iter().find(|(line, _)| line.starts_with(start)).expect("the line was typed").1
}

fn page(home: &Path) {
    fs::write(home.join("index.html"), "the first byte\n").unwrap();
}

#[test]
fn my_laptop_and_my_pi_behind_a_router() {
    let mut walk = Walk::new();
    let (laptop, router, pi) = (walk.host("laptop"), walk.host("router"), walk.host("pi"));
    walk.world.wire((laptop, "10.1.0.1"), (router, "10.1.0.254"));
    walk.world.wire((router, "10.2.0.254"), (pi, "10.2.0.1"));
    walk.world.run(pi, "ip route add default via 10.2.0.254");
    walk.world.nat(router, "10.2.0.0/24");
    walk.world.name("laptop.home.example", "10.1.0.1");
    page(&walk.home("pi"));
    let all = walk.walk(&blocks("My laptop and my Pi"));
    assert_eq!(said(&all, "curl"), "the first byte\n");
    let status = said(&all, "catalyst status");
    assert!(status.contains("pi.home.example") && status.contains("web.home.example"), "{status}");
    // The router hides the Pi: nobody dialled it, and nobody could.
    assert!(
        output(walk.world.command(laptop).args(["ip", "route", "get", "10.2.0.1"])).status.code() != Some(0)
    );
    let open = walk.world.run(pi, "cat /proc/net/tcp | awk '$4 == \"0A\" {print $2}'");
    let reachable: Vec<&str> = open.lines().filter(|l| !l.starts_with("0100007F")).collect();
    assert!(reachable.is_empty(), "listens where others could dial: {reachable:?}");
    // Revoked at the end of the walk: the page is gone.
    let limit = Duration::from_secs(10);
    walk.world.until(laptop, "! curl -fsS -m 2 http://127.0.0.1:9001/", limit);
}

#[test]
fn my_company_and_theirs() {
    let mut walk = Walk::new();
    let (acme, globex) = (walk.host("acme"), walk.host("globex"));
    walk.world.wire((acme, "10.3.0.1"), (globex, "10.3.0.2"));
    walk.world.name("gateway.acme.example", "10.3.0.1");
    walk.world.name("gateway.globex.example", "10.3.0.2");
    page(&walk.home("acme"));
    let all = walk.walk(&blocks("My company and theirs"));
    assert_eq!(said(&all, "curl"), "the first byte\n");
    let why = said(&all, "catalyst export why");
    let row = |service: &str| why.lines().find(|l| l.starts_with(service)).unwrap_or_default().to_string();
    assert!(row("orders.acme.example").ends_with("yes"), "{why}");
    assert!(row("payroll.acme.example").contains("not exported"), "{why}");
}
