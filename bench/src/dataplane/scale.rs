//! 10,000 services and 1,000 grants: how long they take to load, what the server itself takes, and how long one change
//! takes then. The server is a process of its own, which holds the planner, the publisher and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use catalyst_names::{NodeName, Protocol};

use crate::Binaries;
use crate::org::Org;
use crate::proc;
use crate::report::{Bar, Report, quantile, sorted};

use super::node::{Home, local, nth, publish, settled};
use super::web::{Client, service};

/// The first argument of the process that is the server.
pub const SERVER: &str = "dataplane-server";

const SERVICES: usize = 10_000;
const GRANTS: usize = 1_000;
/// Changes of each sort.
const CHANGES: usize = 30;

/// The server's process; killed when dropped.
struct Server {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Server {
    fn start(folder: &Path) -> Result<(Server, SocketAddr)> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVER)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let to = child.stdin.take().context("no input")?;
        let from = BufReader::new(child.stdout.take().context("no output")?);
        let mut server = Server { child, to, from };
        let ingress = server.answer()?.parse()?;
        Ok((server, ingress))
    }

    fn tell(&mut self, command: &str) -> Result<()> {
        Ok(writeln!(self.to, "{command}")?)
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            bail!("the server ended");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Says something and waits until Envoy has it.
    fn done(&mut self, command: &str) -> Result<()> {
        self.tell(command)?;
        match self.answer()?.as_str() {
            "done" => Ok(()),
            other => bail!("{command}: {other}"),
        }
    }

    fn memory(&self) -> Result<proc::Memory> {
        proc::memory(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server: obeys one line after the other and answers each with a line.
pub fn server(folder: &Path) -> Result<ExitCode> {
    let runtime = super::runtime()?;
    let org = Org::new()?;
    let home = Home::new(folder, "a.acme.example".parse()?)?;
    let foreign: NodeName = "c.globex.example".parse()?;
    let mut planner = home.planner(&org, &[&org])?;
    let publisher = publish(&runtime, &home)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", home.ingress)?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let mut wait = true;
        match words.as_slice() {
            ["services", count, at] => {
                for n in 0..count.parse()? {
                    local(&mut planner, &nth(n)?, Protocol::Http, at.parse()?);
                    publisher.apply(planner.drain())?;
                }
                wait = false;
            }
            ["open"] => publisher.open(),
            ["endpoint", n, at] => planner.set_target(&nth(n.parse()?)?, Some(vec![at.parse()?])),
            ["new", n, at] => local(&mut planner, &nth(n.parse()?)?, Protocol::Http, at.parse()?),
            ["grants", count] => {
                for n in 0..count.parse()? {
                    planner.set_grant(&foreign, &nth(n)?, true);
                }
            }
            ["withdraw", n] => planner.set_grant(&foreign, &nth(n.parse()?)?, false),
            _ => bail!("`{line}` is no command"),
        }
        publisher.apply(planner.drain())?;
        if wait {
            settled(&runtime, &publisher)?;
        }
        writeln!(out, "done")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let words = ["one", "two"];
    let at = [service(words[0])?, service(words[1])?];
    let home = folder.path();
    let (mut server, ingress) = Server::start(home)?;
    server.done(&format!("services {SERVICES} {}", at[0]))?;
    let envoy = super::node::envoy_of(home, &binaries.envoy)?;
    // Envoy has started and waits for its configuration.
    crate::daemon::wait("Envoy", || Ok(envoy.admin("/memory").ok()))?;
    let empty = envoy.allocated()?;
    let mut client = Client::new(ingress);
    let start = Instant::now();
    server.tell("open")?;
    let opened = server.answer()?;
    if opened != "done" {
        bail!("{opened}: {}", envoy.log());
    }
    let last = nth(SERVICES - 1)?;
    let loaded = client.until(last.as_str(), words[0], start)?;
    report.add(
        "10,000 services: open -> settled, the last one answers",
        loaded.as_secs_f64(),
        "s",
        Bar::AtMost(10.0),
    );
    let memory = server.memory()?;
    report.add(
        "10,000 services: RSS of planner, publisher and server",
        memory.resident / 1e6,
        "MB",
        Bar::AtMost(60.0),
    );
    report.add("  of it anonymous", memory.anonymous / 1e6, "MB", Bar::None);
    report.add(
        "  Envoy: heap a service",
        (envoy.allocated()? - empty) / SERVICES as f64 / 1e3,
        "kB",
        Bar::None,
    );

    let (mut endpoints, mut new) = (Vec::new(), Vec::new());
    for n in 0..CHANGES {
        let name = nth(n * 300)?;
        client.until(name.as_str(), words[0], Instant::now())?;
        let start = Instant::now();
        server.tell(&format!("endpoint {} {}", n * 300, at[1]))?;
        endpoints.push(client.until(name.as_str(), words[1], start)?.as_secs_f64() * 1e3);
        server.answer()?;
        let name = nth(SERVICES + n)?;
        let start = Instant::now();
        server.tell(&format!("new {} {}", SERVICES + n, at[0]))?;
        new.push(client.until(name.as_str(), words[0], start)?.as_secs_f64() * 1e3);
        server.answer()?;
    }
    for (what, samples) in [("endpoint change", endpoints), ("new host", new)] {
        let samples = sorted(samples);
        let what = format!("{what} of 10,000 services -> served");
        report.add(format!("{what}, median of {CHANGES}"), quantile(&samples, 0.5), "ms", Bar::AtMost(60.0));
        report.add(format!("{what}, slowest"), quantile(&samples, 1.0), "ms", Bar::None);
    }

    let before = envoy.allocated()?;
    let start = Instant::now();
    server.done(&format!("grants {GRANTS}"))?;
    report.add("1,000 grants -> Envoy has them", start.elapsed().as_secs_f64(), "s", Bar::AtMost(2.0));
    let each = (envoy.allocated()? - before) / GRANTS as f64;
    report.add("Envoy: heap a grant", each / 1e3, "kB", Bar::AtMost(100.0));
    let mut withdrawn = Vec::new();
    for n in 0..CHANGES {
        let start = Instant::now();
        server.done(&format!("withdraw {}", n * 30))?;
        withdrawn.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let what = format!("grant withdrawn -> Envoy has answered, median of {CHANGES}");
    report.add(what, quantile(&sorted(withdrawn), 0.5), "ms", Bar::None);
    let memory = server.memory()?;
    report.add("10,000 services, 1,000 grants: RSS of the server", memory.resident / 1e6, "MB", Bar::None);
    Ok(())
}
