//! The loop: orders, ends of processes, output, time.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{read, setsid};

use super::outbox::Outbox;
use super::processes::{Table, signal};
use super::service::{Service, has_proc, start};
use crate::error::ServicesError;
use crate::frame::{Checked, Exit, Id, Inbox, Order, Program, Report};
use crate::limits::Limits;

/// Between two tries to say that lines were left out.
const TELL: Duration = Duration::from_millis(500);

pub(super) struct Supervisor {
    link: UnixStream,
    signals: SignalFd,
    inbox: Inbox,
    outbox: Outbox,
    allowed: Vec<Program>,
    /// Nothing more is allowed.
    sealed: bool,
    services: Vec<Service>,
    checks: Vec<(Service, Instant)>,
    /// Set when the node has gone: until when what is left may take to go.
    leaving: Option<Instant>,
    has_proc: bool,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Source {
    Link,
    Signals,
    Status(Id),
    Output(Id),
    CheckStatus(Id),
}

impl Supervisor {
    /// Takes over the socket, which is the standard input.
    pub(super) fn new() -> io::Result<Self> {
        // What is typed at a terminal, or told to a group, is for the node; this process goes when the node has gone.
        let _ = setsid();
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        prctl::set_child_subreaper(true)?;
        let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        link.set_nonblocking(true)?;
        Ok(Supervisor {
            link,
            signals,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            allowed: Vec::new(),
            sealed: false,
            services: Vec::new(),
            checks: Vec::new(),
            leaving: None,
            has_proc: has_proc(),
        })
    }

    /// Waits for something, and deals with it. Returns whether there is more to do.
    pub(super) fn turn(&mut self) -> bool {
        let ready = self.wait();
        let now = Instant::now();
        let mut children = self.leaving.is_some() || self.services.iter().any(|s| s.ending.is_some());
        for source in ready {
            match source {
                Source::Link => self.orders(now),
                Source::Signals => {
                    while let Ok(Some(_)) = self.signals.read_signal() {}
                    children = true;
                }
                Source::Status(id) => self.status(id),
                Source::CheckStatus(id) => self.check_status(id),
                Source::Output(id) => self.output(id, now),
            }
        }
        self.checks(now);
        if children {
            self.children(now);
        }
        for service in &mut self.services {
            if self.outbox.room()
                && let Some(lines) = service.output.dropped(now)
            {
                self.outbox.report(&Report::Dropped { id: service.id, lines });
            }
        }
        if self.leaving.is_none() && !self.outbox.flush(&mut self.link) {
            self.leave(now);
        }
        !self.done(now)
    }

    /// What is ready, or nothing when it is time to look.
    fn wait(&self) -> Vec<Source> {
        let mut sources = vec![Source::Signals];
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if self.leaving.is_none() {
            let mut wanted = PollFlags::POLLIN;
            wanted.set(PollFlags::POLLOUT, !self.outbox.is_empty());
            fds.push(PollFd::new(self.link.as_fd(), wanted));
            sources.push(Source::Link);
        }
        for service in &self.services {
            let id = service.id;
            for (fd, source) in [(&service.status, Source::Status(id)), (&service.pipe, Source::Output(id))] {
                if let Some(fd) = fd {
                    fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
                    sources.push(source);
                }
            }
        }
        for (check, _) in &self.checks {
            if let Some(fd) = &check.status {
                fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
                sources.push(Source::CheckStatus(check.id));
            }
        }
        // Nothing ready, and an interruption, are the same: a look at the time.
        let _ = poll(&mut fds, self.patience());
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        fds.iter().zip(sources).filter(|(fd, _)| ready(fd)).map(|(_, source)| source).collect()
    }

    /// How long nothing needs to be done by itself.
    fn patience(&self) -> PollTimeout {
        let now = Instant::now();
        let mut due: Option<Instant> = None;
        let mut at = |when: Instant| due = Some(due.map_or(when, |due| due.min(when)));
        for service in &self.services {
            match service.kill_at() {
                // While its first process lives, the kernel says when it ends.
                Some(kill_at) if service.exit.is_none() && now < kill_at => at(kill_at),
                Some(_) => at(now + Limits::LOOK),
                None if service.output.owes() => at(now + TELL),
                None => {}
            }
        }
        self.checks.iter().for_each(|(_, until)| at(*until));
        if self.leaving.is_some() {
            at(now + Limits::LOOK);
        }
        let Some(due) = due else { return PollTimeout::NONE };
        // A millisecond more, so that it is not yet again too early.
        let wait = due.saturating_duration_since(now) + Duration::from_millis(1);
        PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
    }

