//! Flows that stand still, because who should take their bytes does not.
//!
//! Up to a stream's window of each lies here unread, and counts against the window of the whole connection: so many of
//! them, and no flow could go on, nor begin. QUIC and the multiplexer alike have no way to take a window back, so that
//! only a few may stand at one time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use catalyst_tunnel::Refusal;
use catalyst_tunnel::names::NodeName;

use crate::control::FlowControl;
use crate::limits::Limits;
use crate::rt::{Bell, Rt, lock};

/// The flows of one connection.
#[derive(Debug)]
pub(crate) struct Standing {
    most: usize,
    /// What goes on over this connection may rest for so long on its way.
    onward: Duration,
    /// Those that are gone are taken out when room is needed.
    flows: Mutex<Vec<Weak<Flow>>>,
    /// There are more than may stand still.
    many: Bell,
}

/// Which of a flow's counters says that bytes from the peer are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taken {
    Up,
    Down,
}

#[derive(Debug)]
struct Meter {
    control: Arc<FlowControl>,
    taken: Taken,
    /// Its reader may rest for so many looks.
    patience: u32,
}

#[derive(Debug, Default)]
struct Flow {
    waits: AtomicBool,
    /// It was told to go, and does as soon as it has its turn.
    goes: AtomicBool,
    meter: OnceLock<Meter>,
    /// Of the watch alone: the counter at its last look, and looks since it last changed.
    looks: Mutex<(u64, u32)>,
}

impl Flow {
    fn look(&self) -> u32 {
        let Some(meter) = self.meter.get().filter(|_| !self.goes.load(Ordering::Relaxed)) else { return 0 };
        let taken = match meter.taken {
            Taken::Up => meter.control.up(),
            Taken::Down => meter.control.down(),
        };
        let mut looks = lock(&self.looks);
        *looks = match *looks {
            (last, times) if last == taken && !self.waits.load(Ordering::Relaxed) => (last, times + 1),
            _ => (taken, 0),
        };
        looks.1
    }
}

/// A flow's place among them; gone with the flow.
#[derive(Debug)]
pub(crate) struct Mark {
    flow: Arc<Flow>,
    /// Of the connection: as `Standing::onward`.
    onward: Duration,
}

impl Mark {
    pub fn new(standing: &Standing) -> Self {
        let flow = Arc::new(Flow { waits: AtomicBool::new(true), ..Flow::default() });
        let mut flows = lock(&standing.flows);
        if flows.len() == flows.capacity() {
            flows.retain(|flow| flow.strong_count() > 0);
        }
        flows.push(Arc::downgrade(&flow));
        if flows.len() > standing.most {
            standing.many.ring();
        }
        Mark { flow, onward: standing.onward }
    }

    /// Nothing unread lies here, as far as the reader knows.
    pub fn waits(&self, waits: bool) {
        self.flow.waits.store(waits, Ordering::Relaxed);
    }

    /// Where to see whether it moves, and how to end it. `onward` is the flow that takes its bytes, if it is no socket.
    /// The first call counts.
    pub fn meter(&self, control: &Arc<FlowControl>, taken: Taken, onward: Option<&Mark>) {
        let patience = onward.map_or(Limits::STANDING, |mark| mark.onward.max(Limits::STANDING));
        let looks = patience.as_millis() / Limits::STANDING_LOOK.as_millis();
        let patience = u32::try_from(looks).unwrap_or(u32::MAX);
        let _ = self.flow.meter.set(Meter { control: Arc::clone(control), taken, patience });
    }
}

impl Standing {
    pub fn new(limits: &Limits, onward: Duration) -> Arc<Self> {
        let most = limits.standing_flows();
        Arc::new(Standing { most, onward, flows: Mutex::default(), many: Bell::new() })
    }

    /// Cuts those that are too many, for ever. Costs nothing while the connection has few flows.
    pub async fn watch(&self, rt: &Rt, peer: &NodeName, cut: &AtomicU64) {
        loop {
            while self.alive().len() <= self.most {
                self.many.heard().await;
            }
            rt.sleep(Limits::STANDING_LOOK).await;
            let flows = self.look();
            if flows > 0 {
                cut.fetch_add(flows as u64, Ordering::Relaxed);
                let most = self.most;
                tracing::info!(%peer, flows, most, "flows were reset: nobody takes their bytes, and they held up others");
            }
        }
    }

    fn alive(&self) -> Vec<Arc<Flow>> {
        let mut flows = lock(&self.flows);
        flows.retain(|flow| flow.strong_count() > 0);
        flows.iter().filter_map(Weak::upgrade).collect()
    }

    /// Looks at all once; returns how many had to go, those first that stand longest.
    fn look(&self) -> usize {
        let looked = self.alive().into_iter().map(|flow| (flow.look(), flow));
        let mut standing: Vec<_> = looked.filter(|(looks, _)| *looks > 1).collect();
        let mut cut = 0;
        for _ in self.most..standing.len() {
            let longest = standing.iter().enumerate().max_by_key(|(_, (looks, _))| *looks).map(|(at, _)| at);
            let Some((looks, flow)) = longest.map(|at| standing.swap_remove(at)) else { break };
            if let Some(meter) = flow.meter.get().filter(|meter| looks >= meter.patience) {
                flow.goes.store(true, Ordering::Relaxed);
                meter.control.cut(Refusal::StoodStill);
                cut += 1;
            }
        }
        cut
    }
}
