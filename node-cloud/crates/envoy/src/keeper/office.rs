//! What the keeper in office does: starts Envoy and starts it again, tells the node how it is, ends it when the node
//! says so, wants another one, or stays away.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};

use super::child::{self, Envoy};
use super::guests::{self, Door, Node};
use super::output::Output;
use crate::backoff::Backoff;
use crate::error::EnvoyError;
use crate::limits::Limits;
use crate::line::{Level, LogLine, printable};
use crate::message::{Now, Report, Who};
use crate::place::write_private;
use crate::process::Process;
use crate::spec::Run;

/// Holds the office to its end.
pub(super) async fn hold(run: Run) -> Result<(), EnvoyError> {
    let place = run.place.clone();
    let failed = |path: &Path, why: io::Error| EnvoyError::File { path: path.to_path_buf(), why };
    if let Some(own) = Process::with(std::process::id()) {
        own.keep(&place.keeper_pid()).map_err(|why| failed(&place.keeper_pid(), why))?;
    }
    // One that did not die with its keeper. Nothing may bind what it still has.
    if let Some(left) = Process::kept(&place.pid()).filter(Process::lives) {
        left.end();
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(EnvoyError::Keeper)?;
    let socket = place.keeper_socket();
    let _ = fs::remove_file(&socket);
    // Its folder is closed to others already.
    let listener = UnixListener::bind(&socket)
        .and_then(|listener| {
            fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map(|()| listener)
        })
        .map_err(|why| failed(&socket, why))?;
    let (door, mut events) = Door::new();
    let mut office = Office::new(run, door);
    office.start();
    let mut owed = interval(Limits::OWED);
    let killed = loop {
        tokio::select! {
            event = of(&mut office.envoy) => office.child(event).await,
            () = sleep_until(office.again), if office.envoy.is_none() => office.start(),
            () = sleep_until(office.away), if office.node.is_none() => break office.end().await,
            _ = terminate.recv() => break office.end().await,
            Ok((stream, _)) = listener.accept() => office.door.enter(stream),
            Some(event) = events.recv() => if office.guest(event).await { break office.end().await },
            _ = owed.tick(), if office.node.is_some() && office.output.owes() => office.settle(),
        }
    };
    // First: who finds no socket knows that nobody answers.
    for path in [&socket, &place.keeper_pid(), &place.pid(), &place.bootstrap()] {
        let _ = fs::remove_file(path);
    }
    if let Some(node) = office.node.take() {
        node.part(Report::Stopped { killed }).await;
    }
    Ok(())
}

async fn of(envoy: &mut Option<Envoy>) -> child::Event {
    match envoy {
        Some(envoy) => envoy.event().await,
        None => std::future::pending().await,
    }
}

struct Office {
    run: Run,
    door: Door,
    envoy: Option<Envoy>,
    /// When it is started next, while it is down.
    again: Instant,
    /// When it is ended, while there is no node.
    away: Instant,
    backoff: Backoff,
    starts: u64,
    node: Option<Node>,
    now: watch::Sender<Now>,
    output: Output,
    /// The last error that this Envoy told, else its last warning, and when.
    last: Option<(LogLine, Instant)>,
}

impl Office {
    fn new(run: Run, door: Door) -> Self {
        let now = Instant::now();
        let down =
            Now::Down { why: String::new(), since: SystemTime::now(), wait: std::time::Duration::ZERO };
        Office {
            away: now + run.away,
            run,
            door,
            envoy: None,
            again: now,
            backoff: Backoff::default(),
            starts: 0,
            node: None,
            now: watch::Sender::new(down),
            output: Output::new(now),
            last: None,
        }
    }

    /// Starts Envoy, with its bootstrap as it was ordered, whatever became of the file.
    fn start(&mut self) {
        self.last = None;
        self.remove_sockets();
        let started = write_private(&self.run.place.bootstrap(), self.run.bootstrap.as_bytes())
            .and_then(|()| Envoy::start(&self.run));
        match started {
            Ok(envoy) => {
                let restarts = self.starts;
                self.starts += 1;
                self.now.send_replace(Now::Up { pid: envoy.pid, since: envoy.since, restarts });
                self.envoy = Some(envoy);
            }
            Err(error) => self.down(format!("it cannot be started: {error}"), std::time::Duration::ZERO),
        }
    }

    fn down(&mut self, why: String, stood: std::time::Duration) {
        let wait = self.backoff.ended(stood);
        self.again = Instant::now() + wait;
        let why = printable(&why).chars().take(Limits::REASON).collect();
        self.now.send_replace(Now::Down { why, since: SystemTime::now(), wait });
    }

    async fn child(&mut self, event: child::Event) {
        match event {
            child::Event::Line(line) => self.line(line),
            child::Event::Ended(status) => {
                let Some(envoy) = self.envoy.take() else { return };
                let stood = envoy.stood();
                envoy.rest(&mut |line| self.line(line)).await;
                let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                let last = self.last.take().filter(|(_, at)| at.elapsed() <= Limits::LAST_WORDS);
                let said = last.map(|(line, _)| format!(": {}", line.text)).unwrap_or_default();
                self.down(format!("{how}{said}"), stood);
            }
        }
    }

    fn line(&mut self, line: String) {
        let (read, now) = (LogLine::parse(&line), Instant::now());
        let telling = read.level <= Level::Warn;
        // Nobody needs to know later what is usual while the node is away.
        if self.node.is_some() || telling {
            self.output.push(line, now);
        }
        let error_before = self.last.as_ref().is_some_and(|(last, _)| last.level == Level::Error);
        // What is said after the error is how it goes down.
        if read.level == Level::Error || (telling && !error_before) {
            self.last = Some((read, now));
        }
        self.flush();
    }

    fn flush(&mut self) {
        let Some(node) = &self.node else { return };
        while node.has_room() {
            let Some(line) = self.output.next() else { break };
            node.tell(Report::Line(line));
        }
    }

    /// Tells what is owed: lines that had no room, and how many were left out. Not for each line: that would be a flood.
    fn settle(&mut self) {
        self.flush();
        if let Some(node) = self.node.as_ref().filter(|node| node.has_room())
            && let lines @ 1.. = self.output.dropped()
        {
            node.tell(Report::Dropped(lines));
        }
    }

    /// Does what a guest wants. Returns whether it is the end.
    async fn guest(&mut self, event: guests::Event) -> bool {
        match event {
            guests::Event::Hello(guest, run) => {
                let same = *run == self.run;
                if guest.who == Who::Node && same {
                    if let Some(before) = self.node.take() {
                        before.dismiss();
                    }
                    self.node = Some(self.door.seat(guest, self.now.subscribe()));
                    self.flush();
                    return false;
                }
                let end = guest.who == Who::Keeper && !same;
                guest.answer(same).await;
                end
            }
            guests::Event::Stop(number) => self.is_seated(number),
            guests::Event::Gone(number) => {
                if self.is_seated(number) {
                    self.node = None;
                    self.away = Instant::now() + self.run.away;
                }
                false
            }
        }
    }

    fn is_seated(&self, number: u64) -> bool {
        self.node.as_ref().is_some_and(|node| node.number == number)
    }

    /// Ends Envoy. Returns whether it had to be killed.
    async fn end(&mut self) -> bool {
        let killed = match self.envoy.take() {
            Some(envoy) => envoy.end(&mut |line| self.line(line)).await,
            None => false,
        };
        self.remove_sockets();
        killed
    }

    fn remove_sockets(&self) {
        for path in &self.run.sockets {
            let _ = fs::remove_file(path);
        }
    }
}
