//! The relay for UDP: one dialling program on one side, one listening program on the other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::line::{Fate, Line, Waiting};

/// A reader looks so often whether it is to end, or to read from another socket.
const LOOK: Duration = Duration::from_millis(20);
/// The longest UDP packet.
const PACKET: usize = 65_536;

/// A relay for one dialling program; what comes back goes to where the last packet came from. Ends when dropped.
#[derive(Debug)]
pub struct Relay {
    inner: Arc<Inner>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// Packets of one direction since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Went on.
    pub passed: u64,
    /// Lost by chance, or while the line was cut.
    pub lost: u64,
    /// Lost because the queue was full.
    pub full: u64,
}

#[derive(Debug)]
struct Inner {
    near: UdpSocket,
    /// The last one is in use. The others stay bound, so that what is sent to them vanishes, as behind a NAT that has
    /// forgotten, and nobody hears of it by ICMP.
    far: Mutex<Vec<Arc<UdpSocket>>>,
    target: SocketAddr,
    dialler: Mutex<Option<SocketAddr>>,
    there: Direction,
    back: Direction,
    stop: AtomicBool,
}

#[derive(Debug)]
struct Direction {
    waiting: Mutex<Waiting>,
    news: Condvar,
    cut: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
    full: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn far(target: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let any = if target.ip().is_loopback() { target.ip() } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(target)?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(Arc::new(socket))
}

impl Relay {
    /// From a port of its own on this machine to `target`, as a clear line.
    ///
    /// # Errors
    /// Without sockets.
    pub fn to(target: SocketAddr) -> io::Result<Relay> {
        Relay::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), target, 0)
    }

    /// From `at` to `target`; the seed decides what is lost, once a line loses anything.
    ///
    /// # Errors
    /// Without sockets.
    pub fn at(at: SocketAddr, target: SocketAddr, seed: u64) -> io::Result<Relay> {
        let near = UdpSocket::bind(at)?;
        near.set_read_timeout(Some(LOOK))?;
        let address = near.local_addr()?;
        let inner = Arc::new(Inner {
            near,
            far: Mutex::new(vec![far(target)?]),
            target,
            dialler: Mutex::new(None),
            there: Direction::new(seed),
            back: Direction::new(!seed),
            stop: AtomicBool::new(false),
        });
        let threads: [fn(&Inner); 4] = [Inner::hear_near, Inner::hear_far, Inner::send_far, Inner::send_near];
        let start = |work: fn(&Inner)| {
            let inner = Arc::clone(&inner);
            std::thread::spawn(move || work(&inner))
        };
        let threads = threads.into_iter().map(start).collect();
        Ok(Relay { inner, address, threads })
    }

    /// Where the dialling program finds it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Both directions are like this from now on; what is under way keeps its time.
    pub fn line(&self, line: Line) {
        self.lines(line, line);
    }

    /// Each direction by itself: from the dialling program, and to it.
    pub fn lines(&self, there: Line, back: Line) {
        lock(&self.inner.there.waiting).line = there;
        lock(&self.inner.back.waiting).line = back;
    }

    /// From now on everything is lost, or passes again. What is under way is lost too.
    pub fn cut(&self, cut: bool) {
        self.cut_there(cut);
        self.cut_back(cut);
    }

    /// The same of what the dialling program sends.
    pub fn cut_there(&self, cut: bool) {
        self.inner.there.cut(cut);
    }

    /// The same of what comes back to it.
    pub fn cut_back(&self, cut: bool) {
        self.inner.back.cut(cut);
    }

    /// What the target hears comes from another port from now on, as behind a NAT that has forgotten. Returns it.
    ///
    /// # Errors
    /// Without a socket.
    pub fn rebind(&self) -> io::Result<SocketAddr> {
        let new = far(self.inner.target)?;
        let address = new.local_addr()?;
        lock(&self.inner.far).push(new);
        Ok(address)
    }

    /// What the dialling program has sent.
    #[must_use]
    pub fn there(&self) -> Counts {
        self.inner.there.counts()
    }

    /// What came back to it.
    #[must_use]
    pub fn back(&self) -> Counts {
        self.inner.back.counts()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Direction {
    fn new(seed: u64) -> Direction {
        Direction {
            waiting: Mutex::new(Waiting::new(seed)),
            news: Condvar::new(),
            cut: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            full: AtomicU64::new(0),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            passed: self.passed.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            full: self.full.load(Ordering::Relaxed),
        }
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
        if cut {
            let gone = lock(&self.waiting).clear();
            self.lost.fetch_add(gone, Ordering::Relaxed);
        }
    }

    fn take(&self, packet: &[u8]) {
        let mut waiting = lock(&self.waiting);
        if self.cut.load(Ordering::Relaxed) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match waiting.push(Instant::now(), packet, false) {
            Fate::Queued => self.news.notify_one(),
            Fate::Lost => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
            Fate::Full => drop(self.full.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Hands out packets as their time comes.
    fn give(&self, stop: &AtomicBool, mut send: impl FnMut(&[u8])) {
        let mut waiting = lock(&self.waiting);
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if let Some(packet) = waiting.pop(now) {
                drop(waiting);
                send(&packet);
                self.passed.fetch_add(1, Ordering::Relaxed);
                waiting = lock(&self.waiting);
                continue;
            }
            let pause = waiting.due().map_or(LOOK, |due| due.saturating_duration_since(now).min(LOOK));
            waiting = self.news.wait_timeout(waiting, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Inner {
    fn hear_near(&self) {
        let mut buf = vec![0; PACKET];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((len, sender)) = self.near.recv_from(&mut buf) else { continue };
            *lock(&self.dialler) = Some(sender);
            self.there.take(buf.get(..len).unwrap_or_default());
        }
    }

    fn hear_far(&self) {
        let mut buf = vec![0; PACKET];
        while !self.stop.load(Ordering::Relaxed) {
            let Some(far) = lock(&self.far).last().cloned() else { return };
            // A target that is gone answers with an ICMP error, which is nothing to a relay.
            let Ok(len) = far.recv(&mut buf) else { continue };
            if !lock(&self.far).last().is_some_and(|f| Arc::ptr_eq(f, &far)) {
                continue;
            }
            self.back.take(buf.get(..len).unwrap_or_default());
        }
    }

    fn send_far(&self) {
        self.there.give(&self.stop, |packet| {
            if let Some(far) = lock(&self.far).last() {
                let _ = far.send(packet);
            }
        });
    }

    fn send_near(&self) {
        self.back.give(&self.stop, |packet| {
            if let Some(dialler) = *lock(&self.dialler) {
                let _ = self.near.send_to(packet, dialler);
            }
        });
    }
}
