//! Relays between a dialling node and a dialled one, for UDP and TCP, whose lines can be cut.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Stops its threads when dropped.
pub struct Relay {
    pub address: SocketAddr,
    cut: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Relays for one dialling node.
    pub fn to(target: SocketAddr) -> Relay {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.connect(target).unwrap();
        let address = near.local_addr().unwrap();
        let (cut, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let dialler = Arc::new(std::sync::Mutex::new(None));
        let mut threads = Vec::new();
        for there in [true, false] {
            let (near, far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let (cut, stop, dialler) = (Arc::clone(&cut), Arc::clone(&stop), Arc::clone(&dialler));
            threads.push(std::thread::spawn(move || {
                let mut buf = [0; 65_536];
                let from = if there { &near } else { &far };
                from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, sender)) = from.recv_from(&mut buf) else { continue };
                    if there {
                        *dialler.lock().unwrap() = Some(sender);
                    }
                    if cut.load(Ordering::Relaxed) {
                        continue;
                    }
                    // A target that is gone answers with an ICMP error, which is nothing to a relay.
                    let _ = match (there, *dialler.lock().unwrap()) {
                        (true, _) => far.send(&buf[..len]),
                        (false, Some(dialler)) => near.send_to(&buf[..len], dialler),
                        (false, None) => Ok(0),
                    };
                }
            }));
        }
        Relay { address, cut, stop, threads }
    }

    /// From now on everything is lost, or passes again.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The same for TCP. Its threads end with their connections.
pub struct TcpRelay {
    hold: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl TcpRelay {
    /// Relays from `at`; `None` when that port is taken.
    pub fn at(at: SocketAddr, target: SocketAddr) -> Option<TcpRelay> {
        let listener = TcpListener::bind(at).ok()?;
        listener.set_nonblocking(true).unwrap();
        let relay = TcpRelay { hold: Arc::default(), stop: Arc::default(), open: Arc::default() };
        let (hold, stop, open) = (Arc::clone(&relay.hold), Arc::clone(&relay.stop), Arc::clone(&relay.open));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok((near, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                near.set_nonblocking(false).unwrap();
                let Ok(far) = TcpStream::connect(target) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    from.set_nodelay(true).unwrap();
                    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                    open.lock().unwrap().push(from.try_clone().unwrap());
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (hold, stop) = (Arc::clone(&hold), Arc::clone(&stop));
                    std::thread::spawn(move || carry(from, to, &hold, &stop));
                }
            }
        });
        Some(relay)
    }

    /// From now on nothing moves, or moves again; connections stay.
    pub fn hold(&self, hold: bool) {
        self.hold.store(hold, Ordering::Relaxed);
    }

    /// Ends every connection.
    pub fn drop_all(&self) {
        for socket in self.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, hold: &AtomicBool, stop: &AtomicBool) {
    let mut buf = [0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        if hold.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        match from.read(&mut buf) {
            Ok(0) => break,
            Ok(len) => {
                if to.write_all(&buf[..len]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
