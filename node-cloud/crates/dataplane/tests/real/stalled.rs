//! Clients that ask for much and read nothing, and services that read nothing: they harm nobody else, and cost Envoy no more
//! than is said in `Limits`.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use catalyst_dataplane::Via;
use catalyst_names::Protocol;

use crate::http1::Http1;
use crate::lab::{Node, PATIENCE, Pair, alone, pair, service, until, ways};
use crate::peers::{Served, echoes, served};

const HOST: &str = "web.acme.example";

/// How many bytes the services got rid of, or took.
type Moved = Arc<AtomicUsize>;

/// Under `/flood` all that anybody takes; under `/deaf` the body is never read; else a word.
fn web(ip: IpAddr, moved: Moved) -> Served {
    served(ip, move |stream| {
        let mut peer = Http1::of(stream);
        while let Some(request) = peer.head() {
            if request.head.starts_with("GET /flood ") {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
                flood(&mut peer.out, &moved);
                return;
            }
            if request.head.starts_with("POST /deaf ") {
                std::thread::sleep(Duration::from_secs(60));
                return;
            }
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

fn flood(out: &mut impl Write, moved: &AtomicUsize) {
    let much = [b'x'; 16_384];
    while out.write_all(&much).is_ok() {
        moved.fetch_add(much.len(), Ordering::Relaxed);
    }
}

/// `f` floods; all else comes back.
fn db(ip: IpAddr, moved: Moved) -> Served {
    served(ip, move |mut stream| {
        let mut first = [0; 4];
        while stream.read_exact(&mut first).is_ok() {
            if &first == b"flod" {
                flood(&mut stream, &moved);
                return;
            }
            stream.write_all(&first).unwrap();
        }
    })
}

fn made() -> (Pair, Served, Moved) {
    let moved = Moved::default();
    let of_web = moved.clone();
    let mut pair = pair(Protocol::Http, |ip| web(ip, of_web));
    let base = db(pair.b.ip, moved.clone());
    let name = service("db.acme.example");
    pair.b.planner.set_target(&name, Some(vec![base.at]));
    pair.b.planner.set_service(&name, ways(Protocol::Tcp, &[Via::Local]));
    pair.a.planner.set_service(&name, ways(Protocol::Tcp, &[pair.b.via()]));
    pair.a.planner.open_port(&name, pair.a.at(9002));
    pair.b.tell();
    pair.a.tell();
    [&pair.a, &pair.b].iter().for_each(|node| pair.lab.settled(node));
    (pair, base, moved)
}

/// Until at least so many bytes have moved and no more do.
fn still(moved: &AtomicUsize, least: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    let (mut last, mut since) = (moved.load(Ordering::Relaxed), Instant::now());
    while last < least || since.elapsed() < Duration::from_millis(700) {
        assert!(Instant::now() < end, "{last} bytes of {least} moved");
        std::thread::sleep(Duration::from_millis(5));
        let now = moved.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// A new request and a new flow, each within a second. Who is starved gets through never, who waits for a processor the next
/// time: so the best of a few counts.
fn others_get_through(pair: &Pair, what: &str) {
    let mut best = [Duration::MAX; 2];
    for _ in 0..5 {
        let began = Instant::now();
        let answer = Http1::dial(pair.a.at(8080)).get(HOST, "/", "").unwrap();
        assert_eq!(answer.status(), 200, "{what}: {answer:?}");
        best[0] = best[0].min(began.elapsed());
        let began = Instant::now();
        let mut stream = TcpStream::connect(pair.a.at(9002)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(echoes(&mut stream), "{what}");
        best[1] = best[1].min(began.elapsed());
        if best.iter().all(|took| *took < Duration::from_millis(100)) {
            break;
        }
    }
    println!("{what}: a request and a flow took {best:?}");
    assert!(best.iter().all(|took| *took < Duration::from_secs(1)), "{what}: {best:?}");
}

/// Kilobytes of memory of both Envoys.
fn memory(pair: &Pair) -> [u64; 2] {
    [&pair.a, &pair.b].map(Node::resident)
}

/// `count` of each kind that never read; what that costs a flow in each Envoy, in kilobytes.
fn stall(count: usize) {
    let _alone = alone();
    let (pair, _base, moved) = made();
    others_get_through(&pair, "before");
    let before = memory(&pair);
    let mut kept = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(pair.a.at(8080)).unwrap();
        client.write_all(format!("GET /flood HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
        kept.push(client);
    }
    still(&moved, count << 20);
    others_get_through(&pair, "with responses that nobody reads");
    let after = memory(&pair);
    report("responses", count, before, after);
    for _ in 0..count {
        let mut client = TcpStream::connect(pair.a.at(9002)).unwrap();
        client.write_all(b"flod").unwrap();
        kept.push(client);
    }
    still(&moved, count << 21);
    others_get_through(&pair, "with flows that nobody reads");
    report("responses and flows", count * 2, before, memory(&pair));
    drop(kept);
    others_get_through(&pair, "afterwards");
}

fn report(what: &str, count: usize, before: [u64; 2], after: [u64; 2]) {
    let each = [0, 1].map(|at| after[at].saturating_sub(before[at]) / u64::try_from(count).unwrap());
    println!("{count} {what}: {before:?} kB before, {after:?} kB after, {each:?} kB each");
    // A window and a buffer at each step inside an Envoy, of which a flow of a port has one more.
    assert!(each.iter().all(|kb| *kb < 4 * 1024), "{what}: {each:?}");
}

#[test]
fn forty_eight_that_never_read_stop_nobody() {
    stall(24);
}

#[test]
fn two_hundred_that_never_read_stop_nobody() {
    stall(100);
}

#[test]
fn uploads_that_nobody_takes_and_slow_ones_stop_nobody() {
    let _alone = alone();
    let (pair, _base, _) = made();
    let before = memory(&pair);
    let mut kept = Vec::new();
    let sent = AtomicUsize::new(0);
    for _ in 0..200 {
        let mut client = TcpStream::connect(pair.a.at(8080)).unwrap();
        let head = format!("POST /deaf HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000000\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        kept.push(client);
        // Of a request that is never finished, one byte.
        let mut slow = TcpStream::connect(pair.a.at(8080)).unwrap();
        slow.write_all(b"G").unwrap();
        kept.push(slow);
    }
    let (mut last, mut since) = (0, Instant::now());
    until("all stand still", || {
        for client in kept.iter_mut().step_by(2) {
            if let Ok(n) = client.write(&[b'x'; 65_536]) {
                sent.fetch_add(n, Ordering::Relaxed);
            }
        }
        let now = sent.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(700)
    });
    others_get_through(&pair, "with uploads that nobody takes");
    report("uploads", 200, before, memory(&pair));
}
