//! Flows that stand still, because who should take their bytes does not.
//!
//! Up to a stream's window of each lies here unread, and counts against the window of the whole connection: so many of
//! them, and no flow could go on, nor begin. QUIC and the multiplexer alike have no way to take a window back, so that
//! only a few may stand at one time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
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
    flows: Mutex<BTreeMap<u64, Arc<Flow>>>,
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
    meter: OnceLock<Meter>,
    /// Of the watch alone: the counter at its last look, and looks since it last changed.
    looks: Mutex<(u64, u32)>,
}

impl Flow {
    fn look(&self) -> u32 {
        let Some(meter) = self.meter.get() else { return 0 };
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
pub(crate) struct Mark {
    standing: Arc<Standing>,
    number: u64,
    flow: Arc<Flow>,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({})", self.number)
    }
}

impl Mark {
    pub fn new(standing: &Arc<Standing>, number: u64) -> Self {
        let flow = Arc::new(Flow { waits: AtomicBool::new(true), ..Flow::default() });
        let mut flows = lock(&standing.flows);
        flows.insert(number, Arc::clone(&flow));
        if flows.len() > standing.most {
            standing.many.ring();
        }
        Mark { standing: Arc::clone(standing), number, flow }
    }

    /// Nothing unread lies here, as far as the reader knows.
    pub fn waits(&self, waits: bool) {
        self.flow.waits.store(waits, Ordering::Relaxed);
    }

    /// Where to see whether it moves, and how to end it. `onward` is the flow that takes its bytes, if it is no socket.
    /// The first call counts.
    pub fn meter(&self, control: &Arc<FlowControl>, taken: Taken, onward: Option<&Mark>) {
        let patience = onward.map_or(Limits::STANDING, |mark| mark.standing.onward.max(Limits::STANDING));
        let looks = patience.as_millis() / Limits::STANDING_LOOK.as_millis();
        let patience = u32::try_from(looks).unwrap_or(u32::MAX);
        let _ = self.flow.meter.set(Meter { control: Arc::clone(control), taken, patience });
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        lock(&self.standing.flows).remove(&self.number);
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
            while lock(&self.flows).len() <= self.most {
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

    /// Looks at all once; returns how many had to go, those first that stand longest.
    fn look(&self) -> usize {
        let all: Vec<Arc<Flow>> = lock(&self.flows).values().cloned().collect();
        let mut standing: Vec<(u32, Arc<Flow>)> =
            all.into_iter().map(|flow| (flow.look(), flow)).filter(|(looks, _)| *looks > 1).collect();
        let excess = standing.len().saturating_sub(self.most);
        standing.sort_by_key(|(looks, _)| std::cmp::Reverse(*looks));
        let mut cut = 0;
        for (looks, flow) in standing.iter().take(excess) {
            if let Some(meter) = flow.meter.get().filter(|meter| *looks >= meter.patience) {
                meter.control.cut(Refusal::StoodStill);
                cut += 1;
            }
        }
        cut
    }
}
