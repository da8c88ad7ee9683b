//! Clients that never rest: good ones, which check every byte, and bad ones.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use catalyst_e2e::tcp;

/// Between two deeds of one client, so that the machine is busy and not drowned.
const REST: Duration = Duration::from_millis(4);

/// How often each kind of client did what it does.
#[derive(Default)]
pub struct Counts {
    pub answers: AtomicU64,
    pub bytes: AtomicU64,
    pub broken: AtomicU64,
    pub resets: AtomicU64,
    pub stalls: AtomicU64,
    pub garbage: AtomicU64,
}

/// Where the load goes.
#[derive(Clone)]
pub struct Ports {
    /// Echo services behind nodes that live: every byte must come back.
    pub steady: Vec<SocketAddr>,
    /// Echo services behind a node that is killed now and then: flows may break, and must not lie.
    pub shaky: Vec<SocketAddr>,
    /// A service that talks without end.
    pub flood: SocketAddr,
    /// The peering port.
    pub peering: SocketAddr,
    /// An admin socket.
    pub admin: PathBuf,
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(ports: &Ports, counts: &Arc<Counts>) -> Load {
        let mut load = Load { stop: Arc::default(), threads: Vec::new() };
        for port in ports.steady.clone() {
            load.client(counts, move |counts, turn| {
                let sent = tcp::pattern(length(turn), turn);
                let got =
                    exchange(port, &sent).unwrap_or_else(|error| panic!("{port}, turn {turn}: {error}"));
                tcp::same(&got, &sent);
                counts.answers.fetch_add(1, Ordering::Relaxed);
                counts.bytes.fetch_add(sent.len() as u64, Ordering::Relaxed);
            });
            load.client(counts, move |counts, turn| {
                let Ok(mut stream) = tcp::try_connect(port) else { return };
                let _ = stream.write_all(&tcp::pattern(3_000, turn));
                tcp::reset(stream);
                counts.resets.fetch_add(1, Ordering::Relaxed);
            });
        }
        for port in ports.shaky.clone() {
            load.client(counts, move |counts, turn| {
                let sent = tcp::pattern(length(turn), turn);
                match exchange(port, &sent) {
                    Ok(got) if got.len() == sent.len() => {
                        tcp::same(&got, &sent);
                        counts.answers.fetch_add(1, Ordering::Relaxed)
                    }
                    // What came before the end is what was sent, in order.
                    Ok(got) => {
                        tcp::same(&got, &sent[..got.len()]);
                        counts.broken.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(_) => counts.broken.fetch_add(1, Ordering::Relaxed),
                };
            });
        }
        let flood = ports.flood;
        load.client(counts, move |counts, turn| {
            let stalled: Vec<TcpStream> = (0..4).filter_map(|_| tcp::try_connect(flood).ok()).collect();
            thread::sleep(Duration::from_millis(500));
            counts.stalls.fetch_add(stalled.len() as u64, Ordering::Relaxed);
            if turn % 2 == 0 {
                stalled.into_iter().for_each(tcp::reset);
            }
        });
        let (peering, admin) = (ports.peering, ports.admin.clone());
        load.client(counts, move |counts, turn| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let noise = tcp::pattern(1_200, turn);
            let _ = socket.send_to(&noise, peering);
            // As a QUIC packet begins: long header, version 1.
            let _ = socket.send_to(&[&[0xc3, 0, 0, 0, 1, 8][..], &noise[..1_190]].concat(), peering);
            if turn % 4 == 0
                && let Ok(mut stream) = UnixStream::connect(&admin)
            {
                let _ = stream.write_all(&noise);
                let _ = stream.write_all(b"\n{\"v\":1}\n");
            }
            counts.garbage.fetch_add(2, Ordering::Relaxed);
        });
        load
    }

    fn client(&mut self, counts: &Arc<Counts>, deed: impl Fn(&Counts, u64) + Send + 'static) {
        let (stop, counts) = (self.stop.clone(), counts.clone());
        self.threads.push(thread::spawn(move || {
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                deed(&counts, turn);
                turn += 1;
                thread::sleep(REST);
            }
        }));
    }

    /// Waits until every client has ended well.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client found something wrong");
        }
    }

    /// Whether a client ended early: it found something wrong.
    pub fn failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

/// Mostly small, now and then more than every window on the way.
fn length(turn: u64) -> usize {
    if turn % 50 == 49 { 2_000_000 } else { 100 + usize::try_from(turn % 40).unwrap() * 300 }
}

/// Sends and reads at the same time, to the end of both halves.
fn exchange(port: SocketAddr, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let stream = tcp::try_connect(port)?;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (&stream).write_all(sent)?;
            stream.shutdown(Shutdown::Write)
        });
        let mut got = Vec::with_capacity(sent.len());
        let read = (&stream).read_to_end(&mut got);
        let written = writer.join().unwrap();
        // A flow that was cut has still delivered what it has.
        if got.is_empty() && !sent.is_empty() {
            read?;
            written?;
        }
        Ok(got)
    })
}
