//! Who is to be woken when: pure, the clock is the caller's.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

/// A place in the table: its moment, and a number that makes it the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// When the waker is woken.
    pub at: Instant,
    number: u64,
}

/// The wakers by their moments. Whoever sets timers bounds their number: one a task that waits.
#[derive(Debug, Default)]
pub struct Timers {
    table: BTreeMap<Key, Waker>,
    last: u64,
}

impl Timers {
    /// Wakes `waker` at `at`, once.
    pub fn set(&mut self, at: Instant, waker: Waker) -> Key {
        self.last += 1;
        let key = Key { at, number: self.last };
        self.table.insert(key, waker);
        key
    }

    /// Puts another waker into a place that was not reached yet; the old one is returned, `Err` with the new one when
    /// the moment has come already.
    pub fn renew(&mut self, key: Key, waker: Waker) -> Result<Waker, Waker> {
        match self.table.get_mut(&key) {
            Some(old) => Ok(std::mem::replace(old, waker)),
            None => Err(waker),
        }
    }

    /// Takes a place out; the waker is for the caller to drop where no lock is held.
    pub fn clear(&mut self, key: Key) -> Option<Waker> {
        self.table.remove(&key)
    }

    /// The next moment.
    pub fn next(&self) -> Option<Instant> {
        self.table.first_key_value().map(|(key, _)| key.at)
    }

    /// Moves what is due at `now` to `due`, in order.
    pub fn expire(&mut self, now: Instant, due: &mut Vec<Waker>) {
        while let Some(first) = self.table.first_entry() {
            if first.key().at > now {
                return;
            }
            due.push(first.remove());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_due_comes_out_in_order_and_once() {
        let mut timers = Timers::default();
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let counts: Vec<Arc<Count>> = (0..4).map(|_| Arc::default()).collect();
        let waker = |n: usize| Waker::from(counts[n].clone());
        timers.set(at(30), waker(3));
        let first = timers.set(at(10), waker(0));
        let second = timers.set(at(10), waker(1));
        assert_ne!(first, second);
        let third = timers.set(at(20), waker(2));
        assert_eq!(timers.next(), Some(at(10)));

        let mut due = Vec::new();
        timers.expire(at(9), &mut due);
        assert!(due.is_empty());
        timers.expire(at(10), &mut due);
        assert_eq!(due.len(), 2);
        assert!(due[0].will_wake(&waker(0)) && due[1].will_wake(&waker(1)));
        due.drain(..).for_each(Waker::wake);

        assert!(timers.renew(first, waker(0)).is_err(), "the moment has come");
        assert!(timers.renew(third, waker(3)).unwrap().will_wake(&waker(2)));
        assert!(timers.clear(third).is_some());
        assert!(timers.clear(third).is_none());
        timers.expire(at(1_000), &mut due);
        assert_eq!(due.len(), 1);
        assert_eq!(timers.next(), None);
        let woken: Vec<usize> = counts.iter().map(|c| c.0.load(Ordering::Relaxed)).collect();
        assert_eq!(woken, [1, 1, 0, 0]);
    }
}
