//! What those that watch hear: each change once, in words, and nothing while nobody watches.

use std::format;
use std::string::String;
use std::vec::Vec;

use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{Attrs, FrameType, Health, Open, WellKnown};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const X: &str = "x.acme.example";

fn bench() -> Bench {
    let flap = Flap { changes: 5, window_ms: 60_000, rest_ms: 60_000 };
    let settings =
        Settings { mesh_address: "a:8443".into(), stale_max_ms: 100_000, flap, ..settings(Limits::CLOUD) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.comes(1, B);
    bench.comes(2, C);
    bench
}

fn by(node: &str, cost: u32) -> Attrs<'_> {
    Attrs { cost, ..through(node) }
}

impl Bench {
    fn comes(&mut self, session: u64, node: &str) {
        if self.core.state().peer(&name(node)).is_none() {
            self.feed(peer(node, None));
        }
        let open = Open {
            version_min: 1,
            version_max: 1,
            node,
            incarnation: session,
            hold_ms: 0,
            restart_ms: 30_000,
            capabilities: 0,
            agreement: None,
            mesh_address: "b:8443",
        };
        let open = open.write(&mut [0; 1024]).unwrap().to_vec();
        self.up_by(session, node, open);
    }

    /// What was observed since this was asked before: what, by whom, why.
    fn seen(&mut self) -> Vec<String> {
        let (rows, missed) = self.core.observed();
        assert_eq!(missed, 0);
        rows.iter().for_each(|row| assert!(row.service == X && !row.origin.is_empty()));
        rows.into_iter()
            .map(|row| format!("{} {}: {}", row.what, row.via.split('.').next().unwrap(), row.why))
            .collect()
    }
}

#[test]
fn a_route_from_its_first_day_to_its_last() {
    let mut bench = bench();
    bench.core.watch(true);
    bench.announce(1, &[(X, "b", by("b", 0))]);
    assert_eq!(bench.seen(), ["new b: local_pref 400, cost 0", "best b: the only usable way"]);
    bench.announce(2, &[(X, "b", Attrs { node_path: path(&["c", "b"]), ..by("c", 0) })]);
    assert_eq!(bench.seen(), ["new c: local_pref 400, cost 0"]);
    bench.announce(1, &[(X, "b", by("b", 7))]);
    assert_eq!(
        bench.seen(),
        ["changed b: cost 0 -> 7", format!("best c: before {B}: lower cost (0 against 7)").as_str()]
    );
    bench.announce(1, &[(X, "b", by("b", 7))]);
    assert_eq!(bench.seen(), [""; 0], "the same once more is nothing new");
    bench
        .announce(2, &[(X, "b", Attrs { health: Health::Down, node_path: path(&["c", "b"]), ..by("c", 0) })]);
    assert_eq!(bench.seen(), ["unusable c: unhealthy", format!("best b: {C} is not usable").as_str()]);
    bench.announce(2, &[(X, "b", Attrs { node_path: path(&["c", "b"]), ..by("c", 0) })]);
    assert_eq!(
        bench.seen(),
        ["usable c: healthy", format!("best c: before {B}: lower cost (0 against 7)").as_str()]
    );
    let drains = Attrs {
        well_known: WellKnown(WellKnown::GRACEFUL_SHUTDOWN),
        node_path: path(&["c", "b"]),
        ..by("c", 0)
    };
    bench.announce(2, &[(X, "b", drains)]);
    assert_eq!(
        bench.seen(),
        [
            "draining c: as its node says",
            format!("best b: before {C}: higher local_pref (400 against 0)").as_str()
        ]
    );
    bench.withdraw(1, &[(X, "b")]);
    assert_eq!(bench.seen(), ["gone b: withdrawn", format!("best c: the way by {B} is gone").as_str()]);
    bench.withdraw(2, &[(X, "b")]);
    assert_eq!(bench.seen(), ["gone c: withdrawn", "unreachable c: no usable way is left"]);
}

