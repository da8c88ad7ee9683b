//! A UDP relay between a dialling node and a dialled one, whose line can be cut.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
