//! From a registration to its visibility at the peer: two nodes in this process, real QUIC with mutual TLS on
//! loopback between them.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use catalyst_control::{Effect, Event, Notice};
use catalyst_names::ServiceLabel;
use catalyst_wire::FrameType;

use crate::Binaries;
use crate::daemon::PATIENCE;
use crate::node::{Neighbour, Node, Seen, service};
use crate::org::Org;
use crate::report::{Bar, Report, quantile, sorted};

const SAMPLES: usize = 3_000;
const WARM_UP: usize = 200;
const BULK: usize = 1_000;
const RUNS: usize = 15;

/// Something came to the receiving node, at this moment.
enum Came {
    Up,
    /// A service is in the forwarding table (`true`) or gone from it.
    Service(bool, Instant),
}

struct Pair {
    sender: Node,
    _receiver: Node,
    came: Receiver<Came>,
    updates: Receiver<usize>,
}

impl Pair {
    fn start() -> Result<Pair> {
        let org = Org::new()?;
        let (tell, came) = channel();
        let watcher = move |seen: Seen<'_>| {
            // Nobody listens when the measurement is over.
            let _ = match seen {
                Seen::Effect(Effect::Forward(f)) => {
                    tell.send(Came::Service(!f.endpoints.is_empty(), Instant::now()))
                }
                Seen::Effect(Effect::Notice(Notice::PeerUp(..))) => tell.send(Came::Up),
                _ => Ok(()),
            };
        };
        let waits = [Neighbour { name: "edge-1", address: None }];
        let receiver = Node::start(&org, "cloud-1", &waits, Box::new(watcher))?;
        let (sent, updates) = channel();
        let watcher = move |seen: Seen<'_>| {
            if let Seen::Sent(frame) = seen
                && frame.first() == Some(&(FrameType::Update as u8))
            {
                let _ = sent.send(frame.len());
            }
        };
        let dials = [Neighbour { name: "cloud-1", address: Some(receiver.address()) }];
        let sender = Node::start(&org, "edge-1", &dials, Box::new(watcher))?;
        let pair = Pair { sender, _receiver: receiver, came, updates };
        while !matches!(pair.next()?, Came::Up) {}
        Ok(pair)
    }

    fn next(&self) -> Result<Came> {
        self.came.recv_timeout(PATIENCE).context("nothing came to the receiving node")
    }

    /// Waits for one service more, or one less, at the receiver.
    fn visible(&self, wanted: bool) -> Result<Instant> {
        loop {
            match self.next()? {
                Came::Service(up, at) if up == wanted => return Ok(at),
                _ => {}
            }
        }
    }

    /// Registers one service; milliseconds until the receiver can forward to it.
    fn one(&self, label: &str) -> Result<f64> {
        let event = Event::ServiceUp(service(label)?);
        let start = Instant::now();
        self.sender.feed(vec![event])?;
        Ok((self.visible(true)? - start).as_secs_f64() * 1e3)
    }

    /// Registers many, one request each; milliseconds until the receiver has all.
    fn many(&self, run: usize) -> Result<f64> {
        let label = |n: usize| format!("bulk-{run}-{n}");
        let events: Vec<Event> =
            (0..BULK).map(|n| Ok(Event::ServiceUp(service(&label(n))?))).collect::<Result<_>>()?;
        let start = Instant::now();
        for event in events {
            self.sender.feed(vec![event])?;
        }
        let mut last = start;
        for _ in 0..BULK {
            last = self.visible(true)?;
        }
        let gone: Vec<Event> = (0..BULK)
            .map(|n| Ok(Event::ServiceDown(ServiceLabel::parse(&label(n))?)))
            .collect::<Result<_>>()?;
        self.sender.feed(gone)?;
        for _ in 0..BULK {
            self.visible(false)?;
        }
        Ok((last - start).as_secs_f64() * 1e3)
    }
}

/// Measures.
pub fn run(_: &Binaries, report: &mut Report) -> Result<()> {
    let pair = Pair::start()?;
    pair.one("inventory")?;
    let bytes = pair.updates.recv_timeout(PATIENCE).context("no UPDATE was sent")?;
    report.add(
        "UPDATE of one route, inventory.acme.example from edge-1",
        bytes as f64,
        "bytes",
        Bar::AtMost(80.0),
    );

    for n in 0..WARM_UP {
        pair.one(&format!("warm-{n}"))?;
    }
    let mut samples = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES {
        samples.push(pair.one(&format!("s-{n}"))?);
        // One change at a time: the acknowledgements of the last one must not help the next.
        if n % 16 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let samples = sorted(samples);
    report.add("register -> visible at the peer, p50", quantile(&samples, 0.5), "ms", Bar::AtMost(0.5));
    report.add("register -> visible at the peer, p99", quantile(&samples, 0.99), "ms", Bar::AtMost(2.0));

    let runs = (0..RUNS).map(|run| pair.many(run)).collect::<Result<Vec<_>>>()?;
    let median = quantile(&sorted(runs), 0.5);
    report.add("1,000 routes registered -> all visible at the peer, median", median, "ms", Bar::AtMost(50.0));
    Ok(())
}
