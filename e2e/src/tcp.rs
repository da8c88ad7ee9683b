//! Services and clients that speak bare TCP, in this process.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// How long a socket may be silent before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A listener with one thread a connection. It closes when dropped; connections end with their handlers.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Service {
    /// Serves on a free port of the loopback.
    pub fn start(handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Service {
        Service::start_on(Ipv4Addr::LOCALHOST.into(), handler)
    }

    /// Serves on a free port of this address.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start_on(ip: IpAddr, handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Service {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        // A crowd that comes at once must not be lost between the system and this thread.
        SockRef::from(&listener).listen(4_096).unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended, handler) = (taken.clone(), stop.clone(), Arc::new(handler));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let handler = handler.clone();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                thread::spawn(move || handler(stream));
            }
        });
        Service { address, taken, stop, thread: Some(thread) }
    }

    /// Sends back what it gets; ends its side when the client has ended its own.
    #[must_use]
    pub fn echo() -> Service {
        Service::echo_on(Ipv4Addr::LOCALHOST.into())
    }

    /// The same on a free port of this address.
    #[must_use]
    pub fn echo_on(ip: IpAddr) -> Service {
        Service::start_on(ip, |mut stream| {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n) = stream.read(&mut buffer) {
                if n == 0 || stream.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connects; reads and writes have a deadline.
///
/// # Errors
/// As the socket says; a listener that resets at once may show here or at the first byte.
pub fn try_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// As [`try_connect`].
///
/// # Panics
/// When nobody accepts.
#[must_use]
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    try_connect(address).unwrap_or_else(|e| panic!("{address}: {e}"))
}

/// Closes with RST instead of FIN.
///
/// # Panics
/// When the system refuses.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Everything up to the other side's end.
///
/// # Errors
/// As the socket says: `ConnectionReset` after RST.
pub fn read_all(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    Ok(all)
}

/// Bytes in which no part looks like another: lost, doubled and swapped blocks all show.
#[must_use]
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut all = Vec::with_capacity(length + 8);
    while all.len() < length {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.extend_from_slice(&state.to_le_bytes());
    }
    all.truncate(length);
    all
}

/// Asserts that two long byte strings are equal, and says where they differ.
///
/// # Panics
/// When they are not.
#[track_caller]
pub fn same(got: &[u8], wanted: &[u8]) {
    assert_eq!(got.len(), wanted.len(), "another length");
    let differs = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert_eq!(differs, None, "the bytes differ from this offset on");
}
