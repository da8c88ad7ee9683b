//! What QUIC wants of a runtime (`quinn::Runtime`): timers that are moved often, tasks, its UDP socket.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use async_executor::Executor;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller};
use slab::Slab;

use crate::known::Side;
use crate::reactor::Reactor;
use crate::source::Source;
use crate::timers::Key;

/// A reactor and an executor on one thread.
#[derive(Clone)]
pub struct OneThread {
    reactor: Reactor,
    executor: Arc<Executor<'static>>,
}

impl fmt::Debug for OneThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneThread")
    }
}

impl OneThread {
    /// With nothing to do yet.
    ///
    /// # Errors
    /// As [`Reactor::new`].
    pub fn new() -> io::Result<Self> {
        Ok(OneThread { reactor: Reactor::new()?, executor: Arc::new(Executor::new()) })
    }

    /// For sockets.
    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    /// For tasks.
    pub fn executor(&self) -> &Arc<Executor<'static>> {
        &self.executor
    }

    /// Runs `future` and the tasks beside it until it is done; the tasks stay where they are then.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.reactor.block_on(self.executor.run(future))
    }
}

impl Runtime for OneThread {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer { due: at, set: None, reactor: self.reactor.clone() })
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.executor.spawn(task).detach();
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Arc::new(Udp { state, source: Source::new(&self.reactor, socket)?, waiting: Arc::default() }))
    }
}

/// A timer that is moved without work for anyone. QUIC moves its timer with nearly every packet, mostly to a later
/// moment: the table keeps the earlier one, and when that comes the timer looks at the true moment.
#[derive(Debug)]
struct Timer {
    /// When it is to fire.
    due: Instant,
    /// Its place in the table, never later than `due` while a task waits.
    set: Option<Key>,
    reactor: Reactor,
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, due: Instant) {
        self.due = due;
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.due {
            if let Some(key) = self.set.take() {
                self.reactor.clear_timer(key);
            }
            return Poll::Ready(());
        }
        let key = self.reactor.set_timer(self.set, self.due, cx.waker());
        self.set = Some(key);
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.set {
            self.reactor.clear_timer(key);
        }
    }
}

/// The socket of a QUIC endpoint.
struct Udp {
    state: UdpSocketState,
    source: Source<UdpSocket>,
    waiting: Arc<Waiting>,
}

impl fmt::Debug for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Udp").field(&self.source.io().local_addr().ok()).finish()
    }
}

/// Connections that wait until their one socket takes packets again: a place for each [`Poller`].
#[derive(Default)]
struct Waiting(Mutex<Slab<Option<Waker>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Slab<Option<Waker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let woken: Vec<Waker> = self.lock().iter_mut().filter_map(|(_, place)| place.take()).collect();
        woken.into_iter().for_each(Waker::wake);
    }
}

/// One of them.
struct Poller {
    udp: Arc<Udp>,
    place: usize,
    /// Wakes all.
    all: Waker,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Poller").field(&self.udp).finish()
    }
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waker = Some(cx.waker().clone());
        if let Some(place) = self.udp.waiting.lock().get_mut(self.place) {
            std::mem::swap(place, &mut waker);
        }
        drop(waker);
        if self.udp.source.poll_writable(&Context::from_waker(&self.all)).is_pending() {
            return Poll::Pending;
        }
        let done = self.udp.waiting.lock().get_mut(self.place).and_then(Option::take);
        drop(done);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let gone = self.udp.waiting.lock().try_remove(self.place);
        drop(gone);
    }
}

impl AsyncUdpSocket for Udp {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let place = self.waiting.lock().insert(None);
        let all = Waker::from(self.waiting.clone());
        Box::pin(Poller { udp: self, place, all })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.source.try_call(Side::Write, |socket| self.state.send(socket.into(), transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_call(Side::Read, cx, |socket| self.state.recv(socket.into(), bufs, meta))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_connection_that_waits_for_the_socket_is_woken_once() {
        let waiting: Arc<Waiting> = Arc::default();
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        for count in &counts {
            waiting.lock().insert(Some(Waker::from(count.clone())));
        }
        waiting.lock().insert(None);
        for _ in 0..2 {
            waiting.clone().wake();
            let woken: Vec<usize> = counts.iter().map(|c| c.0.load(Ordering::Relaxed)).collect();
            assert_eq!(woken, [1, 1, 1]);
        }
    }
}
