//! What is done about local services: which are started and when, when they are checked, whether they are healthy. Pure:
//! inputs and the time in milliseconds in, actions out.

use crate::frame::{Checked, Exit, Id, Order, Program, Report};
use crate::health::{Health, Thresholds};
use crate::limits::Limits;
use crate::spec::{Probe, Restart, Spec};

/// What the node is to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Tell the supervisor.
    Order(Order),
    /// Check the service over the network, once, and come back with [`Policy::probed`].
    Probe(Id),
    /// The service is healthy, or not, from now on.
    Health(Id, bool),
    /// A line for the log; whether a person should look at it.
    Say(Id, bool, String),
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It runs, or has not been checked, for too short a time to tell.
    Starting,
    /// It works.
    Healthy,
    /// It does not.
    Unhealthy,
}

impl Standing {
    /// A word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Starting => "starting",
            Standing::Healthy => "healthy",
            Standing::Unhealthy => "unhealthy",
        }
    }
}

/// The process of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    /// It has none of ours.
    None,
    /// It will be started.
    Waiting { until: u64 },
    /// It was ordered.
    Ordered,
    /// It runs.
    Running { pid: u32, since: u64 },
    /// It has ended, and what it started is being ended.
    Ending,
    /// It is not started again.
    Over,
}

/// One service.
pub struct Local {
    spec: Spec,
    process: Process,
    health: Option<Health>,
    /// When the next check is due.
    check_at: Option<u64>,
    /// A check is under way.
    checking: bool,
    /// The result of that check is of an earlier run.
    stale: bool,
    /// When a service that is not checked has run for long enough after it ended early.
    settles_at: Option<u64>,
    /// Quick checks left after a start.
    eager: u32,
    /// It was started before.
    begun: bool,
    /// How often it ended without having been steady.
    step: u32,
    standing: Standing,
    since: u64,
    why: String,
    restarts: u32,
    failures: u64,
}

impl Local {
    /// As it is in the configuration.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How it is.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Since when, by the clock of the inputs.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Why it is not healthy; empty if it is.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self.process {
            Process::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How many checks have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn runs(&self) -> bool {
        matches!(self.process, Process::None | Process::Running { .. })
    }
}

/// All services that are run or checked.
#[derive(Default)]
pub struct Policy {
    services: Vec<Local>,
    actions: Vec<Action>,
    stopping: bool,
}

impl Policy {
    /// Why services are not healthy whose supervisor has ended.
    pub const LOST: &'static str = "the process that runs local services has ended";

    /// Services are numbered by their place. None is healthy before [`Policy::start`] and what follows from it.
    #[must_use]
    pub fn new(specs: Vec<Spec>, now: u64) -> Self {
        let local = |spec: Spec| Local {
            process: if spec.run.is_some() { Process::Over } else { Process::None },
            health: spec.check.as_ref().map(|c| Health::new(Thresholds { rise: c.rise, fall: c.fall })),
            check_at: None,
            checking: false,
            stale: false,
            settles_at: None,
            eager: Limits::EAGER,
            begun: false,
            step: 0,
            standing: Standing::Starting,
            since: now,
            why: "not started yet".to_string(),
            restarts: 0,
            failures: 0,
            spec,
        };
        Policy { services: specs.into_iter().map(local).collect(), actions: Vec::new(), stopping: false }
    }

    /// The services as they are.
    #[must_use]
    pub fn services(&self) -> &[Local] {
        &self.services
    }

