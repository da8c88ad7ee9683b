//! How a keeper gets into office. A locked file says that there is one; a keeper that finds it locked waits, and goes
//! when its node goes. If the one in office keeps another Envoy than this one's node wants, it is told to make room.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::EnvoyError;
use crate::limits::Limits;
use crate::message::{Order, PROTOCOL, Report, Who, encode};
use crate::process::Process;
use crate::spec::Run;

/// What the node that started this keeper wants to be run.
pub(super) fn read_run(link: &UnixStream) -> Result<Run, EnvoyError> {
    let mut line = Vec::new();
    let most = u64::try_from(Limits::MESSAGE).unwrap_or(u64::MAX);
    BufReader::new(link.take(most)).read_until(b'\n', &mut line).map_err(EnvoyError::Keeper)?;
    serde_json::from_slice(&line).map_err(|error| EnvoyError::Keeper(error.into()))
}

/// Waits for the office. `None`: the node has gone, or needs no keeper any more.
pub(super) fn wait(run: &Run, link: &UnixStream) -> Result<Option<Flock<File>>, EnvoyError> {
    let path = run.place.lock();
    let failed = |why: std::io::Error| EnvoyError::File { path: path.clone(), why };
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open.map_err(failed)?;
    let mut offered = Offered::default();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            // The node may have gone at the same time as the keeper that was in office.
            Ok(lock) => return Ok((!gone(link, Duration::ZERO)).then_some(lock)),
            Err((back, nix::errno::Errno::EWOULDBLOCK | nix::errno::Errno::EINTR)) => file = back,
            Err((_, error)) => return Err(failed(error.into())),
        }
        offered.step(run);
        if gone(link, Limits::WAITING_LOOK) {
            return Ok(None);
        }
    }
}

/// Whether the other end was closed, after waiting for it so long.
fn gone(link: &UnixStream, wait: Duration) -> bool {
    let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
    let mut files = [PollFd::new(link.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut files, wait), Ok(ready) if ready > 0)
}

/// What is known of the keeper in office.
#[derive(Default)]
struct Offered {
    /// The one that was spoken to last, since when it has not done what it should, and whether it keeps the same Envoy.
    holder: Option<(Process, Instant, bool)>,
}

impl Offered {
    /// Speaks to the one in office if there is something to say, and ends it if it does not answer.
    fn step(&mut self, run: &Run) {
        // Not there yet, or already gone.
        let Some(holder) = Process::kept(&run.place.keeper_pid()).filter(Process::lives) else { return };
        let (known, since, agreed) = self.holder.take().filter(|(known, ..)| *known == holder).unwrap_or((
            holder,
            Instant::now(),
            false,
        ));
        let agreed = agreed || offer(run) == Some(true);
        if !agreed && since.elapsed() > Limits::KEEPER_PATIENCE {
            // It hangs, or is of a build that does not understand. Envoy goes with it.
            known.end();
        }
        self.holder = Some((known, since, agreed));
    }
}

/// Asks the keeper in office to make room for this one, unless it keeps the very same Envoy; then true.
fn offer(run: &Run) -> Option<bool> {
    let mut stream = UnixStream::connect(run.place.keeper_socket()).ok()?;
    stream.set_read_timeout(Some(Limits::KEEPER_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(Limits::KEEPER_PATIENCE)).ok()?;
    let hello = Order::Hello { protocol: PROTOCOL, who: Who::Keeper, run: Box::new(run.clone()) };
    stream.write_all(&encode(&hello)).ok()?;
    let mut line = Vec::new();
    BufReader::new(stream.take(1_024)).read_until(b'\n', &mut line).ok()?;
    match serde_json::from_slice(&line).ok()? {
        Report::Hello { same } => Some(same),
        _ => None,
    }
}
