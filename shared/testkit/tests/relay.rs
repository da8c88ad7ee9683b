//! The relay between real sockets: what it does to packets and streams is what it was told.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use catalyst_testkit::relay::{Line, Relay, TcpRelay};

const PATIENCE: Duration = Duration::from_secs(10);
const ANY: &str = "127.0.0.1:0";

fn udp() -> UdpSocket {
    let socket = UdpSocket::bind(ANY).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A service, a relay to it, and a client of the relay.
fn stage(seed: u64) -> (UdpSocket, Relay, UdpSocket) {
    let service = udp();
    let relay = Relay::at(ANY.parse().unwrap(), service.local_addr().unwrap(), seed).unwrap();
    let client = udp();
    client.connect(relay.address()).unwrap();
    (service, relay, client)
}

fn next(socket: &UdpSocket) -> (u8, SocketAddr) {
    let mut byte = [0];
    let (_, from) = socket.recv_from(&mut byte).expect("a packet in time");
    (byte[0], from)
}

/// Waits until the relay has judged so many packets.
fn judged(relay: &Relay, packets: u64) {
    let until = Instant::now() + PATIENCE;
    while relay.there().passed + relay.there().lost < packets {
        assert!(Instant::now() < until, "judged only {:?}", relay.there());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn packets_pass_both_ways_and_the_source_can_change() {
    let (service, relay, client) = stage(1);
    client.send(&[1]).unwrap();
    let (got, old) = next(&service);
    assert_eq!(got, 1);
    service.send_to(&[2], old).unwrap();
    assert_eq!(next(&client).0, 2);

    let new = relay.rebind().unwrap();
    assert_ne!(new, old);
    // Nobody is told that the old one is of no use: it is as if the packet had vanished.
    service.send_to(&[9], old).unwrap();
    client.send(&[3]).unwrap();
    assert_eq!(next(&service), (3, new));
    service.send_to(&[4], new).unwrap();
    assert_eq!(next(&client).0, 4);
}

/// Which of 300 packets arrive.
fn arrivals(seed: u64) -> Vec<u8> {
    let (service, relay, client) = stage(seed);
    relay.line(Line { loss: 20, ..Line::CLEAR });
    for n in 0..=250 {
        client.send(&[n]).unwrap();
        judged(&relay, u64::from(n) + 1);
    }
    (0..relay.there().passed).map(|_| next(&service).0).collect()
}

#[test]
fn the_seed_decides_which_packets_are_lost() {
    let got = arrivals(11);
    assert!((150..240).contains(&got.len()), "{} of 251 at 20 %", got.len());
    assert_eq!(got, arrivals(11));
    assert_ne!(got, arrivals(12));
}

#[test]
fn a_cut_line_loses_what_is_under_way_and_passes_again() {
    let (service, relay, client) = stage(1);
    relay.line(Line { delay: Duration::from_secs(600), ..Line::CLEAR });
    client.send(&[1]).unwrap();
    // It waits on the line, or has not got there yet: either way it is lost, and so is what comes after the cut.
    relay.cut(true);
    client.send(&[2]).unwrap();
    judged(&relay, 2);
    relay.line(Line::CLEAR);
    relay.cut(false);
    client.send(&[3]).unwrap();
    assert_eq!(next(&service).0, 3);
}

#[test]
fn delay_and_rate_take_their_time() {
    let (service, relay, client) = stage(1);
    let from = Instant::now();
    relay.line(Line { delay: Duration::from_millis(200), ..Line::CLEAR });
    client.send(&[1]).unwrap();
    assert_eq!(next(&service).0, 1);
    assert!(from.elapsed() >= Duration::from_millis(200));

    let listener = TcpListener::bind(ANY).unwrap();
    let relay = TcpRelay::at(ANY.parse().unwrap(), listener.local_addr().unwrap()).unwrap();
    relay.line(Line { delay: Duration::from_millis(100), rate: 100_000, ..Line::CLEAR });
    let from = Instant::now();
    let mut near = TcpStream::connect(relay.address()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.write_all(&[7; 40_000]).unwrap();
    near.shutdown(std::net::Shutdown::Write).unwrap();
    let mut got = Vec::new();
    far.read_to_end(&mut got).unwrap();
    assert_eq!(got, [7; 40_000]);
    assert!(from.elapsed() >= Duration::from_millis(500), "40 kB at 100 kB/s in {:?}", from.elapsed());
    far.write_all(b"back").unwrap();
    let mut back = [0; 4];
    near.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"back");
    relay.drop_all();
    assert!(!matches!(near.read(&mut back), Ok(1..)));
}
