//! The task that runs the policy: reports and results in, orders and checks out.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};
use catalyst_config::is_plain;
use catalyst_services::{
    Action, Id, Inbox, Limits as Rules, Local, Message, Policy, Report, Spec, Supervisor,
};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tracing::{info, warn};

use super::probe::probe;
use super::{Board, Launched, Target, row};
use crate::adopt::{sleep_until, spawn, timeout};
use crate::caller::Caller;
use crate::clock::Clocks;
use crate::denied::Denied;
use crate::limits::Limits;
use crate::serve::{Ask, Asked};
use crate::shell::Shell;

/// What the task is told.
pub(super) enum Tell {
    /// By the supervisor.
    Report(Report),
    /// The supervisor has ended.
    Lost,
    /// By a check.
    Probed(Id, Result<(), String>),
    /// Something stands on the board.
    Look,
    /// The node stops.
    Stop,
}

pub(super) struct Task<Sh: Shell> {
    pub(super) shell: Arc<Sh>,
    pub(super) clocks: Clocks,
    pub(super) denied: Arc<Denied>,
    pub(super) policy: Policy,
    pub(super) targets: Arc<[Target]>,
    pub(super) board: Arc<Board>,
    pub(super) engine: Sender<Asked>,
    pub(super) tell: Sender<Tell>,
    pub(super) told: Receiver<Tell>,
    pub(super) supervisor: Option<(Supervisor, WriteHalf<Sh::Unix>)>,
    pub(super) spare: Option<Box<Launched>>,
    /// Set when the node stops: until when that may take.
    pub(super) stop_by: Option<Instant>,
}

impl<Sh: Shell> Task<Sh> {
    /// Runs until a stop, and until nothing is left after it.
    pub(super) async fn run(mut self, launched: Option<Launched>) {
        if let Some(launched) = launched {
            self.adopt(launched);
        }
        self.policy.start(self.now());
        loop {
            self.carry_out().await;
            if self.stop_by.is_some_and(|by| self.policy.is_idle() || Instant::now() >= by) {
                break;
            }
            match self.next().await {
                Some(Tell::Stop) => self.stop(),
                Some(tell) => self.hear(tell).await,
                None => self.policy.tick(self.now()),
            }
        }
        self.dismiss().await;
    }

    fn now(&self) -> u64 {
        self.clocks.now().mono
    }

