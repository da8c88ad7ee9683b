//! One epoll instance, what it told, and the wait.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use slab::Slab;

use crate::known::Entry;
use crate::timers::{Key, Timers};

/// Changes that one wait takes. When full: the next wait, which does not sleep, takes the others.
const EVENTS: usize = 64;
/// What the bell is registered as; no slab has so many entries.
const BELL: u64 = u64::MAX;

/// The thread's reactor. Clones are the same one.
#[derive(Clone)]
pub struct Reactor(Arc<Inner>);

struct Inner {
    epoll: OwnedFd,
    /// An eventfd: a write ends the wait. It is never read; each write is a change of its own (eventfd(2)).
    bell: OwnedFd,
    /// The task of [`Reactor::block_on`] wants to go on.
    rung: AtomicBool,
    /// The thread waits, or is about to.
    asleep: AtomicBool,
    sources: Mutex<Slab<Entry>>,
    timers: Mutex<Timers>,
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reactor")
    }
}

/// Locks; a thread that died while it held the lock left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Ends the wait, if there is one.
    fn ring(&self) {
        if self.asleep.load(SeqCst) {
            // It fails only when the counter is full, and then the wait has ended long ago.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, SeqCst) {
            self.ring();
        }
    }
}

impl Reactor {
    /// A reactor without sources.
    ///
    /// # Errors
    /// What the system says: no descriptor is left, or no memory.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), flags)?;
        Ok(Reactor(Arc::new(Inner {
            epoll,
            bell,
            rung: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            sources: Mutex::default(),
            timers: Mutex::default(),
        })))
    }

    /// Runs `future`, and meanwhile wakes whoever waits for this reactor's sources and timers. One thread does so at a
    /// time. A large future had better be boxed: it stays on the stack.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let waker = Waker::from(self.0.clone());
        let mut cx = Context::from_waker(&waker);
        let mut events = Vec::with_capacity(EVENTS);
        let mut due = Vec::new();
        self.0.rung.store(true, SeqCst);
        loop {
            if self.0.rung.swap(false, SeqCst)
                && let Poll::Ready(done) = future.as_mut().poll(&mut cx)
            {
                // If this ran within another one, whose wish to go on it may have taken.
                self.0.rung.store(true, SeqCst);
                return done;
            }
            self.turn(&mut events, &mut due);
        }
    }

    /// Waits for the next change or timer, or looks once if the task wants to go on; wakes who waited for it.
    fn turn(&self, events: &mut Vec<epoll::Event>, due: &mut Vec<Waker>) {
        self.0.asleep.store(true, SeqCst);
        let timeout = if self.0.rung.load(SeqCst) { Some(Duration::ZERO) } else { self.until_next() };
        events.clear();
        // It fails when a signal came, or not at all.
        let _ = epoll::wait(&self.0.epoll, spare_capacity(events), timeout.map(whole_millis).as_ref());
        self.0.asleep.store(false, SeqCst);
        if !events.is_empty() {
            let mut sources = lock(&self.0.sources);
            for event in events.iter() {
                let Ok(key) = usize::try_from(event.data.u64()) else { continue };
                // None: the bell, or a source that went away in this very turn.
                if let Some(entry) = sources.get_mut(key) {
                    entry.changed(event.flags, due);
                }
            }
        }
        let mut timers = lock(&self.0.timers);
        if timers.next().is_some() {
            timers.expire(Instant::now(), due);
        }
        drop(timers);
        // Where no lock is held: whoever is woken may drop sources and timers.
        due.drain(..).for_each(Waker::wake);
    }

    fn until_next(&self) -> Option<Duration> {
        let next = lock(&self.0.timers).next()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Registers a descriptor for both directions, once and for all.
    pub(crate) fn register(&self, io: impl AsFd, entry: Entry) -> io::Result<usize> {
        let mut sources = lock(&self.0.sources);
        let vacant = sources.vacant_entry();
        let key = vacant.key();
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::PRI
            | epoll::EventFlags::ET;
        epoll::add(&self.0.epoll, io, epoll::EventData::new_u64(key as u64), flags)?;
        vacant.insert(entry);
        Ok(key)
    }

    pub(crate) fn forget(&self, io: impl AsFd, key: usize) {
        // It is closed next in any case.
        let _ = epoll::delete(&self.0.epoll, io);
        let gone = lock(&self.0.sources).try_remove(key);
        // A waker may own a task with sources of its own: not under the lock, which this statement's end gave back.
        drop(gone);
    }

    /// Looks at what is known of a source.
    pub(crate) fn with<T>(&self, key: usize, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        lock(&self.0.sources).get_mut(key).map(look)
    }

    /// Wakes `waker` at `at`; `old` is the place that this timer has already.
    pub(crate) fn set_timer(&self, old: Option<Key>, at: Instant, waker: &Waker) -> Key {
        let waker = waker.clone();
        let mut timers = lock(&self.0.timers);
        let (key, gone) = match old {
            Some(key) if key.at <= at => match timers.renew(key, waker) {
                Ok(gone) => (key, Some(gone)),
                Err(waker) => (timers.set(at, waker), None),
            },
            Some(later) => {
                let gone = timers.clear(later);
                (timers.set(at, waker), gone)
            }
            None => (timers.set(at, waker), None),
        };
        let first = timers.next() == Some(key.at);
        drop(timers);
        drop(gone);
        if first {
            // Only where another thread sets a timer is there a wait that would last too long.
            self.0.ring();
        }
        key
    }

    pub(crate) fn clear_timer(&self, key: Key) {
        let gone = lock(&self.0.timers).clear(key);
        drop(gone);
    }
}

/// Rounded up: a wait that ends too early would be followed by others of no length.
fn whole_millis(time: Duration) -> Timespec {
    let millis =
        i64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX).min(i64::from(i32::MAX));
    Timespec { tv_sec: millis / 1_000, tv_nsec: millis % 1_000 * 1_000_000 }
}
