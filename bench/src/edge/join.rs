//! Many boards at once: each joins by its one-time token and connects, at one cloud node that holds the root.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::Binaries;
use crate::daemon::{Daemon, wait};
use crate::proc;
use crate::report::{Bar, Report};

use super::load;

const EDGES: usize = 500;
/// So many boards are unpacked at the same time.
const AT_ONCE: usize = 16;

/// Killed when dropped.
struct Board(Child);

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn say(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A cloud node with the organisation's root.
fn authority(binaries: &Binaries, folder: &Path) -> Result<Daemon> {
    let (root, home) = (folder.join("root"), folder.join("cloud"));
    fs::create_dir_all(&home)?;
    let catalyst = || Command::new(&binaries.cloud);
    say(catalyst().args(["org", "init", "acme.example", "--dir"]).arg(&root))?;
    let csr = ["node", "csr", "--org", "acme.example", "--node", "cloud-1", "--dir"];
    say(catalyst().args(csr).arg(&home))?;
    say(catalyst().args(["org", "sign"]).arg(home.join("cloud-1.csr")).arg("--dir").arg(&root))?;
    let bundle = "acme.example.bundle.pem";
    fs::copy(root.join(bundle), home.join(bundle))?;
    let address = load::free_port()?.to_string();
    let config = json!({
        "version": 1, "org": "acme.example", "node": "cloud-1", "listen": address, "log": "warn",
        "state_dir": home.join("state"), "admin": { "socket": home.join("admin.sock") },
        "authority": { "root": root, "address": address },
    });
    fs::write(home.join("catalyst.json"), config.to_string())?;
    Daemon::start_again((&binaries.cloud, "up"), &home)
}

/// One board: joins, and runs.
fn board(binaries: &Binaries, home: &Path, token: &str) -> Result<Board> {
    fs::create_dir_all(home)?;
    let config = home.join("catalyst.json");
    let log = File::create(home.join("log"))?;
    let edge = |verb: &str| {
        let mut command = Command::new(&binaries.edge);
        command.arg(verb).arg("-c").arg(&config).stdout(Stdio::null()).current_dir(home);
        command
    };
    let mut joining = edge("join").arg("-").stdin(Stdio::piped()).stderr(log.try_clone()?).spawn()?;
    joining.stdin.take().context("no input")?.write_all(token.as_bytes())?;
    if !joining.wait()?.success() {
        bail!("{}: {}", home.display(), fs::read_to_string(home.join("log"))?);
    }
    Ok(Board(edge("run").stdin(Stdio::null()).stderr(log).spawn()?))
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = authority(binaries, folder.path())?;
    let name = |n: usize| format!("edge-{n}");
    let config = folder.path().join("cloud/catalyst.json");
    let mut tokens = Vec::with_capacity(EDGES);
    for n in 0..EDGES {
        let mut invite = Command::new(&binaries.cloud);
        tokens.push(say(invite.args(["node", "invite", &name(n), "-c"]).arg(&config))?);
    }

    let cpu = proc::cpu_seconds(cloud.pid())?;
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let worker = || -> Vec<Result<Board>> {
        let mut boards = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(token) = tokens.get(n) else { return boards };
            boards.push(board(binaries, &folder.path().join(name(n)), token));
        }
    };
    let boards: Vec<Result<Board>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    let joined = begin.elapsed();
    let failures: Vec<String> =
        boards.iter().filter_map(|board| board.as_ref().err().map(ToString::to_string)).collect();
    failures.iter().take(3).for_each(|failure| eprintln!("  failed: {failure}"));
    let mut admin = cloud.admin()?;
    let wanted = EDGES - failures.len();
    let up = wait("every board's session", || {
        let up = admin.status()?.peers.iter().filter(|peer| peer.state == "up").count();
        // Asking is work for the node too.
        thread::sleep(Duration::from_millis(50));
        Ok((up >= wanted).then(|| begin.elapsed()))
    })?;
    let what = format!("{EDGES} edges join by token");
    report.add(format!("{what}: the last has its certificate"), joined.as_secs_f64(), "s", Bar::None);
    report.add(format!("{what}: the last session is up"), up.as_secs_f64(), "s", Bar::AtMost(60.0));
    report.add(format!("{what}: failures"), failures.len() as f64, "", Bar::AtMost(0.0));
    report.add(
        format!("{what}: CPU of the cloud node"),
        proc::cpu_seconds(cloud.pid())? - cpu,
        "s",
        Bar::None,
    );
    Ok(())
}
