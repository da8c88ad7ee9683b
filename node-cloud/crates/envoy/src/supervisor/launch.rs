//! The keepers as processes of this one.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use catalyst_services::Apart;

use crate::error::EnvoyError;
use crate::keeper::KEEP;
use crate::limits::Limits;
use crate::line::printable;
use crate::message::encode;
use crate::spec::{EnvoySpec, Run};

/// Keepers that were started: [`crate::Supervisor::start`] goes on from here.
#[derive(Debug)]
pub struct Launched {
    pub(super) run: Run,
    keepers: Vec<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    child: Child,
    link: UnixStream,
    /// For who cleans up after services.
    _apart: Apart,
}

/// Starts the keepers, which find the Envoy that a node before this one left, or start one. To be called before the node
/// enters its sandbox: inside it nothing can be executed, and what it starts could not bind its ports. Those that the
/// main function must hand over to [`crate::entry`] are runs of this same program.
///
/// # Errors
/// The folder cannot be made, its path is too long, or the system starts no process.
pub fn launch(spec: &EnvoySpec) -> Result<Launched, EnvoyError> {
    spec.place.make()?;
    let mut launched = Launched { run: spec.run()?, keepers: Vec::new() };
    launched.start()?;
    Ok(launched)
}

impl Launched {
    /// The processes of the keepers that were started.
    #[must_use]
    pub fn keepers(&self) -> Vec<u32> {
        self.keepers.iter().map(|keeper| keeper.child.id()).collect()
    }

    /// Starts keepers until there are enough of them.
    pub(super) fn start(&mut self) -> Result<(), EnvoyError> {
        while self.keepers.len() < Limits::KEEPERS {
            self.keepers.push(Keeper::start(&self.run).map_err(EnvoyError::Keeper)?);
        }
        Ok(())
    }

    /// Sees off those that have ended. Returns why, if one of them said so.
    pub(super) fn reap(&mut self) -> Option<String> {
        let mut why = None;
        self.keepers.retain_mut(|keeper| {
            let ended = !matches!(keeper.child.try_wait(), Ok(None));
            if ended {
                why = keeper.why().or(why.take());
            }
            !ended
        });
        why
    }

    /// Whether none that was started is left.
    pub(super) fn is_empty(&self) -> bool {
        self.keepers.is_empty()
    }

    /// Lets those in waiting go; the one in office does not mind.
    pub(super) fn release(&mut self) {
        for keeper in &self.keepers {
            let _ = keeper.link.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Kills those that are left.
    pub(super) fn kill(&mut self) {
        for keeper in &mut self.keepers {
            let _ = keeper.child.kill();
        }
    }
}

impl Keeper {
    fn start(run: &Run) -> std::io::Result<Self> {
        let (mut link, its) = UnixStream::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("catalyst").arg(KEEP);
        // What it cannot say to its node, it says to nobody: a terminal or pipe of a node that was killed is not held
        // open by it.
        command.stdin(OwnedFd::from(its)).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        let apart = Apart::new(child.id());
        drop(command);
        link.write_all(&encode(run))?;
        link.set_nonblocking(true)?;
        Ok(Keeper { child, link, _apart: apart })
    }

    /// What it said before it ended.
    fn why(&mut self) -> Option<String> {
        let mut said = Vec::new();
        let mut some = [0; 256];
        while said.len() < Limits::KEEPER_WHY {
            match self.link.read(&mut some) {
                Ok(0) => break,
                Ok(got) => said.extend_from_slice(some.get(..got).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        (!said.is_empty()).then(|| printable(&String::from_utf8_lossy(&said)))
    }
}
