//! The loop of the engine's task: events in batches, then everything is drained, so that a burst coalesces by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use catalyst_route_table::Store;
use catalyst_transport::Event as Input;
use futures_lite::future;

use crate::admin::{Answer, Request};
#[cfg(feature = "mesh")]
use crate::adopt::timeout;
use crate::adopt::{Alarm, spawn};
use crate::caller::Caller;
use crate::engine::{Engine, Outcome};
use crate::issue::converse;
use crate::limits::Limits;
#[cfg(feature = "mesh")]
use crate::listing::Listing;
use crate::persist::{Persist, Unwritten};
use crate::plane::Plane;
#[cfg(feature = "mesh")]
use crate::plans::UnderWay;
use crate::renewal::{Due, renew};
use crate::serve::{Ask, Asked};
use crate::shell::Shell;
use crate::sockets::connect;
use crate::watchdog::Watchdog;
use crate::write::Write;

/// What the loop hands work to.
pub(crate) struct Around<'a, Sh> {
    pub(crate) plane: &'a Arc<Plane<Sh>>,
    /// The way back to the engine, for tasks that it starts.
    pub(crate) ask: Sender<Asked>,
    pub(crate) persist: &'a Persist,
    pub(crate) prefer_chacha: bool,
}

enum Woken {
    Input(Input),
    Asked(Asked),
    Time,
    Stop,
}

/// Runs until a stop.
pub(crate) async fn serve_all<Sh: Shell, S: Store>(
    around: &Around<'_, Sh>,
    engine: &mut Engine<S>,
    inputs: &Receiver<Input>,
    asked: &Receiver<Asked>,
    stop: &Receiver<()>,
    mut watchdog: Watchdog,
) {
    let far = Duration::from_secs(3600);
    let mut alarm = Alarm::new(&*around.plane.shell, Instant::now() + far);
    loop {
        let deadline = engine.deadline().into_iter().chain(watchdog.due()).min();
        let input = async { inputs.recv().await.map_or(Woken::Stop, Woken::Input) };
        let question = async { asked.recv().await.map_or(Woken::Stop, Woken::Asked) };
        // A step of a walk is due at once.
        let at_once = cfg!(feature = "mesh") && deadline.is_some_and(|due| due <= Instant::now());
        if !at_once {
            alarm.set(deadline.unwrap_or_else(|| Instant::now() + far));
        }
        let time = async {
            if at_once {
                around.plane.shell.turn().await;
            } else {
                alarm.rings().await;
            }
            Woken::Time
        };
        let end = async {
            let _ = stop.recv().await;
            Woken::Stop
        };
        // What waits is heard before a timer is judged: after a pause of the process, frames that came in time count.
        let first = future::or(end, future::or(input, future::or(question, time))).await;
        match first {
            Woken::Input(first) => {
                around.input(engine, first);
                for _ in 1..Limits::BATCH {
                    let Ok(next) = inputs.try_recv() else { break };
                    around.input(engine, next);
                }
            }
            Woken::Asked(asked) => around.answer(engine, asked),
            Woken::Time => {}
            Woken::Stop => return,
        }
        if engine.deadline().is_some_and(|due| due <= Instant::now()) {
            engine.tick();
        }
        // A flood of frames must not keep the person who asks why from an answer.
        if let Ok(asked) = asked.try_recv() {
            around.answer(engine, asked);
        }
        #[cfg(feature = "mesh")]
        engine.grants_due();
        engine.drain();
        around.care(engine);
        #[cfg(feature = "mesh")]
        if engine.leaves_at().is_some_and(|at| at <= Instant::now()) {
            return;
        }
        watchdog.turned(|| engine.summary());
    }
}