    fn orders(&mut self, now: Instant) {
        let mut some = [0; Limits::READ];
        loop {
            match self.link.read(&mut some) {
                Ok(0) => return self.leave(now),
                Ok(n) => self.inbox.extend(some.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.leave(now),
            }
            loop {
                match self.inbox.message::<Order>() {
                    Ok(Some(order)) => self.order(order, now),
                    Ok(None) => break,
                    Err(ServicesError::Frame | ServicesError::Launch(_) | ServicesError::TooLarge(_)) => {
                        return self.leave(now);
                    }
                }
            }
        }
    }

    fn order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Allow(program) => {
                if !self.sealed && self.allowed.len() < Limits::ALLOWED {
                    self.allowed.push(program);
                }
            }
            Order::Seal => self.sealed = true,
            Order::Start { id, grace_ms, program } => {
                // A second start of what is still there is a mistake of the node's, and must not make it two.
                if self.services.iter().any(|s| s.id == id) {
                    return;
                }
                let grace = Duration::from_millis(grace_ms.into());
                match self.may(&program).and_then(|()| start(id, &program, grace, true, now)) {
                    Ok(service) => self.services.push(service),
                    Err(why) => {
                        self.outbox.report(&Report::Failed { id, why });
                        self.outbox.report(&Report::Gone { id, left: 0 });
                    }
                }
            }
            Order::Stop { id } => {
                let (table, known) = (self.table(), self.known());
                if let Some(service) = self.service(id) {
                    let grace = service.grace;
                    service.end(table.as_ref(), &known, grace, now);
                }
            }
            Order::Check { id, timeout_ms, program } => self.check(id, timeout_ms, &program, now),
        }
    }

    fn service(&mut self, id: Id) -> Option<&mut Service> {
        self.services.iter_mut().find(|s| s.id == id)
    }

    /// Whether a program may be started, and there is room for it.
    fn may(&self, program: &Program) -> Result<(), String> {
        if !self.allowed.contains(program) {
            return Err(
                "the configuration with which the node was started does not name this program".to_string()
            );
        }
        match self.services.len().max(self.checks.len()) < Limits::PROGRAMS {
            true => Ok(()),
            false => Err(format!("{} programs run already, and more are not run", Limits::PROGRAMS)),
        }
    }

    fn check(&mut self, id: Id, timeout_ms: u32, program: &Program, now: Instant) {
        if self.checks.iter().any(|(c, _)| c.id == id) {
            return;
        }
        match self.may(program).and_then(|()| start(id, program, Duration::ZERO, false, now)) {
            Ok(check) => {
                let until = now + Duration::from_millis(timeout_ms.into());
                self.checks.push((check, until));
            }
            Err(why) => self.outbox.report(&Report::Checked { id, checked: Checked::Failed(why) }),
        }
    }

    /// The starter has become the service, or says why not.
    fn status(&mut self, id: Id) {
        let Some(service) = self.service(id) else { return };
        let said = said(service);
        let pid = service.pid.unsigned_abs();
        match said {
            Said::Nothing => {}
            Said::Runs => self.outbox.report(&Report::Started { id, pid }),
            Said::Failed(why) => self.outbox.report(&Report::Failed { id, why }),
        }
    }

    fn check_status(&mut self, id: Id) {
        let Some((check, _)) = self.checks.iter_mut().find(|(c, _)| c.id == id) else { return };
        if let Said::Failed(why) = said(check) {
            self.checked(id, Checked::Failed(why));
        }
    }

    fn output(&mut self, id: Id, now: Instant) {
        let Some(service) = self.services.iter_mut().find(|s| s.id == id) else { return };
        let Some(pipe) = &service.pipe else { return };
        let mut some = [0; Limits::READ];
        let outbox = &mut self.outbox;
        let mut take = |line| outbox.line(&Report::Line { id, line });
        match read(pipe, &mut some) {
            Ok(n) if n > 0 => service.output.read(some.get(..n).unwrap_or_default(), now, &mut take),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            _ => {
                service.output.end(now, &mut take);
                service.pipe = None;
            }
        }
    }

    fn checks(&mut self, now: Instant) {
        let over = self.checks.iter().filter(|(_, until)| *until <= now).map(|(check, _)| check.id);
        for id in over.collect::<Vec<_>>() {
            self.checked(id, Checked::TooLong);
        }
    }

