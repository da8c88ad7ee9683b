//! Recordings: they are text, hold no secret, state their version, and replay to the same state.

use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::{Fixed, Heap, Limits as TableLimits};
use catalyst_wire::{Attrs, FrameType};

use super::kit::*;
use crate::record::{Recording, SCHEMA};
use crate::*;

fn line(bench: &mut Bench) {
    bench.internal(1, "b.acme.example");
    bench.offer("inventory");
    bench.announce(1, &[("x.acme.example", "b", through("b")), ("y.acme.example", "b", through("b"))]);
    bench.withdraw(1, &[("x.acme.example", "b")]);
    bench.frame(1, plain(FrameType::EndOfRib));
    bench.feed(Event::Health { label: "inventory".parse().unwrap(), healthy: false });
}

fn border(bench: &mut Bench) {
    bench.feed(peer("p.globex.example", Some(agreement("globex.example", Role::Peer, 3, 9999))));
    bench.feed(rules(&["*>globex.example", "stock<globex.example"]));
    bench.offer("inventory");
    bench.up(1, "p.globex.example");
    for n in 0..5 {
        bench.announce(1, &[(&format!("s{n}.globex.example"), "o1", across("globex.example"))]);
    }
    bench.announce(1, &[("stock.globex.example", "o1", across("globex.example"))]);
    bench.feed(rules(&["inventory>globex.example", "*<globex.example"]));
    bench.withdraw(1, &[("s1.globex.example", "o1")]);
}

fn trouble(bench: &mut Bench) {
    bench.feed(Event::SessionUp { session: SessionId(9), peer: name("x.acme.example"), dialled: false });
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    bench.frame(1, Vec::from([2, 0, 0, 1, 200]));
    bench.up(2, "b.acme.example");
    bench.announce(2, &[("y.acme.example", "b", Attrs { cost: 3, ..through("b") })]);
    bench.run_until(bench.now + 2500);
    bench.feed(Event::SessionUp { session: SessionId(3), peer: name("b.acme.example"), dialled: false });
    bench.frame(3, open("b.acme.example", 2, None));
    bench.run_until(bench.now + 2900);
    bench.offer("late");
}

fn slow(bench: &mut Bench) {
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 100);
    bench.internal(2, "c.acme.example");
    for n in 0..40 {
        bench.announce(2, &[(&format!("s{n}.acme.example"), "c", through("c"))]);
        if n % 3 == 0 {
            bench.withdraw(2, &[(&format!("s{n}.acme.example"), "c")]);
            bench.writable(1, 50);
        }
    }
    bench.feed(Event::PeerRemoved(name("b.acme.example")));
}

const SCENARIOS: [fn(&mut Bench); 4] = [line, border, trouble, slow];

fn contains(text: &str, bytes: &[u8]) -> bool {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let decimal: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    let raw = text.as_bytes().windows(bytes.len()).any(|w| w == bytes);
    raw || text.to_lowercase().contains(&hex) || text.contains(&decimal.join(","))
}

#[test]
fn a_recording_is_text_and_replays_to_the_same_digest() {
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        let mut bench = Bench::new();
        scenario(&mut bench);
        let text = serde_json::to_string(&bench.recording).unwrap();
        let read: Recording = serde_json::from_str(&text).unwrap();
        assert_eq!(read, bench.recording);
        let again = read.replay(Heap::new(TableLimits::CLOUD)).unwrap();
        assert_eq!(again.digest(), bench.core.digest(), "scenario {at}");
        assert_eq!(again.state().route_rows(), bench.core.state().route_rows());
        assert_eq!(again.next_deadline(), bench.core.next_deadline());
        // The other store decides the same.
        let fixed = read.replay(Box::new(Fixed::<256, 512, 8192, 255>::new(256))).unwrap();
        assert_eq!(fixed.digest(), bench.core.digest(), "scenario {at}");
    }
}

#[test]
fn the_digest_is_one_of_the_state_and_not_of_when_the_shell_drained() {
    for scenario in SCENARIOS {
        let mut bench = Bench::new();
        scenario(&mut bench);
        let mut late = Core::new(settings(Limits::CLOUD), Heap::new(TableLimits::CLOUD)).unwrap();
        bench.recording.records.iter().for_each(|r| late.handle(&r.event, r.now));
        while late.poll_effect().is_some() {}
        while late.poll_transmit().is_some() {}
        assert_eq!(late.digest(), bench.core.digest());
    }
}