impl<Sh: Shell> Around<'_, Sh> {
    fn input<S: Store>(&self, engine: &mut Engine<S>, input: Input) {
        let plane = self.plane;
        match input {
            // A flow is a task of its own, and no business of the core's.
            Input::Flow { peer, header, flow } => {
                plane.clone().neighbour(peer, header, flow);
            }
            Input::Packets { peer, header, flow } => {
                spawn(&*plane.shell, plane.clone().neighbour_packets(peer, *header, flow));
            }
            Input::Enrol { stream } => {
                if let Some(desk) = engine.desk() {
                    spawn(&*plane.shell, converse(stream, desk, self.ask.clone()));
                }
            }
            input => {
                engine.transport(input);
                engine.act();
            }
        }
    }

    fn answer<S: Store>(&self, engine: &mut Engine<S>, asked: Asked) {
        let Asked { ask, reply, caller } = asked;
        if caller.is_gone() {
            tracing::debug!("a request was dropped: its client has gone");
            return;
        }
        let outcome = match ask {
            Ask::Admin(Request::ExposeAdd { expose }) => self.expose(engine, expose),
            #[cfg(feature = "mesh")]
            Ask::Admin(Request::Drain { deadline_s, stay }) => self.drain(engine, deadline_s, stay),
            #[cfg(feature = "mesh")]
            Ask::Admin(Request::PolicyPlan { rules }) => match engine.policy_plan(rules) {
                Ok(under_way) => return self.plan(engine, Box::new(under_way), reply, caller),
                Err(why) => Outcome::Done(Err(why)),
            },
            #[cfg(feature = "mesh")]
            Ask::Admin(Request::Routes { service: None }) => {
                return self.list(engine, Box::default(), reply, caller);
            }
            #[cfg(feature = "mesh")]
            Ask::List(listing) => return self.list(engine, listing, reply, caller),
            #[cfg(feature = "mesh")]
            Ask::Plan(under_way) => return self.plan(engine, under_way, reply, caller),
            Ask::Admin(request) => engine.request(request),
            Ask::Enrol(enrol) => engine.enrol(&enrol),
            Ask::Health(label, healthy) => return engine.checked(label, healthy),
            #[cfg(feature = "mesh")]
            Ask::Watch(ask) => return engine.watch_asked(ask),
            #[cfg(feature = "mesh")]
            Ask::Trouble(label) => return engine.weigh(label),
            #[cfg(feature = "mesh")]
            Ask::UnderWay(mesh) => return engine.under_way(mesh),
            #[cfg(feature = "mesh")]
            Ask::Granted(told) => return engine.has_grants(told),
            Ask::Renewed(result) => {
                if let Some(write) = engine.renewed(*result) {
                    self.write(write, "the new certificate");
                }
                return;
            }
        };
        #[cfg(feature = "mesh")]
        let judged = matches!(outcome, Outcome::Judged(..)).then(|| engine.judged());
        let (ports, write, answer) = match outcome {
            Outcome::Done(result) => {
                // The asker may have gone away.
                let _ = reply.try_send(result);
                return;
            }
            Outcome::Write(write, answer) => (Vec::new(), write, answer),
            #[cfg(feature = "mesh")]
            Outcome::Judged(write, answer) => (Vec::new(), write, answer),
            Outcome::Closed(ports, write, answer) => (ports, write, answer),
        };
        let written = self.persist.write(write);
        spawn(&*self.plane.shell, async move {
            for port in ports {
                port.close().await;
            }
            let written = written.await;
            #[cfg(feature = "mesh")]
            if let Some(judged) = judged {
                // Nothing is ever sent.
                let _ = judged.recv().await;
            }
            let result = match written {
                Ok(()) => Ok(answer),
                Err(Unwritten::Owed(error)) => {
                    let why = format!(
                        "it is in force, but not yet on the disk, and a stop now would lose it ({error}); the node tries \
                         again, and 'status' shows until when something is missing"
                    );
                    Ok(Answer::Unwritten { why, done: Box::new(answer) })
                }
                Err(Unwritten::Lost(error)) => Err(format!(
                    "it is in force now, but will be lost at the next start, for it could not be written: {error}"
                )),
            };
            let _ = reply.try_send(result);
        });
    }

    /// A piece of a plan. The next one waits in the row with what others ask.
    #[cfg(feature = "mesh")]
    fn plan<S: Store>(
        &self,
        engine: &Engine<S>,
        mut under_way: Box<UnderWay>,
        reply: Sender<Result<Answer, String>>,
        caller: Caller,
    ) {
        if let Some(result) = engine.plan_on(&mut under_way) {
            // The asker may have gone away.
            let _ = reply.try_send(result);
            return;
        }
        let ask = self.ask.clone();
        spawn(&*self.plane.shell, async move {
            // The node may be stopping.
            let _ = ask.send(Asked { ask: Ask::Plan(under_way), reply, caller }).await;
        });
    }

    /// A piece of a list of all routes, as with a plan.
    #[cfg(feature = "mesh")]
    fn list<S: Store>(
        &self,
        engine: &mut Engine<S>,
        mut listing: Box<Listing>,
        reply: Sender<Result<Answer, String>>,
        caller: Caller,
    ) {
        let done = engine.list_on(&mut listing).then(|| engine.remembered_rows());
        let ask = self.ask.clone();
        spawn(&*self.plane.shell, async move {
            match done {
                Some(remembered) => drop(reply.try_send(Ok(Answer::Routes(listing.rows(remembered))))),
                None => drop(ask.send(Asked { ask: Ask::List(listing), reply, caller }).await),
            }
        });
    }

    /// Asks the program that carries flows whether it has what neighbours were granted.
    #[cfg(feature = "mesh")]
    fn ask_for_grants<S: Store>(&self, engine: &mut Engine<S>) {
        let Some(mesh) = engine.tables.mesh().get() else { return };
        let Some(told) = engine.granting.question() else { return };
        let (settled, shell, ask) = (mesh.settled(), self.plane.shell.clone(), self.ask.clone());
        spawn(&*self.plane.shell, async move {
            let _ = timeout(&*shell, Limits::GRANTED, settled).await;
            let (reply, _) = async_channel::bounded(1);
            // The node may be stopping.
            let _ = ask.send(Asked { ask: Ask::Granted(told), reply, caller: Caller::default() }).await;
        });
    }

    /// What is due beside events: rows to write, a certificate to renew.
    fn care<S: Store>(&self, engine: &mut Engine<S>) {
        #[cfg(feature = "mesh")]
        self.ask_for_grants(engine);
        if let Some(write) = engine.routes_to_save(false) {
            self.write(write, "the routes of this run");
        }
        if let Some(write) = engine.trust_to_save() {
            self.write(write, "the list of revoked nodes");
        }
        if let Some(write) = engine.time_to_save(false) {
            self.write(write, "the time that has passed");
        }
        let this = match engine.renewal_due(self.prefer_chacha) {
            None => return,
            Some(Due::Own(result)) => {
                if let Some(write) = engine.renewed(*result) {
                    self.write(write, "the new certificate");
                }
                return;
            }
            Some(Due::Ask(this)) => this,
        };
        let (shell, ask) = (self.plane.shell.clone(), self.ask.clone());
        spawn(&*self.plane.shell, async move {
            let tcp = |to| connect(&*shell, to);
            let result = renew(shell.runtime(), &tcp, shell.resolver(), *this).await;
            let (reply, _) = async_channel::bounded(1);
            // The node may be stopping.
            let _ = ask
                .send(Asked { ask: Ask::Renewed(Box::new(result)), reply, caller: Caller::default() })
                .await;
        });
    }

    /// Writes something that nobody waits for.
    fn write(&self, write: Write, what: &'static str) {
        let written = self.persist.write(write);
        spawn(&*self.plane.shell, async move {
            if let Err(error) = written.await {
                tracing::warn!(what, error = error.why(), "cannot be written down");
            }
        });
    }
}
