//! BIRD 2 between two sessions on loopback, as a process of this user that reads one file and touches nothing else.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::bgp::Speaker;
use super::seen::Watch;
use crate::daemon::wait;

const SOURCE: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 2), 65_001);
const SINK: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 3), 65_002);

/// A running BIRD; killed when dropped.
pub struct Bird {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

fn config(port: u16) -> String {
    // The next hop of the injector is found through the static route: what the kernel could do with it is not measured.
    format!(
        "router id 10.0.0.1;\nlog stderr {{ fatal, error }};\n\
         protocol device {{ }}\n\
         protocol static hops {{ ipv4; route 127.0.0.0/8 blackhole; }}\n\
         template bgp neighbour {{\n\
           local 127.0.0.1 port {port} as 65000; multihop; passive yes; strict bind yes;\n\
           ipv4 {{ import all; export where source = RTS_BGP; next hop self; }};\n\
         }}\n\
         protocol bgp before from neighbour {{ neighbor {} as {}; }}\n\
         protocol bgp behind from neighbour {{ neighbor {} as {}; }}\n",
        SOURCE.0, SOURCE.1, SINK.0, SINK.1,
    )
}

impl Bird {
    /// Starts the binary; its libraries may lie beside it, where it was unpacked.
    pub fn start(binary: &Path) -> Result<Bird> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::write(folder.path().join("bird.conf"), config(port))?;
        let beside = binary.ancestors().nth(2).map(|usr| usr.join("lib/x86_64-linux-gnu"));
        let child = Command::new(binary)
            .arg("-f")
            .arg("-c")
            .arg(folder.path().join("bird.conf"))
            .arg("-s")
            .arg(folder.path().join("bird.ctl"))
            .arg("-P")
            .arg(folder.path().join("bird.pid"))
            .envs(beside.filter(|lib| lib.is_dir()).map(|lib| ("LD_LIBRARY_PATH", lib)))
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Bird { child, address, _folder: folder })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The two sessions: who injects, and who shows `watch` what comes out.
    pub fn speakers(&self, watch: Watch) -> Result<(Speaker, Speaker)> {
        // It turns away who comes before it is ready for its neighbours.
        let up = |(from, number)| {
            wait("BIRD to take a session", || Ok(Speaker::connect(from, number, self.address).ok()))
        };
        let mut pair = (up(SOURCE)?, up(SINK)?);
        pair.0.listen(Box::new(|_| ()))?;
        pair.1.listen(watch)?;
        Ok(pair)
    }
}

impl Drop for Bird {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
