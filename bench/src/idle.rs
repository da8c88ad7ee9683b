//! The real edge binary with one peer: its size, and its memory while nothing happens.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::Binaries;
use crate::daemon::{Daemon, wait};
use crate::org::Org;
use crate::proc;
use crate::report::{Bar, Report};

/// So long nothing happens before memory is read.
const QUIET: Duration = Duration::from_secs(10);

fn add(report: &mut Report, what: &str, edge: &Daemon) -> Result<()> {
    let memory = proc::memory(edge.pid())?;
    report.add(format!("edge, {what}: RssAnon"), memory.anonymous / 1e6, "MB", Bar::AtMost(1.0));
    report.add(format!("edge, {what}: RSS"), memory.resident / 1e6, "MB", Bar::AtMost(8.0));
    report.add(format!("edge, {what}: threads"), memory.threads, "", Bar::None);
    Ok(())
}

/// A service that answers what it is told.
fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut buf = [0; 4096];
            while let Ok(read @ 1..) = client.read(&mut buf) {
                if client.write_all(buf.get(..read).unwrap_or_default()).is_err() {
                    break;
                }
            }
        }
    });
    Ok(address)
}

/// One flow through the fabric and back.
fn flow(exposed: SocketAddr) -> Result<()> {
    let mut client = TcpStream::connect(exposed)?;
    client.write_all(b"there and back")?;
    let mut answer = [0; 14];
    client.read_exact(&mut answer).context("no answer through the exposed port")?;
    Ok(())
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let size = fs::metadata(&binaries.edge)?.len() as f64 / 1e6;
    report.add("edge binary, stripped", size, "MB", Bar::AtMost(4.0));

    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let cloud = json!({
        "listen": "127.0.0.1:0",
        "peers": [{ "node": "edge-1" }],
        "services": [{ "name": "echo", "protocol": "tcp", "target": echo()?.to_string() }],
    });
    let cloud = Daemon::start((&binaries.cloud, "up"), &org, "cloud-1", &folder.path().join("cloud"), cloud)?;
    let edge = json!({
        "peers": [{ "node": "cloud-1", "address": cloud.address()?.to_string() }],
        "expose": [{ "service": "echo.acme.example", "listen": "127.0.0.1:0" }],
    });
    let edge = Daemon::start((&binaries.edge, "run"), &org, "edge-1", &folder.path().join("edge"), edge)?;
    edge.until_up()?;
    std::thread::sleep(QUIET);
    add(report, "idle with one peer", &edge)?;

    let mut admin = edge.admin()?;
    let exposed = wait("the route", || {
        let status = admin.status()?;
        let row = status.expose.into_iter().find(|row| row.state == "reachable");
        Ok(row.map(|row| row.listen.parse::<SocketAddr>()).transpose()?)
    })?;
    drop(admin);
    flow(exposed)?;
    std::thread::sleep(QUIET);
    add(report, "idle after one flow, data connection open", &edge)
}
