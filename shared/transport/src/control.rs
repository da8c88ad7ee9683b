//! What the rest of the node sees of a running flow, and its way to end it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use catalyst_tunnel::Refusal;

use crate::held::{Held, Share};
use crate::rt::lock;

/// Its counters, and a way to cut it.
#[derive(Debug)]
pub struct FlowControl {
    held: Arc<Held>,
    up: AtomicU64,
    down: AtomicU64,
    /// The local socket is the service's: what goes up comes from it.
    serves: AtomicBool,
    cut: Mutex<(Option<Refusal>, Option<Waker>)>,
}

impl FlowControl {
    /// For one flow, which holds its bytes within this budget.
    #[must_use]
    pub fn new(held: &Arc<Held>) -> Arc<Self> {
        Arc::new(FlowControl {
            held: held.clone(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            serves: AtomicBool::new(false),
            cut: Mutex::default(),
        })
    }

    /// A part of the budget.
    #[must_use]
    pub fn share(&self) -> Share {
        Share::of(&self.held)
    }

    /// Bytes from the local socket to the peer.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes from the peer to the local socket.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// The local socket is the service's own, not its client's.
    pub fn serves(&self) {
        self.serves.store(true, Ordering::Relaxed);
    }

    /// Bytes so far: towards the service, and from it.
    pub fn carried(&self) -> (u64, u64) {
        let (up, down) = (self.up(), self.down());
        if self.serves.load(Ordering::Relaxed) { (down, up) } else { (up, down) }
    }

    /// Counts bytes from the local socket.
    pub fn add_up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes to the local socket.
    pub fn add_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Ends the flow now: both sockets are reset, with this reason for the peer. The first reason stays.
    pub fn cut(&self, why: Refusal) {
        let mut cut = lock(&self.cut);
        if cut.0.is_none() {
            cut.0 = Some(why);
        }
        if let Some(waker) = cut.1.take() {
            waker.wake();
        }
    }

    /// The reason if the flow was cut; else wakes the task when it is.
    pub fn poll_cut(&self, cx: &mut Context<'_>) -> Option<Refusal> {
        let mut cut = lock(&self.cut);
        if cut.0.is_none() && !cut.1.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            cut.1 = Some(cx.waker().clone());
        }
        cut.0
    }
}