    /// What is to be done since the last call.
    pub fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When something is due by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        if self.stopping {
            return None;
        }
        let starts = self.services.iter().filter_map(|s| match s.process {
            Process::Waiting { until } => Some(until),
            _ => None,
        });
        let checks = self.services.iter().filter(|s| !s.checking && s.runs()).filter_map(|s| s.check_at);
        let settled = self.services.iter().filter_map(|s| s.settles_at);
        starts.chain(checks).chain(settled).min()
    }

    /// A supervisor is there, the first one or a new one: starts what is to run.
    pub fn start(&mut self, now: u64) {
        for id in self.ids() {
            let Some(service) = self.get(id) else { continue };
            match service.spec.run {
                Some(_) => service.process = Process::Waiting { until: now },
                None => service.check_at = service.check_at.or(Some(now)),
            }
        }
        self.tick(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: u64) {
        for id in self.ids() {
            self.due(id, now);
        }
    }

    /// What the supervisor says. Lines of output are not for the policy.
    pub fn report(&mut self, report: &Report, now: u64) {
        match report {
            Report::Started { id, pid } => self.started(*id, *pid, now),
            Report::Failed { id, why } => self.failed(*id, why.clone(), now),
            Report::Exited { id, exit } => self.exited(*id, *exit, now),
            Report::Gone { id, left } => self.gone(*id, *left, now),
            Report::Checked { id, checked } => {
                let result = match checked {
                    Checked::Ended(Exit::Code(0)) => Ok(()),
                    Checked::Ended(exit) => Err(format!("the check {exit}")),
                    Checked::TooLong => Err("the check took too long".to_string()),
                    Checked::Failed(why) => Err(format!("the check: {why}")),
                };
                self.probed(*id, result, now);
            }
            Report::Line { .. } | Report::Dropped { .. } => {}
        }
    }

    /// The result of a check.
    pub fn probed(&mut self, id: Id, result: Result<(), String>, now: u64) {
        let Some(service) = self.get(id) else { return };
        service.checking = false;
        if std::mem::take(&mut service.stale) || !service.runs() {
            return self.tick(now);
        }
        let (Some(health), Some(check)) = (&mut service.health, &service.spec.check) else { return };
        health.result(result.is_ok());
        let young = health.good().is_none() && service.eager > 0;
        service.eager = service.eager.saturating_sub(u32::from(young));
        let interval = u64::from(check.interval_ms);
        service.check_at = Some(now + if young { interval.min(Limits::EAGER_MS) } else { interval });
        let failed = result.is_err();
        service.failures += u64::from(failed);
        if health.good() == Some(true) && !failed {
            service.why.clear();
        }
        if let Err(why) = result
            && health.good() != Some(true)
        {
            service.why = cut(why);
        }
        self.judge(id, now);
    }

    /// The service is not this node's to run any more: it was removed or replaced at run time.
    pub fn remove(&mut self, id: Id, now: u64) {
        let Some(service) = self.get(id) else { return };
        service.spec.check = None;
        service.health = None;
        service.check_at = None;
        service.why = "removed at run time".to_string();
        self.stop_one(id);
        self.judge(id, now);
    }

    /// Stops everything; [`Policy::is_idle`] says when it is done.
    pub fn stop(&mut self) {
        self.stopping = true;
        for id in self.ids() {
            self.stop_one(id);
        }
    }

    /// Whether no process of a service is there.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.services.iter().all(|s| matches!(s.process, Process::None | Process::Over))
    }

    /// The supervisor has ended, and with it what it ran.
    pub fn lost(&mut self, now: u64) {
        for id in self.ids() {
            let Some(service) = self.get(id) else { continue };
            let by_supervisor =
                service.spec.check.as_ref().is_some_and(|c| matches!(c.probe, Probe::Exec(_)));
            if by_supervisor {
                service.checking = false;
                service.stale = false;
            }
            if service.spec.run.is_none() && !by_supervisor {
                continue;
            }
            service.why = Self::LOST.to_string();
            if service.spec.run.is_some() {
                service.process = Process::Over;
                service.settles_at = None;
                service.stale = service.checking;
            } else if let Some(health) = &mut service.health {
                service.check_at = None;
                // Nobody can tell: what is not known to work is not announced.
                health.reset();
            }
            self.judge(id, now);
        }
    }

    fn ids(&self) -> std::ops::Range<Id> {
        0..Id::try_from(self.services.len()).unwrap_or(Id::MAX)
    }

    fn get(&mut self, id: Id) -> Option<&mut Local> {
        self.services.get_mut(usize::from(id))
    }

    fn due(&mut self, id: Id, now: u64) {
        let stopping = self.stopping;
        if let Some(service) = self.get(id)
            && service.settles_at.is_some_and(|at| at <= now)
        {
            service.settles_at = None;
            self.judge(id, now);
        }
        let Some(service) = self.get(id) else { return };
        if let Process::Waiting { until } = service.process
            && until <= now
            && let Some(run) = &service.spec.run
            && !stopping
        {
            let order = Order::Start { id, grace_ms: run.grace_ms, program: run.program.clone() };
            service.process = Process::Ordered;
            service.restarts = service.restarts.saturating_add(u32::from(service.begun));
            service.begun = true;
            self.actions.push(Action::Order(order));
            return;
        }
        if service.checking || !service.runs() || service.check_at.is_none_or(|at| at > now) || stopping {
            return;
        }
        let Some(check) = &service.spec.check else { return };
        let action = match &check.probe {
            Probe::Net => Action::Probe(id),
            Probe::Exec(program) => {
                let (timeout_ms, program): (u32, Program) = (check.timeout_ms, program.clone());
                Action::Order(Order::Check { id, timeout_ms, program })
            }
        };
        service.checking = true;
        self.actions.push(action);
    }

    fn started(&mut self, id: Id, pid: u32, now: u64) {
        let Some(service) = self.get(id) else { return };
        service.process = Process::Running { pid, since: now };
        // One that ends again at once would be announced and withdrawn each time.
        let young = service.step > 0 && service.spec.check.is_none();
        service.settles_at = young.then_some(now + Limits::SETTLE_MS);
        service.why = if young { "started again just now" } else { "not checked yet" }.to_string();
        service.eager = Limits::EAGER;
        service.check_at = service.spec.check.as_ref().map(|_| now);
        if let Some(health) = &mut service.health {
            health.reset();
        }
        let name = format!("started, process {pid}");
        self.actions.push(Action::Say(id, false, name));
        self.judge(id, now);
        self.due(id, now);
    }

    fn failed(&mut self, id: Id, why: String, now: u64) {
        let Some(service) = self.get(id) else { return };
        service.process = Process::Ending;
        service.why = cut(why);
        let text = service.why.clone();
        self.actions.push(Action::Say(id, true, text));
        self.judge(id, now);
    }

    fn exited(&mut self, id: Id, exit: Exit, now: u64) {
        let stopping = self.stopping;
        let Some(service) = self.get(id) else { return };
        let ran = match service.process {
            Process::Running { since, .. } => now.saturating_sub(since),
            // What could not be started has said so.
            Process::Ending => return,
            _ => 0,
        };
        if ran >= Limits::STEADY_MS {
            service.step = 0;
        }
        service.process = Process::Ending;
        service.settles_at = None;
        service.stale = service.checking;
        service.why = exit.to_string();
        let again = match service.spec.run.as_ref().map(|r| r.restart) {
            Some(Restart::Always) => true,
            Some(Restart::OnFailure) => exit != Exit::Code(0),
            Some(Restart::Never) | None => false,
        };
        if !again && let Some(run) = &mut service.spec.run {
            run.restart = Restart::Never;
        }
        if !stopping {
            self.actions.push(Action::Say(id, exit != Exit::Code(0), exit.to_string()));
        }
        self.judge(id, now);
    }

    fn gone(&mut self, id: Id, left: u32, now: u64) {
        if left > 0 {
            let text = format!("{left} of its processes cannot be ended; they are left");
            self.actions.push(Action::Say(id, true, text));
        }
        let stopping = self.stopping;
        let Some(service) = self.get(id) else { return };
        let never = service.spec.run.as_ref().is_none_or(|r| r.restart == Restart::Never);
        if never || stopping {
            service.process = Process::Over;
            return;
        }
        let wait = (Limits::BACKOFF_FIRST_MS << service.step.min(32)).min(Limits::BACKOFF_MAX_MS);
        service.step = service.step.saturating_add(1);
        service.process = Process::Waiting { until: now + wait };
        let text = format!("started again in {wait} ms");
        self.actions.push(Action::Say(id, false, text));
    }

    fn stop_one(&mut self, id: Id) {
        let Some(service) = self.get(id) else { return };
        if let Some(run) = &mut service.spec.run {
            run.restart = Restart::Never;
        }
        match service.process {
            Process::Waiting { .. } => service.process = Process::Over,
            Process::Ordered | Process::Running { .. } => {
                self.actions.push(Action::Order(Order::Stop { id }));
            }
            Process::None | Process::Ending | Process::Over => {}
        }
    }

    /// Says what has changed in the health of a service.
    fn judge(&mut self, id: Id, now: u64) {
        let stopping = self.stopping;
        let Some(service) = self.get(id) else { return };
        let running = match service.process {
            Process::Running { .. } if service.settles_at.is_some() => Standing::Starting,
            Process::None | Process::Running { .. } => Standing::Healthy,
            Process::Waiting { .. } | Process::Ordered | Process::Ending | Process::Over => {
                Standing::Unhealthy
            }
        };
        let checked = match service.health.as_ref().map(Health::good) {
            None | Some(Some(true)) => Standing::Healthy,
            Some(Some(false)) => Standing::Unhealthy,
            Some(None) => Standing::Starting,
        };
        let standing = if running == Standing::Healthy { checked } else { running };
        if standing == Standing::Healthy {
            service.why.clear();
        }
        let before = std::mem::replace(&mut service.standing, standing);
        if before == standing {
            return;
        }
        service.since = now;
        let why = service.why.clone();
        let (was, is) = (before == Standing::Healthy, standing == Standing::Healthy);
        if was != is {
            self.actions.push(Action::Health(id, is));
        }
        if stopping {
            return;
        }
        match (was, standing) {
            (_, Standing::Healthy) => self.actions.push(Action::Say(id, false, "healthy".to_string())),
            (_, Standing::Unhealthy) => {
                self.actions.push(Action::Say(id, true, format!("unhealthy: {why}")));
            }
            (_, Standing::Starting) => {}
        }
    }
}

fn cut(mut why: String) -> String {
    if why.len() > Limits::REASON {
        let mut end = Limits::REASON;
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        why.truncate(end);
    }
    why
}

#[cfg(test)]
mod tests;
