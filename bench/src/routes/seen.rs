//! What came out at the far side, whoever speaks there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A route that came, by its number in the table.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Which.
    pub index: usize,
    /// Withdrawn, or announced.
    pub withdrawn: bool,
}

/// Is shown every route as it comes, on whatever thread hears of it; must be quick.
pub type Watch = Box<dyn FnMut(Seen) + Send>;

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Counts what came, each route once.
pub struct Sink {
    present: Arc<AtomicUsize>,
    came: Receiver<(Seen, Instant)>,
    single: Arc<AtomicUsize>,
}

impl Sink {
    /// For so many routes; with what feeds it.
    pub fn new(routes: usize) -> (Sink, Watch) {
        let (present, single) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (tell, came): (Sender<(Seen, Instant)>, _) = channel();
        let mut there = vec![false; routes];
        let (count, one) = (present.clone(), single.clone());
        let watch = Box::new(move |seen: Seen| {
            let Some(place) = there.get_mut(seen.index) else { return };
            if *place == seen.withdrawn {
                *place = !seen.withdrawn;
                let step = if seen.withdrawn { usize::MAX } else { 1 };
                count.fetch_add(step, Ordering::Release);
            }
            if one.load(Ordering::Acquire) > 0 {
                // Nobody listens when the measurement is over.
                let _ = tell.send((seen, Instant::now()));
            }
        });
        (Sink { present, came, single }, watch)
    }

    /// Waits until so many routes are there; looks often enough for figures of milliseconds.
    pub fn until(&self, routes: usize) -> Result<Instant> {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = Instant::now();
            let there = self.present.load(Ordering::Acquire);
            if there == routes {
                return Ok(now);
            }
            if now > end {
                bail!("{there} routes are at the far side after {PATIENCE:?}, not {routes}");
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// From now on every route that comes is told one by one.
    pub fn single(&self) {
        self.single.store(1, Ordering::Release);
    }

    /// When the announcement of one route came.
    pub fn announced(&self, index: usize) -> Result<Instant> {
        loop {
            let (seen, at) = self.came.recv_timeout(PATIENCE)?;
            if seen.index == index && !seen.withdrawn {
                return Ok(at);
            }
        }
    }
}
