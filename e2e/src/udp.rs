//! Services and clients that speak UDP, in this process.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a client goes on asking before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions of a client that got no answer.
const RETRY: Duration = Duration::from_millis(300);
/// The longest packet.
const LONGEST: usize = 65_507;

/// Answers packets, in one thread. Its port closes when it is dropped.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    packets: Arc<AtomicUsize>,
    callers: Arc<Mutex<BTreeSet<SocketAddr>>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Service {
    /// Answers what `answer` makes of a packet.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Service {
        Service::start_at((Ipv4Addr::LOCALHOST, 0).into(), answer)
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When somebody has it.
    pub fn start_at(
        address: SocketAddr,
        mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) -> Service {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (packets, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let callers = Arc::new(Mutex::new(BTreeSet::new()));
        let (count, seen, ended) = (packets.clone(), callers.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; LONGEST + 1];
            while !ended.load(Ordering::SeqCst) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                seen.lock().unwrap().insert(from);
                if let Some(answer) = answer(&buffer[..len]) {
                    // The caller may be gone.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Service { address, packets, callers, stop, thread: Some(thread) }
    }

    /// Sends every packet back.
    #[must_use]
    pub fn echo() -> Service {
        Service::start(|packet| Some(packet.to_vec()))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Packets that have come.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.packets.load(Ordering::SeqCst)
    }

    /// From how many addresses they came.
    ///
    /// # Panics
    /// When its thread did.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.callers.lock().unwrap().len()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client with a port of its own that talks to one address.
#[derive(Debug)]
pub struct Client(UdpSocket);

impl Client {
    /// A new one.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn new(to: SocketAddr) -> Client {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(to).unwrap();
        Client(socket)
    }

    /// Sends one packet, and hopes.
    ///
    /// # Panics
    /// When the system does not take it.
    pub fn send(&self, packet: &[u8]) {
        self.0.send(packet).unwrap();
    }

    /// The next packet within this time.
    ///
    /// # Panics
    /// When the port is closed.
    #[must_use]
    pub fn heard(&self, within: Duration) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut buffer = vec![0; LONGEST + 1];
        match self.0.recv(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                Some(buffer)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("no packet from {:?}: {e}", self.0.peer_addr()),
        }
    }

    /// Sends a question again and again until this answer comes, as a client of UDP must. Other packets, late
    /// answers of earlier questions, are passed over. Returns how often it was sent.
    #[must_use]
    pub fn try_ask(&self, question: &[u8], answer: &[u8], patience: Duration) -> Option<usize> {
        let end = Instant::now() + patience;
        for tries in 1.. {
            self.send(question);
            let next = Instant::now() + RETRY;
            while let Some(left) = next.checked_duration_since(Instant::now()).filter(|t| !t.is_zero()) {
                if self.heard(left).is_some_and(|heard| heard == answer) {
                    return Some(tries);
                }
            }
            if Instant::now() >= end {
                break;
            }
        }
        None
    }

    /// The same; the answer must come.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ask(&self, question: &[u8], answer: &[u8]) -> usize {
        let tries = self.try_ask(question, answer, PATIENCE);
        tries.unwrap_or_else(|| panic!("no answer to a packet of {} bytes in {PATIENCE:?}", question.len()))
    }

    /// An echo of these bytes.
    #[track_caller]
    pub fn echo(&self, packet: &[u8]) -> usize {
        self.ask(packet, packet)
    }
}