#[test]
fn what_becomes_of_a_lost_neighbours_routes() {
    let mut bench = bench();
    bench.announce(1, &[(X, "b", by("b", 0))]);
    bench.frame(1, plain(FrameType::EndOfRib));
    bench.core.watch(true);
    bench.down(1);
    assert_eq!(bench.seen(), ["stale b: stale"]);
    bench.comes(3, B);
    assert_eq!(bench.seen(), [""; 0]);
    bench.announce(3, &[(X, "b", by("b", 0))]);
    assert_eq!(bench.seen(), ["fresh b: announced"]);
    bench.frame(3, plain(FrameType::EndOfRib));
    assert_eq!(bench.seen(), [""; 0]);
    bench.down(3);
    bench.seen();
    bench.run_until(bench.now + 30_000);
    assert_eq!(bench.seen(), ["stale b: long-lived stale"]);
    bench.run_until(bench.now + 70_000);
    assert_eq!(bench.seen(), ["gone b: the session with it is lost", "unreachable b: no usable way is left"]);
    bench.comes(4, B);
    bench.announce(4, &[(X, "b", by("b", 0))]);
    bench.frame(4, plain(FrameType::EndOfRib));
    bench.down(4);
    bench.comes(5, B);
    bench.seen();
    bench.frame(5, plain(FrameType::EndOfRib));
    assert_eq!(bench.seen(), ["gone b: not announced again", "unreachable b: no usable way is left"]);
}

#[test]
fn what_changes_too_often_and_rests() {
    let mut bench = bench();
    bench.announce(1, &[(X, "b", by("b", 0))]);
    bench.announce(2, &[(X, "b", Attrs { node_path: path(&["c", "b"]), ..by("c", 99) })]);
    bench.core.watch(true);
    (1..6).for_each(|cost| bench.announce(1, &[(X, "b", by("b", cost))]));
    bench.seen();
    bench.announce(1, &[(X, "b", by("b", 6))]);
    let best = format!("best c: before {B}: steady against flapping");
    assert_eq!(bench.seen(), ["changed b: cost 5 -> 6", "flapping b: it changed too often", best.as_str()]);
    bench.run_until(bench.now + 60_000);
    let best = format!("best b: before {C}: lower cost (6 against 99)");
    // Nobody speaks meanwhile, so the sessions end.
    let seen: Vec<String> = bench.seen().into_iter().filter(|line| !line.starts_with("stale")).collect();
    assert_eq!(seen, ["steady b: at rest", best.as_str()]);
}

#[test]
fn nobody_pays_who_does_not_watch_and_a_flood_is_bounded() {
    let mut bench = bench();
    bench.announce(1, &[(X, "b", by("b", 0))]);
    assert_eq!(bench.core.observed().0, []);
    bench.core.watch(true);
    for n in 0..3 * Limits::OBSERVED {
        bench.announce(1, &[(X, "b", by("b", n as u32 + 1))]);
    }
    let (rows, missed) = bench.core.observed();
    assert_eq!((rows.len(), missed as usize), (Limits::OBSERVED, 2 * Limits::OBSERVED + 1));
    bench.core.watch(false);
    bench.announce(1, &[(X, "b", by("b", 0))]);
    assert_eq!(bench.core.observed().0, []);
}

#[test]
fn every_route_comes_once_in_pieces() {
    let mut bench = bench();
    let names: Vec<String> = (0..25).map(|n| format!("s{n}.acme.example")).collect();
    names.iter().for_each(|s| bench.announce(1, &[(s, "b", by("b", 0))]));
    names.iter().for_each(|s| bench.announce(2, &[(s, "c", by("c", 0))]));
    bench.offer("own");
    let all = |most: usize, wanted: &dyn Fn(&str) -> bool| {
        let (mut found, mut after, mut pieces) = (Vec::new(), None, 0);
        loop {
            let (rows, next) = bench.core.state().routes_behind(after, most, wanted);
            assert!(rows.len() <= most);
            found.extend(rows.into_iter().map(|r| (r.service, r.via)));
            pieces += 1;
            after = next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        (found, pieces)
    };
    let mut expected: Vec<(String, String)> =
        bench.rows().into_iter().map(|(service, via, _)| (service, via)).collect();
    expected.sort();
    assert_eq!(all(1000, &|_| true), (expected.clone(), 1));
    assert_eq!(all(7, &|_| true), (expected.clone(), 8));
    let some = all(3, &|service| service.starts_with("s1"));
    expected.retain(|(service, _)| service.starts_with("s1"));
    assert_eq!(some.0, expected);
    assert_eq!(some.0.len(), 22);
}