#[test]
fn different_states_have_different_digests() {
    let mut seen = Vec::new();
    let mut note = |bench: &Bench| {
        let digest = bench.core.digest();
        assert!(!seen.contains(&digest));
        seen.push(digest);
    };
    let mut bench = Bench::new();
    note(&bench);
    bench.feed(peer("p.globex.example", Some(agreement("globex.example", Role::Peer, 3, 9999))));
    note(&bench);
    bench.up(1, "p.globex.example");
    note(&bench);
    // Not imported, so not in Loc-RIB: it counts all the same.
    bench.announce(1, &[("s.globex.example", "o1", across("globex.example"))]);
    note(&bench);
    bench.announce(1, &[("s.globex.example", "o1", Attrs { cost: 1, ..across("globex.example") })]);
    note(&bench);
    bench.feed(rules(&["*<globex.example"]));
    note(&bench);
    bench.offer("x");
    note(&bench);
    bench.feed(rules(&["*<globex.example", "x>globex.example"]));
    note(&bench);
}

#[test]
fn a_recording_holds_no_secret() {
    for scenario in SCENARIOS {
        let mut bench = Bench::new();
        scenario(&mut bench);
        let text = serde_json::to_string(&bench.recording).unwrap();
        assert!(!contains(&text, &SECRET));
        assert!(!contains(&format!("{:?}", bench.recording), &SECRET));
        let settings = serde_json::to_string(bench.core.state().settings()).unwrap();
        assert!(!contains(&settings, &SECRET));
        assert!(!contains(&format!("{:?}", bench.core.state().settings()), &SECRET));
    }
    // The search would find it.
    assert!(contains(&format!("{SECRET:?}").replace(' ', ""), &SECRET));
    assert!(contains(&String::from_utf8_lossy(&SECRET), &SECRET));
}

#[test]
fn a_recording_states_its_version_and_no_other_is_read() {
    let bench = Bench::new();
    let text = serde_json::to_string(&bench.recording).unwrap();
    assert!(text.contains(&format!("\"schema\":{SCHEMA}")), "{text}");
    let other = text.replace(&format!("\"schema\":{SCHEMA}"), "\"schema\":77");
    let error = serde_json::from_str::<Recording>(&other).unwrap_err().to_string();
    assert!(error.contains("77") && error.contains("the version that wrote it"), "{error}");
}

#[test]
fn frames_are_hexadecimal_and_nothing_else_is_taken() {
    let event = Event::PeerFrame { session: SessionId(1), frame: Vec::from([0, 1, 0xab, 0xff]) };
    let text = serde_json::to_string(&event).unwrap();
    assert!(text.contains("\"0001abff\""), "{text}");
    for bad in ["0", "0g", "+1", "000", "\u{e9}\u{e9}"] {
        assert!(serde_json::from_str::<Event>(&text.replace("0001abff", bad)).is_err(), "{bad}");
    }
}

/// A recording comes from another machine, perhaps with a fault: what can be read runs to its end, whatever it says.
#[test]
fn a_damaged_recording_is_refused_or_runs_to_its_end() {
    let mut number = 1_u64;
    let mut below = |n: usize| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(number >> 33).unwrap() % n
    };
    let (mut refused, mut ran) = (0, 0);
    for scenario in SCENARIOS {
        let mut bench = Bench::new();
        scenario(&mut bench);
        let good = serde_json::to_string(&bench.recording).unwrap();
        for _ in 0..300 {
            let mut text = good.clone().into_bytes();
            for _ in 0..=below(4) {
                let at = below(text.len());
                match below(6) {
                    0 => text.truncate(at.max(1)),
                    1 => text[at] = b"0123456789abcdef{}[]\",:-"[below(24)],
                    // Most of it is frames: digits for digits can still be read.
                    _ if text[at].is_ascii_hexdigit() => text[at] = b"0123456789abcdef"[below(16)],
                    _ => {}
                }
            }
            let read = serde_json::from_str::<Recording>(&String::from_utf8_lossy(&text));
            match read.map(|read| read.replay(Heap::new(TableLimits::CLOUD))) {
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
                Ok(Err(_)) => refused += 1,
                Ok(Ok(core)) => {
                    ran += 1;
                    let _ = core.digest();
                }
            }
        }
    }
    assert!(refused > 100 && ran > 100, "{refused} refused, {ran} ran");
}
