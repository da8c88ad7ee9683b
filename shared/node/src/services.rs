//! Local services that this node runs or checks: from the configuration to the board on which their state stands.
//!
//! ```text
//!   engine <── healthy or not ── task (owns the policy) <── reports ── supervisor, a process of its own
//!     │ removed at run time ──────>│  │ └── checks over the network
//!     └── status <── board <───────┘  └── orders ──> supervisor
//! ```

pub(crate) mod probe;
mod task;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender, bounded};
use catalyst_config::{CheckKind, Config, HostPort, Restart as Word, Service, Variables};
use catalyst_names::ServiceLabel;
use catalyst_services::{
    Check, Local, Policy, Probe, Program, Restart, Run, ServicesError, Spec, Supervisor,
};

use crate::admin::HealthRow;
use crate::adopt::spawn;
use crate::clock::Clocks;
use crate::denied::Denied;
use crate::error::NodeError;
use crate::limits::Limits;
use crate::overlay::Overlay;
use crate::serve::Asked;
use crate::shell::Shell;
use task::{Task, Tell};

/// The process that runs local services, and the way to it.
#[derive(Debug)]
pub struct Launched {
    supervisor: Supervisor,
    link: UnixStream,
    /// Takes over should the first one die: inside its sandbox a node can start no other.
    spare: Option<Box<Launched>>,
}

impl Launched {
    fn new(programs: &[Program], spare: Option<Box<Launched>>) -> Result<Self, ServicesError> {
        let (supervisor, link) = Supervisor::launch(programs)?;
        Ok(Launched { supervisor, link, spare })
    }
}

/// Starts the process that runs local services, if the configuration has any to run. A shell calls it before it gives up
/// anything and before it starts a thread. With a `spare` there is a second one for the death of the first.
///
/// # Errors
/// The system cannot.
pub fn launch(config: &Config, spare: bool) -> Result<Option<Launched>, NodeError> {
    let specs: Vec<Spec> = config.services.iter().map(spec).collect();
    let programs: Vec<Program> = specs.iter().flat_map(Spec::programs).cloned().collect();
    if programs.is_empty() {
        return Ok(None);
    }
    let spare = if spare { Launched::new(&programs, None).map(|it| Some(Box::new(it))) } else { Ok(None) };
    let launched = spare.and_then(|spare| Launched::new(&programs, spare));
    launched.map(Some).map_err(|e| NodeError::Failed(e.to_string()))
}

/// The bytes of each program that the configuration has: its arguments and variables.
pub(crate) fn programs(config: &Config) -> impl Iterator<Item = usize> {
    let bytes = |texts: &[String]| texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
    config.services.iter().flat_map(move |service| {
        let run = service.run.as_ref().map(|run| bytes(&run.command) + bytes(&run.env.0));
        let check = service.check.as_ref().and_then(|check| match &check.kind {
            CheckKind::Exec { command, env, .. } => Some(bytes(command) + bytes(&env.0)),
            _ => None,
        });
        run.into_iter().chain(check)
    })
}

/// Where a check over the network goes.
#[derive(Clone)]
struct Target {
    label: ServiceLabel,
    address: HostPort,
    /// What is asked for by HTTP; else a connection is enough.
    path: Option<String>,
    timeout_ms: u32,
}

fn program(service: &Service, command: &[String], env: &Variables, directory: &std::path::Path) -> Program {
    Program {
        name: service.name.to_string(),
        command: command.to_vec(),
        env: env.0.clone(),
        directory: directory.to_string_lossy().into_owned(),
    }
}

fn spec(service: &Service) -> Spec {
    let run = service.run.as_ref().map(|run| Run {
        program: program(service, &run.command, &run.env, &run.directory),
        grace_ms: run.stop_grace_ms,
        restart: match run.restart {
            Word::Always => Restart::Always,
            Word::OnFailure => Restart::OnFailure,
            Word::Never => Restart::Never,
        },
    });
    let check = service.check.as_ref().map(|check| Check {
        probe: match &check.kind {
            CheckKind::Tcp | CheckKind::Http { .. } => Probe::Net,
            CheckKind::Exec { command, env, directory } => {
                Probe::Exec(program(service, command, env, directory))
            }
        },
        interval_ms: check.interval_ms,
        timeout_ms: check.timeout_ms,
        rise: check.rise,
        fall: check.fall,
    });
    Spec { name: service.name.to_string(), run, check }
}

