//! A timer that is moved without a system call.
//!
//! QUIC moves its timer with nearly every packet, mostly to a later moment. The reactor's own timer tells the reactor
//! of each move: a write to wake it, a wait that ends at once, a read. This one leaves the reactor's timer where it is
//! while the moment only moves away, and looks at the true moment when it fires.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::AsyncTimer;
use smol::Timer;

/// A timer of one connection.
#[derive(Debug)]
pub struct LazyTimer {
    /// When it is to fire.
    due: Instant,
    /// What the reactor was told; never later than `due`. `None` after it fired.
    armed: Option<Instant>,
    timer: Timer,
}

impl LazyTimer {
    /// Fires at `due`.
    pub fn new(due: Instant) -> Self {
        LazyTimer { due, armed: Some(due), timer: Timer::at(due) }
    }

    fn arm(&mut self) {
        self.armed = Some(self.due);
        self.timer.set_at(self.due);
    }
}

impl AsyncTimer for LazyTimer {
    fn reset(mut self: Pin<&mut Self>, due: Instant) {
        self.due = due;
        if self.armed.is_none_or(|armed| due < armed) {
            self.arm();
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let fired = ready!(Future::poll(Pin::new(&mut self.timer), cx));
            if fired >= self.due {
                self.armed = None;
                return Poll::Ready(());
            }
            self.arm();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    fn fires(timer: &mut LazyTimer) -> Instant {
        smol::block_on(poll_fn(|cx| Pin::new(&mut *timer).poll(cx)));
        Instant::now()
    }

    #[test]
    fn it_fires_at_the_last_moment_it_was_given() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut timer = LazyTimer::new(at(20));
        // Later: the reactor is not told.
        Pin::new(&mut timer).reset(at(60));
        assert_eq!(timer.armed, Some(at(20)));
        assert!(fires(&mut timer) >= at(60));
        // Earlier than what the reactor knows: it is told.
        Pin::new(&mut timer).reset(at(10_000));
        Pin::new(&mut timer).reset(at(80));
        assert_eq!(timer.armed, Some(at(80)));
        let fired = fires(&mut timer);
        assert!(fired >= at(80) && fired < at(5_000));
        // Again after it fired, at a moment that has passed.
        Pin::new(&mut timer).reset(at(1));
        assert!(fires(&mut timer) < at(5_000));
    }
}
