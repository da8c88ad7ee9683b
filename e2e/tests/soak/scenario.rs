//! The fabric, the time under load with faults, and what is asserted at the end.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node, wait};
use serde_json::json;

use crate::load::{Counts, Load, Ports};
use crate::memory::{Watch, descriptors, open};

/// An edge may grow by so much after the warm-up, in kB, however long it runs: the bar of its slope is this over the
/// minutes. Its heap breathes by 250 kB under this load.
const EDGE_MOST: f64 = 512.0;
/// The same for a cloud node, whose allocator serves more threads: it settles late, in steps of megabytes.
const CLOUD_MOST: f64 = 8_192.0;
/// A run so short that heaps have not settled: the stalled readers are still filling what flows may hold. Its bars are
/// so many times as high, and find a leak with every exchange.
const UNSETTLED: f64 = 8.0;
const MOMENT: Duration = Duration::from_secs(60);

/// A neighbour is killed so often.
const KILL_EVERY: Duration = Duration::from_secs(6);
/// It stays away so long.
const AWAY: Duration = Duration::from_secs(1);
/// Memory is read so often.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// What closes must have closed within so long.
const REST: Duration = Duration::from_secs(30);

/// Without a wish only a moment, among the other tests: that it works.
fn seconds() -> u64 {
    std::env::var("CATALYST_SOAK_SECONDS").map_or(12, |text| text.parse().expect("a number of seconds"))
}

/// Load and faults for so long; the shaky node runs at the end.
fn under_load(
    fabric: &Fabric,
    limit: Duration,
    ports: &Ports,
    counts: &Arc<Counts>,
    shaky: &mut Node,
    edge: &Node,
    watches: &mut [Watch],
) {
    let load = Load::start(ports, counts);
    let begin = Instant::now();
    let mut next_kill = begin + KILL_EVERY / 2;
    let mut back: Option<Instant> = None;
    let mut round = 0;
    let churn = Service::echo();
    while begin.elapsed() < limit {
        std::thread::sleep(SAMPLE_EVERY);
        watches.iter_mut().for_each(Watch::sample);
        assert!(!load.failed(), "a client found something wrong\n{}", fabric.logs());
        // A service comes and goes.
        round += 1;
        let label = format!("guest-{}", round % 7);
        edge.add(&label, churn.address());
        remove(edge, &format!("guest-{}", (round + 3) % 7));
        if back.is_some_and(|at| Instant::now() >= at) {
            shaky.start();
            back = None;
        } else if back.is_none() && Instant::now() >= next_kill {
            shaky.kill();
            back = Some(Instant::now() + AWAY);
            next_kill = Instant::now() + KILL_EVERY;
        }
    }
    if back.is_some() {
        shaky.start();
    }
    for n in 0..7 {
        remove(edge, &format!("guest-{n}"));
    }
    load.stop();
}

/// Offers a service no longer, if it was offered.
fn remove(edge: &Node, label: &str) {
    let _ = edge.try_ask(json!({ "do": "service-remove", "name": label }));
}

/// Waits until no flow is left and the sessions are up, and says how many descriptors are open then.
fn at_rest(node: &Node, neighbours: &[&Node]) -> usize {
    for neighbour in neighbours {
        node.wait_up(neighbour);
    }
    node.wait("no flows", |status| status["flows"][0] == 0);
    let pid = u32::try_from(node.status()["pid"].as_u64().unwrap()).unwrap();
    // Steady for a second: connections to the node that came back open and close for a while.
    let mut last = (open(pid), Instant::now());
    let steady = wait::poll(REST, || {
        let now = open(pid);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(2)).then_some(now)
    });
    steady
        .unwrap_or_else(|| panic!("descriptors of {} never settle: {:?}", node.full_name(), descriptors(pid)))
}

#[test]
fn memory_and_descriptors_stay_as_they_are_under_load_with_faults() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut shaky = fabric.cloud(&org, "cloud-2");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.joins(&mut shaky);
    shaky.joins(&mut cloud);
    let echo = Service::echo();
    let flood = Service::start(|mut stream| {
        let block = tcp::pattern(100_000, 3);
        while stream.write_all(&block).is_ok() {}
    });
    edge.offers("at-edge", "tcp", echo.address());
    edge.offers("flood", "tcp", flood.address());
    cloud.offers("at-cloud", "tcp", echo.address());
    shaky.offers("shaky", "tcp", echo.address());
    for node in [&mut edge, &mut cloud] {
        ["at-edge", "at-cloud", "shaky"]
            .iter()
            .for_each(|label| node.exposes(&format!("{label}.acme.example")));
    }
    cloud.exposes("flood.acme.example");
    for node in [&mut cloud, &mut shaky, &mut edge] {
        // What a test of minutes would write at level debug is no part of it.
        node.config["log"] = "warn".into();
        node.start();
    }
    let port = |node: &Node, label: &str| node.wait_reachable(&format!("{label}.acme.example"));
    let ports = Ports {
        steady: vec![
            port(&cloud, "at-edge"),
            port(&edge, "at-cloud"),
            port(&edge, "at-edge"),
            port(&cloud, "at-cloud"),
        ],
        shaky: vec![port(&edge, "shaky"), port(&cloud, "shaky")],
        flood: port(&cloud, "flood"),
        peering: cloud.address(),
        admin: edge.socket(),
    };
    let whole = Duration::from_secs(seconds());
    let counts = Arc::<Counts>::default();

    under_load(&fabric, whole / 2, &ports, &counts, &mut shaky, &edge, &mut []);
    let before = [at_rest(&edge, &[&cloud, &shaky]), at_rest(&cloud, &[&edge, &shaky])];
    let pids = [edge.pid(), cloud.pid()];
    let mut watches = pids.map(Watch::new);
    under_load(&fabric, whole / 2, &ports, &counts, &mut shaky, &edge, &mut watches);
    let after = [at_rest(&edge, &[&cloud, &shaky]), at_rest(&cloud, &[&edge, &shaky])];

    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} exchanges of {} bytes checked, {} broken by a kill, {} resets, {} stalled readers, {} packets of garbage",
        count(&counts.answers),
        count(&counts.bytes),
        count(&counts.broken),
        count(&counts.resets),
        count(&counts.stalls),
        count(&counts.garbage)
    );
    let names = ["edge-1", "cloud-1"];
    let minutes = whole.as_secs_f64() / 2.0 / 60.0;
    let patience = if whole < MOMENT { UNSETTLED } else { 1.0 };
    let most = [EDGE_MOST, CLOUD_MOST].map(|kb| kb * patience / minutes);
    for n in 0..names.len() {
        println!(
            "{}: {:+.0} kB a minute (at most {:.0}) over {} samples, {:.0} kB now; {} descriptors before, {} after",
            names[n],
            watches[n].slope(),
            most[n],
            watches[n].len(),
            watches[n].last_kb(),
            before[n],
            after[n]
        );
    }
    for n in 0..names.len() {
        println!(
            "{}: anonymous {:+.0} kB a minute; RSS and its anonymous part over time: {:?}",
            names[n],
            watches[n].anonymous_slope(),
            watches[n].course()
        );
    }
    for n in 0..names.len() {
        assert!(watches[n].slope() <= most[n], "{} grows\n{}", names[n], fabric.logs());
        assert!(after[n] <= before[n], "{} leaks descriptors: {:#?}", names[n], descriptors(pids[n]));
    }
    for (what, counter) in
        [("answers", &counts.answers), ("resets", &counts.resets), ("stalls", &counts.stalls)]
    {
        assert!(count(counter) > seconds(), "hardly any {what}: {}", count(counter));
    }
}
