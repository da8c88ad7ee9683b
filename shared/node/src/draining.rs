//! `node drain` and `node undrain`: what the engine does for them, and the task that looks what is under way.

use std::time::{Duration, Instant};

use async_channel::{Sender, bounded};
use catalyst_config::LinkProfile;
use catalyst_control::Event;
use catalyst_route_table::Store;
use futures_lite::future;
use tracing::{info, warn};

use crate::admin::Answer;
use crate::adopt::{sleep_until, spawn, timeout};
use crate::caller::Caller;
use crate::drain::{Drain, DrainRow, Draining, UnderWay};
use crate::engine::{Engine, Outcome};
use crate::limits::Limits;
use crate::serve::{Ask, Asked};
use crate::shell::Shell;
use crate::turns::Around;

/// How long neighbours must have left this node alone: the word that they should has its way to go, to their neighbours
/// too, and what goes out at once is not what comes in at once.
fn quiet(profile: LinkProfile) -> Duration {
    Duration::from_secs(match profile {
        LinkProfile::Lan => 1,
        LinkProfile::Wan => 2,
        LinkProfile::Cellular => 5,
        LinkProfile::Satellite => 10,
    })
}

impl<Sh: Shell> Around<'_, Sh> {
    /// Begins a drain.
    pub(crate) fn drain<S: Store>(&self, engine: &mut Engine<S>, deadline_s: u64, stay: bool) -> Outcome {
        let (here, gone) = bounded::<()>(1);
        let row = match engine.drain_begins(Duration::from_secs(deadline_s), stay, here) {
            Ok(row) => row,
            Err(why) => return Outcome::Done(Err(why)),
        };
        let (shell, ask) = (self.plane.shell.clone(), self.ask.clone());
        let mesh = self.plane.tables.mesh().get().cloned();
        let looking = async move {
            loop {
                let seen = match &mesh {
                    None => Some(UnderWay::default()),
                    Some(mesh) => timeout(&*shell, Limits::DRAIN_ASK, mesh.under_way()).await.flatten(),
                };
                let asked =
                    Asked { ask: Ask::UnderWay(seen), reply: bounded(1).0, caller: Caller::default() };
                if ask.send(asked).await.is_err() {
                    return;
                }
                sleep_until(&*shell, Instant::now() + Limits::DRAIN_LOOK).await;
            }
        };
        let over = async move {
            // Nothing is ever sent.
            let _ = gone.recv().await;
        };
        spawn(&*self.plane.shell, future::or(looking, over));
        Outcome::Done(Ok(Answer::Drain(Box::new(row))))
    }
}

impl<S: Store> Engine<S> {
    fn drain_begins(
        &mut self,
        deadline: Duration,
        stay: bool,
        looking: Sender<()>,
    ) -> Result<DrainRow, String> {
        let now = self.clocks.now().mono;
        if deadline.is_zero() || deadline > Limits::DRAIN_MOST {
            let most = Limits::DRAIN_MOST.as_secs() / 3_600;
            return Err(format!("the deadline of a drain is between 1 s and {most} h"));
        }
        if let Some(row) = self.drain_row().filter(|row| !row.is_over() || !row.stay) {
            return Err(format!(
                "this node drains already, for {} s ({}); 'status' shows it, 'node undrain' takes it back",
                row.for_s,
                row.line()
            ));
        }
        let profiles = self.facts.config.peers.iter().map(|p| p.profile);
        let quiet = profiles.map(quiet).max().unwrap_or_default();
        let nobody = self.core.state().peers().next().is_none();
        info!(deadline_s = deadline.as_secs(), stay, "the node drains: neighbours are to use other ways");
        self.feed(&Event::DrainChanged(true));
        let mut drain = Drain::begin(now, deadline, quiet, stay);
        if nobody {
            drain.skip(now);
        }
        let row = drain.row(now);
        self.facts.draining = Some(Draining { drain, looking });
        Ok(row)
    }

    /// Takes a drain back.
    pub(crate) fn undrain(&mut self) -> Result<Answer, String> {
        match self.facts.draining.take_if(|draining| draining.drain.leave_at().is_none()) {
            Some(_) => {
                info!("the node does not drain any more: neighbours may use it as before");
                self.feed(&Event::DrainChanged(false));
                Ok(Answer::Drain(Box::new(DrainRow::none())))
            }
            None if self.facts.draining.is_some() => {
                Err("too late: this node is drained and stops".to_string())
            }
            None => Err("this node does not drain; 'node drain' begins it".to_string()),
        }
    }

    /// What neighbours have under way in the program that carries flows, as far as it says.
    pub(crate) fn under_way(&mut self, mesh: Option<UnderWay>) {
        let now = self.clocks.now().mono;
        let told = self.core.all_told();
        let seen = mesh.map(|mesh| mesh.and(self.tables.of_neighbours()));
        let Some(draining) = &mut self.facts.draining else { return };
        if draining.drain.look(now, told, seen) {
            let row = draining.drain.row(now);
            match row.is_late() {
                true => warn!(flows = row.flows, stay = row.stay, "{}", row.line()),
                false => info!(stay = row.stay, after_s = row.for_s, "{}", row.line()),
            }
        }
    }

    /// How far the drain is, if there is one.
    pub(crate) fn drain_row(&self) -> Option<DrainRow> {
        let now = self.clocks.now().mono;
        self.facts.draining.as_ref().map(|draining| draining.drain.row(now))
    }

    /// When the node stops by itself.
    pub(crate) fn leaves_at(&self) -> Option<Instant> {
        let at = self.facts.draining.as_ref().and_then(|draining| draining.drain.leave_at());
        at.map(|at| self.clocks.at(at))
    }
}
