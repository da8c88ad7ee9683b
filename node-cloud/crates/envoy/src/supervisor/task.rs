//! What the node does about its Envoy: reaches the keeper in office, follows what it reports, sees to it that there is
//! one, and in the end tells it to stop.

use std::pin::pin;
use std::time::SystemTime;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::launch::Launched;
use super::link::Link;
use super::{Ended, State};
use crate::admin::Admin;
use crate::find::Version;
use crate::limits::Limits;
use crate::line::{Level, LogLine};
use crate::message::{Now, Order, Report};
use crate::process::Process;

pub(super) struct Task {
    launched: Launched,
    state: watch::Sender<State>,
    log: Box<dyn FnMut(LogLine) + Send>,
    /// The Envoy that was heard of last.
    pid: Option<u32>,
}

/// A process that runs but was not asked for its version yet.
struct Up {
    pid: u32,
    since: SystemTime,
    restarts: u64,
}

impl Task {
    pub(super) fn new(
        launched: Launched,
        state: watch::Sender<State>,
        log: Box<dyn FnMut(LogLine) + Send>,
    ) -> Self {
        Task { launched, state, log, pid: None }
    }

    pub(super) async fn run(mut self, stop: oneshot::Receiver<()>) -> Ended {
        let mut stop = pin!(stop);
        loop {
            let link = tokio::select! {
                link = self.reach() => link,
                // A handle that is dropped orders nothing.
                Ok(()) = &mut stop => return self.stop(None).await,
            };
            let mut link = link;
            let mut up: Option<Up> = None;
            loop {
                let asked = version(&self.launched, up.as_ref());
                tokio::select! {
                    report = link.next() => match report {
                        Ok(report) => self.take(report, &mut up),
                        Err(_) => break,
                    },
                    version = asked => if let Some(Up { pid, since, restarts }) = up.take() {
                        self.state.send_replace(State::Running { pid, since, restarts, version });
                    },
                    Ok(()) = &mut stop => return self.stop(Some(link)).await,
                }
            }
            self.say(Level::Warn, "the process that keeps Envoy has gone; another takes over");
            self.state.send_replace(State::Starting);
        }
    }