fn target(service: &Service) -> Target {
    let check = service.check.as_ref();
    Target {
        label: service.name.clone(),
        address: service.target.clone(),
        path: check.and_then(|c| match &c.kind {
            CheckKind::Http { path } => Some(path.clone()),
            CheckKind::Tcp | CheckKind::Exec { .. } => None,
        }),
        timeout_ms: check.map_or(0, |c| c.timeout_ms),
    }
}

/// What the engine and the task both see.
#[derive(Default)]
pub(crate) struct Board(Mutex<State>);

#[derive(Default)]
struct State {
    /// How each service is; the time is by the monotonic clock here.
    rows: Vec<(ServiceLabel, HealthRow)>,
    /// Taken from the task at run time, and it does not know yet.
    released: Vec<ServiceLabel>,
    wake: Option<Sender<Tell>>,
}

impl Board {
    /// Whether the health of this service is the task's to tell.
    pub(crate) fn manages(&self, label: &ServiceLabel) -> bool {
        self.lock().rows.iter().any(|(l, _)| l == label)
    }

    /// The service was removed or replaced: it is not run or checked any more.
    pub(crate) fn release(&self, label: &ServiceLabel) {
        let mut state = self.lock();
        let before = state.rows.len();
        state.rows.retain(|(l, _)| l != label);
        if state.rows.len() < before {
            state.released.push(label.clone());
            if let Some(wake) = &state.wake {
                // If there is no room, the task is awake.
                let _ = wake.try_send(Tell::Look);
            }
        }
    }

    /// How a service is, for people; nothing of one that is neither run nor checked.
    pub(crate) fn row(&self, label: &ServiceLabel, mono: u64) -> Option<HealthRow> {
        let state = self.lock();
        let (_, row) = state.rows.iter().find(|(l, _)| l == label)?;
        Some(HealthRow { since_s: (mono / 1_000).saturating_sub(row.since_s), ..row.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(local: &Local) -> HealthRow {
    HealthRow {
        state: local.standing().as_str().to_string(),
        since_s: local.since() / 1_000,
        why: local.why().to_string(),
        pid: local.pid(),
        restarts: local.restarts(),
        checks_failed: local.failures(),
    }
}

/// What is run and checked.
pub(crate) struct Services {
    pub(crate) board: Arc<Board>,
    policy: Policy,
    targets: Vec<Target>,
    running: Option<(Sender<Tell>, Receiver<()>)>,
}

impl Services {
    /// What the file has to run and to check, but for what was changed at run time. Nothing begins yet.
    pub(crate) fn prepare(config: &Config, overlay: &Overlay, clocks: &Clocks) -> Self {
        let (mut specs, mut targets) = (Vec::new(), Vec::new());
        for service in &config.services {
            if (service.run.is_some() || service.check.is_some()) && overlay.offers_of_file(&service.name) {
                specs.push(spec(service));
                targets.push(target(service));
            }
        }
        let board = Board::default();
        let policy = Policy::new(specs, clocks.now().mono);
        let rows = targets.iter().zip(policy.services()).map(|(t, local)| (t.label.clone(), row(local)));
        board.lock().rows = rows.collect();
        Services { board: Arc::new(board), policy, targets, running: None }
    }

    /// Begins to run and to check them.
    pub(crate) fn start<Sh: Shell>(
        &mut self,
        shell: &Arc<Sh>,
        clocks: &Clocks,
        denied: Arc<Denied>,
        launched: Option<Launched>,
        engine: Sender<Asked>,
    ) {
        let policy = std::mem::take(&mut self.policy);
        if policy.services().is_empty() && launched.is_none() {
            return;
        }
        let (tell, told) = bounded(Limits::SERVICE_EVENTS);
        let (running, done) = bounded(1);
        self.board.lock().wake = Some(tell.clone());
        let task = Task {
            shell: shell.clone(),
            clocks: clocks.clone(),
            denied,
            policy,
            targets: std::mem::take(&mut self.targets).into(),
            board: self.board.clone(),
            engine,
            tell: tell.clone(),
            told,
            supervisor: None,
            spare: None,
            stop_by: None,
        };
        spawn(&**shell, async move {
            task.run(launched).await;
            drop(running);
        });
        self.running = Some((tell, done));
    }

    /// Stops them all, and waits until nothing is left, or for as long as the longest grace and a little more.
    pub(crate) async fn stop(self) {
        let Some((tell, done)) = self.running else { return };
        if tell.send(Tell::Stop).await.is_ok() {
            // Nothing is ever sent: the end of the channel is the end of the task.
            let _ = done.recv().await;
        }
    }
}