    /// What it is told next; nothing when something is due by itself.
    async fn next(&self) -> Option<Tell> {
        let due = self
            .policy
            .deadline()
            .map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(self.now())));
        let far = Instant::now() + Duration::from_secs(3_600);
        let until = due.into_iter().chain(self.stop_by).min().unwrap_or(far);
        let wait = until.saturating_duration_since(Instant::now());
        // Its own sender keeps the channel open.
        timeout(&*self.shell, wait, self.told.recv()).await?.ok()
    }

    async fn hear(&mut self, tell: Tell) {
        let now = self.now();
        match tell {
            Tell::Report(report) => self.policy.report(&report, now),
            Tell::Probed(id, result) => self.policy.probed(id, result, now),
            Tell::Lost => self.lost().await,
            Tell::Look => {
                let released = std::mem::take(&mut self.board.lock().released);
                for label in released {
                    if let Some(id) = self.targets.iter().position(|t| t.label == label) {
                        self.policy.remove(Id::try_from(id).unwrap_or(Id::MAX), now);
                    }
                }
            }
            Tell::Stop => {}
        }
        self.policy.tick(now);
    }

    fn stop(&mut self) {
        let longest = self.policy.services().iter().filter_map(|s| s.spec().run.as_ref().map(|r| r.grace_ms));
        let grace = Duration::from_millis(longest.max().unwrap_or(0).into());
        self.stop_by = Some(Instant::now() + grace + Rules::KILL_PATIENCE + Limits::STOP_SLACK);
        self.policy.stop();
    }

    async fn carry_out(&mut self) {
        for action in self.policy.actions() {
            match action {
                Action::Order(order) => {
                    if let Some((_, link)) = &mut self.supervisor {
                        // The end of the supervisor is heard of by the reader.
                        let _ = link.write_all(&order.encode()).await;
                    }
                }
                Action::Probe(id) => {
                    let (shell, targets, tell, denied) =
                        (self.shell.clone(), self.targets.clone(), self.tell.clone(), self.denied.clone());
                    spawn(&*self.shell, async move {
                        let Some(target) = targets.get(usize::from(id)) else { return };
                        let result = probe(&*shell, target, &denied).await;
                        let _ = tell.send(Tell::Probed(id, result)).await;
                    });
                }
                Action::Health(id, healthy) => {
                    let Some(target) = self.targets.get(usize::from(id)) else { continue };
                    // A service that was removed or replaced is not the task's to judge; nor is anything at the end.
                    if self.stop_by.is_none() && self.board.manages(&target.label) {
                        let ask = Ask::Health(target.label.clone(), healthy);
                        let _ = self
                            .engine
                            .send(Asked { ask, reply: bounded(1).0, caller: Caller::default() })
                            .await;
                    }
                }
                Action::Say(id, bad, text) => {
                    let Some(target) = self.targets.get(usize::from(id)) else { continue };
                    say(bad, &target.label, &text);
                }
            }
        }
        let mut state = self.board.lock();
        for (target, local) in self.targets.iter().zip(self.policy.services()) {
            if let Some((_, shown)) = state.rows.iter_mut().find(|(label, _)| *label == target.label) {
                *shown = row(local);
            }
        }
    }

    /// Takes a supervisor into service.
    fn adopt(&mut self, launched: Launched) {
        self.spare = launched.spare;
        match self.shell.unix(launched.link) {
            Ok(link) => {
                let (reader, writer) = futures_lite::io::split(link);
                spawn(&*self.shell, read::<Sh>(reader, self.targets.clone(), self.tell.clone()));
                self.supervisor = Some((launched.supervisor, writer));
            }
            Err(error) => say(true, &SUPERVISOR, &format!("it cannot be spoken to: {error}")),
        }
    }

    /// The supervisor has ended, by itself or by somebody's hand. What it ran is ended by the kernel, what those had
    /// started by the node. A new one is started, if the node has not given up the right to.
    async fn lost(&mut self) {
        let Some((mut supervisor, _)) = self.supervisor.take() else { return };
        say(true, &SUPERVISOR, &format!("{}, and they with it", Policy::LOST));
        self.sweep(&mut supervisor).await;
        self.policy.lost(self.now());
        if self.stop_by.is_some() {
            return;
        }
        sleep_until(&*self.shell, Instant::now() + Limits::RELAUNCH).await;
        let programs = || {
            let specs = self.policy.services().iter().map(Local::spec);
            specs.flat_map(Spec::programs).cloned().collect::<Vec<_>>()
        };
        match self.spare.take().map_or_else(|| Launched::new(&programs(), None), |spare| Ok(*spare)) {
            Ok(launched) => {
                say(false, &SUPERVISOR, "a new process runs local services");
                self.adopt(launched);
                self.policy.start(self.now());
            }
            Err(error) => {
                let text = format!("local services stay down until the node is started again: {error}");
                say(true, &SUPERVISOR, &text);
            }
        }
    }

    async fn sweep(&self, supervisor: &mut Supervisor) {
        let until = Instant::now() + Rules::KILL_PATIENCE;
        while !supervisor.sweep(self.spare.as_deref().map(|s| &s.supervisor)) && Instant::now() < until {
            sleep_until(&*self.shell, Instant::now() + Rules::LOOK).await;
        }
    }

    /// Tells the supervisor that the node goes, and sees it off.
    async fn dismiss(&mut self) {
        let Some((mut supervisor, mut link)) = self.supervisor.take() else { return };
        let _ = link.close().await;
        // It has nothing to do, and goes with its socket.
        self.spare = None;
        let lost = async { while !matches!(self.told.recv().await, Ok(Tell::Lost) | Err(_)) {} };
        let patience = Rules::ORPHAN_GRACE + Rules::KILL_PATIENCE;
        if timeout(&*self.shell, patience, lost).await.is_none() {
            say(true, &SUPERVISOR, "it does not end; it is killed");
        }
        self.sweep(&mut supervisor).await;
    }
}

/// Reads what the supervisor says, for as long as it speaks.
async fn read<Sh: Shell>(link: ReadHalf<Sh::Unix>, targets: Arc<[Target]>, tell: Sender<Tell>) {
    if let Err(error) = read_all::<Sh>(link, &targets, &tell).await {
        say(true, &SUPERVISOR, &format!("it cannot be heard: {error}"));
    }
    let _ = tell.send(Tell::Lost).await;
}

async fn read_all<Sh: Shell>(
    mut link: ReadHalf<Sh::Unix>,
    targets: &[Target],
    tell: &Sender<Tell>,
) -> io::Result<()> {
    let mut inbox = Inbox::default();
    let mut some = [0; 2_048];
    loop {
        let got = link.read(&mut some).await?;
        if got == 0 {
            return Ok(());
        }
        inbox.extend(some.get(..got).unwrap_or_default());
        while let Some(report) = inbox.message::<Report>().map_err(io::Error::other)? {
            match report {
                Report::Line { id, line } => {
                    if let Some(target) = targets.get(usize::from(id)) {
                        say(false, &target.label, &format!("| {}", printable(&line)));
                    }
                }
                Report::Dropped { id, lines } => {
                    if let Some(target) = targets.get(usize::from(id)) {
                        say(
                            true,
                            &target.label,
                            &format!("{lines} lines were left out: it wrote more than is logged"),
                        );
                    }
                }
                report => drop(tell.send(Tell::Report(report)).await),
            }
        }
    }
}

/// In the log's lines about the supervisor, where the name of a service stands else.
const SUPERVISOR: &str = "supervisor";

/// A line of the log; `bad` if a person should look at it.
fn say(bad: bool, service: &dyn Display, text: &str) {
    if bad {
        warn!(%service, "{text}");
    } else {
        info!(%service, "{text}");
    }
}

/// The line without what a terminal would obey.
fn printable(line: &[u8]) -> String {
    let shown = |c: char| if is_plain(c) || c == '\t' { c } else { '\u{fffd}' };
    String::from_utf8_lossy(line).chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_steer_a_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\tc\xff\xe2\x80\xae"), "a\u{fffd}[2Jb\tc\u{fffd}\u{fffd}");
    }
}
