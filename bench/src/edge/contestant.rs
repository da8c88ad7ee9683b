//! Programs that forward TCP, ours and others', each as a user would run it: a port in front, the processes behind it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

use crate::Binaries;
use crate::daemon::{Daemon, wait};
use crate::org::Org;
use crate::proc;

use super::load;

/// A process that is none of ours; killed when dropped.
struct Foreign(Child);

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A way through one or two processes.
pub struct Contestant {
    /// As the table shows it.
    pub name: &'static str,
    /// Where clients connect.
    pub port: SocketAddr,
    foreign: Vec<Foreign>,
    ours: Vec<Daemon>,
    /// Must run, but takes no part in what is measured.
    aside: Vec<Daemon>,
    _folder: tempfile::TempDir,
}

impl Contestant {
    fn pids(&self) -> impl Iterator<Item = u32> {
        let foreign = self.foreign.iter().map(|process| process.0.id());
        foreign.chain(self.ours.iter().map(Daemon::pid))
    }

    /// CPU time of all its processes so far, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.pids().map(proc::cpu_seconds).sum()
    }

    /// Anonymous memory of all its processes, in bytes.
    pub fn anonymous(&self) -> Result<f64> {
        self.pids().map(|pid| Ok(proc::memory(pid)?.anonymous)).sum()
    }

    /// The edge of a pair of ours.
    pub fn edge(&self) -> Option<&Daemon> {
        self.ours.first()
    }
}

fn foreign(folder: &Path, program: &Path, args: &[&str]) -> Result<Foreign> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| {
            format!(
                "cannot start {}: install it (apt-get install haproxy nginx libnginx-mod-stream)",
                program.display()
            )
        })?;
    Ok(Foreign(child))
}

fn started(contestant: Contestant) -> Result<Contestant> {
    load::until_forwards(contestant.port).with_context(|| {
        let log = fs::read_to_string(contestant._folder.path().join("log")).unwrap_or_default();
        format!("{}: {log}", contestant.name)
    })?;
    Ok(contestant)
}

/// HAProxy with one thread, in TCP mode; `splice` asks it for splice(2).
pub fn haproxy(target: SocketAddr, splice: bool) -> Result<Contestant> {
    let folder = tempfile::tempdir()?;
    let port = load::free_port()?;
    let option = if splice { "option splice-auto" } else { "" };
    fs::write(
        folder.path().join("haproxy.cfg"),
        format!(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  \
             timeout server 10m\n  {option}\nlisten all\n  bind {port}\n  server one {target}\n"
        ),
    )?;
    let process = foreign(folder.path(), Path::new("haproxy"), &["-db", "-f", "haproxy.cfg"])?;
    let name = if splice { "HAProxy, splice" } else { "HAProxy" };
    started(Contestant {
        name,
        port,
        foreign: vec![process],
        ours: Vec::new(),
        aside: Vec::new(),
        _folder: folder,
    })
}

/// nginx's stream module with one worker.
pub fn nginx(target: SocketAddr) -> Result<Contestant> {
    let folder = tempfile::tempdir()?;
    let port = load::free_port()?;
    // Debian has the stream module in a package of its own; elsewhere it is part of the program.
    let module = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
    let load_module =
        if module.exists() { format!("load_module {};\n", module.display()) } else { String::new() };
    fs::write(
        folder.path().join("nginx.conf"),
        format!(
            "{load_module}daemon off;\nmaster_process off;\nerror_log log warn;\npid nginx.pid;\n\
             worker_rlimit_nofile 8192;\nevents {{ worker_connections 8192; }}\n\
             stream {{ server {{ listen {port}; proxy_pass {target}; proxy_timeout 10m; }} }}\n"
        ),
    )?;
    let path = folder.path().to_string_lossy().into_owned();
    let process =
        foreign(folder.path(), Path::new("nginx"), &["-p", &path, "-c", "nginx.conf", "-e", "log"])?;
    started(Contestant {
        name: "nginx",
        port,
        foreign: vec![process],
        ours: Vec::new(),
        aside: Vec::new(),
        _folder: folder,
    })
}