    /// A check is over, and goes with all of its group.
    fn checked(&mut self, id: Id, checked: Checked) {
        let Some(at) = self.checks.iter().position(|(c, _)| c.id == id) else { return };
        let (check, _) = self.checks.swap_remove(at);
        check.kill();
        check.reap();
        self.outbox.report(&Report::Checked { id, checked });
    }

    /// Looks after ends of processes, and what is left of services that end.
    fn children(&mut self, now: Instant) {
        let mut over: Vec<(Id, Exit)> = Vec::new();
        for (check, _) in &mut self.checks {
            over.extend(check.look().map(|exit| (check.id, exit)));
        }
        for (id, exit) in over {
            // What it said at the last moment counts for more.
            self.check_status(id);
            self.checked(id, Checked::Ended(exit));
        }
        let ids: Vec<Id> = self.services.iter().map(|s| s.id).collect();
        let mut exits = Vec::new();
        for id in &ids {
            self.drain(*id, now);
            exits.push(self.service(*id).and_then(Service::look));
        }
        // Read after the ends are known: who was started by the dead is in it.
        let table = self.table();
        let known = self.known();
        let leaving = self.leaving.is_some();
        let empty = Table::empty();
        for (id, exit) in ids.into_iter().zip(exits) {
            let Some(service) = self.services.iter_mut().find(|s| s.id == id) else { continue };
            if let Some(exit) = exit {
                self.outbox.report(&Report::Exited { id, exit });
                let grace = if leaving { service.grace.min(Limits::ORPHAN_GRACE) } else { service.grace };
                service.end(table.as_ref(), &known, grace, now);
            }
            if let Some(left) = service.ended(table.as_ref().unwrap_or(&empty), &known, now) {
                service.reap();
                self.services.retain(|s| s.id != id);
                self.outbox.report(&Report::Gone { id, left });
            }
        }
        if let Some(table) = table {
            table.reap(&known);
        }
    }

    /// What a service said before it ended is told before its end is.
    fn drain(&mut self, id: Id, now: Instant) {
        let ended = self.service(id).and_then(|s| s.peek()).is_some();
        if ended {
            self.status(id);
            for _ in 0..32 {
                let Some(pipe) = self.service(id).and_then(|s| s.pipe.as_ref()) else { return };
                let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
                if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1)) {
                    return;
                }
                self.output(id, now);
            }
        }
    }

    fn table(&self) -> Option<Table> {
        self.has_proc.then(Table::read)
    }

    /// First processes of services and checks.
    fn known(&self) -> Vec<i32> {
        let checks = self.checks.iter().map(|(check, _)| check.pid);
        self.services.iter().map(|service| service.pid).chain(checks).collect()
    }

    /// The node has gone: everything goes.
    fn leave(&mut self, now: Instant) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(now + Limits::ORPHAN_GRACE + Limits::KILL_PATIENCE);
        for (check, _) in std::mem::take(&mut self.checks) {
            check.kill();
            check.reap();
        }
        let (table, known) = (self.table(), self.known());
        for service in &mut self.services {
            let grace = service.grace.min(Limits::ORPHAN_GRACE);
            service.end(table.as_ref(), &known, grace, now);
        }
    }

    /// Whether the node has gone and nothing is left, or nothing will go.
    fn done(&self, now: Instant) -> bool {
        let Some(until) = self.leaving else { return false };
        if now >= until {
            return true;
        }
        if !self.services.is_empty() {
            return false;
        }
        // Whatever came up here, and is of no service by any sign.
        let left = self.table().map(|table| {
            table.reap(&[]);
            table.adopted(&[])
        });
        let left = left.unwrap_or_default();
        signal(&left, Signal::SIGKILL);
        left.is_empty()
    }
}

/// What a starter said.
enum Said {
    Nothing,
    Runs,
    Failed(String),
}

fn said(program: &mut Service) -> Said {
    let Some(status) = &program.status else { return Said::Nothing };
    let mut some = [0; Limits::REASON];
    match read(status, &mut some) {
        Err(Errno::EINTR | Errno::EAGAIN) => return Said::Nothing,
        Ok(n) if n > 0 => {
            let why = String::from_utf8_lossy(some.get(..n).unwrap_or_default()).into_owned();
            program.status = None;
            return Said::Failed(why);
        }
        _ => {}
    }
    program.status = None;
    Said::Runs
}
