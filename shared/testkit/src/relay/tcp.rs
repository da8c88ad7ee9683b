//! The relay for TCP: delay and rate, connections that stand still, connections that end.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::line::{Line, Waiting};

/// A thread looks so often whether anything has changed.
const LOOK: Duration = Duration::from_millis(5);

/// A relay. Its connections end when it is dropped, and its threads with them.
#[derive(Debug)]
pub struct TcpRelay {
    inner: Arc<Inner>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Inner {
    hold: AtomicBool,
    stop: AtomicBool,
    line: Mutex<Line>,
    open: Mutex<Vec<TcpStream>>,
    taken: AtomicUsize,
    target: SocketAddr,
}

/// One direction of one connection: what was read and waits for its time.
#[derive(Debug)]
struct Pipe {
    waiting: Mutex<(Waiting, bool)>,
    news: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TcpRelay {
    /// Relays from `at` to `target`.
    ///
    /// # Errors
    /// When `at` is taken.
    pub fn at(at: SocketAddr, target: SocketAddr) -> io::Result<TcpRelay> {
        let listener = TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            hold: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            line: Mutex::new(Line::CLEAR),
            open: Mutex::default(),
            taken: AtomicUsize::new(0),
            target,
        });
        let own = Arc::clone(&inner);
        thread::spawn(move || {
            while !own.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A client whose target is not there loses its connection.
                    Ok((near, _)) => drop(own.join(near)),
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        Ok(TcpRelay { inner, address })
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Both directions are like this for connections that come from now on.
    pub fn line(&self, line: Line) {
        *lock(&self.inner.line) = line;
    }

    /// From now on nothing moves, or moves again; connections stay.
    pub fn hold(&self, hold: bool) {
        self.inner.hold.store(hold, Ordering::Relaxed);
    }

    /// Ends every connection.
    pub fn drop_all(&self) {
        for socket in lock(&self.inner.open).drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Connections taken since the start.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.inner.taken.load(Ordering::Relaxed)
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Relaxed);
        self.drop_all();
    }
}

impl Inner {
    fn join(self: &Arc<Self>, near: TcpStream) -> io::Result<()> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        near.set_nonblocking(false)?;
        let far = TcpStream::connect(self.target)?;
        for (from, to) in [(&near, &far), (&far, &near)] {
            from.set_nodelay(true)?;
            from.set_read_timeout(Some(LOOK))?;
            lock(&self.open).push(from.try_clone()?);
            let mut waiting = Waiting::new(0);
            waiting.line = *lock(&self.line);
            let pipe = Arc::new(Pipe { waiting: Mutex::new((waiting, false)), news: Condvar::new() });
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            let (own, out) = (Arc::clone(self), Arc::clone(&pipe));
            thread::spawn(move || own.read(from, &pipe));
            let own = Arc::clone(self);
            thread::spawn(move || own.write(to, &out));
        }
        Ok(())
    }

    fn read(&self, mut from: TcpStream, pipe: &Pipe) {
        let mut buf = [0; 16 * 1024];
        while !self.stop.load(Ordering::Relaxed) {
            if self.hold.load(Ordering::Relaxed) || lock(&pipe.waiting).0.is_full() {
                thread::sleep(LOOK);
                continue;
            }
            match from.read(&mut buf) {
                Ok(0) => break,
                Ok(len) => {
                    lock(&pipe.waiting).0.push(Instant::now(), buf.get(..len).unwrap_or_default(), true);
                    pipe.news.notify_one();
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        lock(&pipe.waiting).1 = true;
        pipe.news.notify_one();
    }

    fn write(&self, mut to: TcpStream, pipe: &Pipe) {
        let mut waiting = lock(&pipe.waiting);
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if let Some(bytes) = waiting.0.pop(now) {
                drop(waiting);
                if to.write_all(&bytes).is_err() {
                    break;
                }
                waiting = lock(&pipe.waiting);
                continue;
            }
            let pause = match waiting.0.due() {
                Some(due) => due.saturating_duration_since(now).min(LOOK),
                None if waiting.1 => break,
                None => LOOK,
            };
            waiting = pipe.news.wait_timeout(waiting, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}