/// rathole's client and server, joined by its Noise transport.
pub fn rathole(binary: &Path, target: SocketAddr) -> Result<Contestant> {
    let folder = tempfile::tempdir()?;
    let (control, port) = (load::free_port()?, load::free_port()?);
    let keys = Command::new(binary).arg("--genkey").output().context("rathole --genkey")?;
    let keys = String::from_utf8_lossy(&keys.stdout).into_owned();
    let line_after = |title: &str| {
        let mut lines = keys.lines().skip_while(|line| !line.contains(title));
        lines.nth(1).map(str::trim).with_context(|| format!("rathole --genkey told no {title}"))
    };
    let (private, public) = (line_after("Private Key")?, line_after("Public Key")?);
    fs::write(
        folder.path().join("server.toml"),
        format!(
            "[server]\nbind_addr = \"{control}\"\ndefault_token = \"bench\"\n[server.transport]\ntype = \"noise\"\n\
             [server.transport.noise]\nlocal_private_key = \"{private}\"\n[server.services.one]\nbind_addr = \"{port}\"\n\
             nodelay = true\n"
        ),
    )?;
    fs::write(
        folder.path().join("client.toml"),
        format!(
            "[client]\nremote_addr = \"{control}\"\ndefault_token = \"bench\"\n[client.transport]\ntype = \"noise\"\n\
             [client.transport.noise]\nremote_public_key = \"{public}\"\n[client.services.one]\n\
             local_addr = \"{target}\"\nnodelay = true\n"
        ),
    )?;
    let server = foreign(folder.path(), binary, &["--server", "server.toml"])?;
    let client = foreign(folder.path(), binary, &["--client", "client.toml"])?;
    started(Contestant {
        name: "rathole, noise",
        port,
        foreign: vec![server, client],
        ours: Vec::new(),
        aside: Vec::new(),
        _folder: folder,
    })
}

/// Our edge with its cloud node: a service of the edge's own host behind a port of the edge.
pub fn local(binaries: &Binaries, target: SocketAddr) -> Result<Contestant> {
    let offer = json!([{ "name": "bench", "protocol": "tcp", "target": target.to_string() }]);
    let mut pair = pair(binaries, json!([]), offer, "catalyst-edge")?;
    pair.aside = pair.ours.split_off(1);
    started(pair)
}

/// Our edge and our cloud node: a service at the cloud behind a port of the edge.
pub fn tunnel(binaries: &Binaries, target: SocketAddr) -> Result<Contestant> {
    let offer = json!([{ "name": "bench", "protocol": "tcp", "target": target.to_string() }]);
    started(pair(binaries, offer, json!([]), "edge and cloud")?)
}

fn pair(
    binaries: &Binaries,
    at_cloud: serde_json::Value,
    at_edge: serde_json::Value,
    name: &'static str,
) -> Result<Contestant> {
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let port = load::free_port()?;
    let cloud = json!({ "listen": "127.0.0.1:0", "peers": [{ "node": "edge-1" }], "services": at_cloud });
    let cloud = Daemon::start((&binaries.cloud, "up"), &org, "cloud-1", &folder.path().join("cloud"), cloud)?;
    let edge = json!({
        "peers": [{ "node": "cloud-1", "address": cloud.address()?.to_string() }],
        "services": at_edge,
        "expose": [{ "service": "bench.acme.example", "listen": port.to_string() }],
    });
    let edge = Daemon::start((&binaries.edge, "run"), &org, "edge-1", &folder.path().join("edge"), edge)?;
    edge.until_up()?;
    let mut admin = edge.admin()?;
    wait("the route", || {
        let status = admin.status()?;
        Ok(status.expose.iter().any(|row| row.state == "reachable").then_some(()))
    })?;
    Ok(Contestant {
        name,
        port,
        foreign: Vec::new(),
        ours: vec![edge, cloud],
        aside: Vec::new(),
        _folder: folder,
    })
}