    /// Reaches the keeper in office, however long it takes; starts keepers when none is left.
    async fn reach(&mut self) -> Link {
        let begun = Instant::now();
        let mut started = begun;
        let mut said: Option<String> = None;
        loop {
            let open = timeout(Limits::KEEPER_PATIENCE, Link::open(&self.launched.run)).await;
            self.reap_envoy();
            said = self.launched.reap().or(said);
            let problem = match open {
                Ok(Ok(Some(link))) => {
                    // In place of one that died. A node in its sandbox can start none; then this one is the last.
                    let _ = self.launched.start();
                    return link;
                }
                Ok(Ok(None)) => "another Envoy is being ended first".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            if self.launched.is_empty() && started.elapsed() >= Limits::KEEPER_AGAIN {
                started = Instant::now();
                said = self.launched.start().err().map(|error| error.to_string()).or(said);
            }
            if let Some(why) = &said {
                self.missing(why.clone());
            } else if begun.elapsed() >= Limits::KEEPER_MISSED {
                self.missing(format!("the process that keeps Envoy cannot be reached: {problem}"));
            }
            sleep(Limits::LOOK).await;
        }
    }

    fn missing(&mut self, why: String) {
        let why: String = why.chars().take(Limits::KEEPER_WHY).collect();
        let state = State::Missing { why };
        if *self.state.borrow() != state {
            if let State::Missing { why } = &state {
                self.say(Level::Error, why);
            }
            self.state.send_replace(state);
        }
    }

    fn take(&mut self, report: Report, up: &mut Option<Up>) {
        match report {
            Report::Now(Now::Up { pid, since, restarts }) => {
                self.pid = Some(pid);
                *up = Some(Up { pid, since, restarts });
                self.state.send_replace(State::Starting);
            }
            Report::Now(Now::Down { why, since, wait }) => {
                *up = None;
                self.say(Level::Warn, &format!("ended: {why}; started again in {} ms", wait.as_millis()));
                let until = since.checked_add(wait).unwrap_or(since);
                self.state.send_replace(State::Backoff { why, until });
            }
            Report::Line(line) => (self.log)(LogLine::parse(&line)),
            Report::Dropped(lines) => self.say(Level::Warn, &format!("{lines} lines of Envoy were left out")),
            Report::Hello { .. } | Report::Stopped { .. } => {}
        }
    }

    /// Tells something of the supervisor's own.
    fn say(&mut self, level: Level, text: &str) {
        (self.log)(LogLine { level, logger: "supervisor".to_owned(), text: text.to_owned() });
    }

    /// Ends Envoy and the keepers. The waiting ones first, so that none takes over.
    async fn stop(mut self, link: Option<Link>) -> Ended {
        let until = Instant::now() + Limits::STOP_PATIENCE;
        let place = self.launched.run.place.clone();
        self.launched.release();
        let asked = timeout(Limits::STOP_PATIENCE, self.ask_to_stop(link)).await;
        let ended = match asked {
            Ok(Some(true)) | Err(_) => Ended::Killed,
            Ok(Some(false)) => Ended::Asked,
            Ok(None) => Ended::NotThere,
        };
        // The keeper says so, and then ends itself.
        while Process::kept(&place.keeper_pid()).is_some_and(|keeper| keeper.lives()) || !self.reaped() {
            if Instant::now() >= until {
                let kept = [place.keeper_pid(), place.pid()];
                let processes: Vec<Process> = kept.iter().filter_map(|path| Process::kept(path)).collect();
                self.launched.kill();
                // With their own patience, away from the runtime's threads.
                let _ = tokio::task::spawn_blocking(move || {
                    processes.iter().for_each(|process| {
                        process.signal(nix::sys::signal::Signal::SIGKILL, Limits::KILL_PATIENCE);
                    });
                })
                .await;
                self.reaped();
                return Ended::Killed;
            }
            sleep(Limits::LOOK).await;
        }
        ended
    }

    /// Whether Envoy had to be killed; `None` if there is no keeper to ask.
    async fn ask_to_stop(&mut self, link: Option<Link>) -> Option<bool> {
        let mut link = link;
        loop {
            if let Some(link) = &mut link
                && let Some(killed) = stopped(link).await
            {
                return Some(killed);
            }
            // None was reached yet, or it died meanwhile and another took over.
            link = loop {
                let open = timeout(Limits::KEEPER_PATIENCE, Link::open(&self.launched.run)).await;
                if let Ok(Ok(Some(link))) = open {
                    break Some(link);
                }
                let kept = Process::kept(&self.launched.run.place.keeper_pid());
                if self.reaped() && !kept.is_some_and(|keeper| keeper.lives()) {
                    return None;
                }
                sleep(Limits::LOOK).await;
            };
        }
    }

    /// Whether all keepers that were started have ended.
    fn reaped(&mut self) -> bool {
        self.reap_envoy();
        self.launched.reap();
        self.launched.is_empty()
    }

    /// An Envoy whose keeper was killed comes up as a child of this process, if this process takes in orphans.
    fn reap_envoy(&self) {
        if let Some(pid) = self.pid.and_then(|pid| i32::try_from(pid).ok()) {
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// The version of the process that is up, as soon as it answers; never, where there is nobody to ask.
async fn version(launched: &Launched, up: Option<&Up>) -> String {
    let (Some(_), Some(socket)) = (up, launched.run.sockets.first()) else {
        return std::future::pending().await;
    };
    let admin = Admin::new(socket.clone());
    loop {
        if let Ok(info) = admin.server_info().await {
            return Version::parse(&info.version).map_or(info.version, |version| version.to_string());
        }
        sleep(Limits::LOOK).await;
    }
}

async fn stopped(link: &mut Link) -> Option<bool> {
    link.order(&Order::Stop).await.ok()?;
    loop {
        if let Report::Stopped { killed } = link.next().await.ok()? {
            return Some(killed);
        }
    }
}
