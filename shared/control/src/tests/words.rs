//! Numbers and news that are not as they should be: forged by a neighbour, or of a machine that went back in time. What
//! they hide comes back, and they concern nobody outside.

use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_wire::{
    Attrs, Overtaken, Seqno, Seqnos, Update, UpdateWriter, Writer, update::write_overtaken, words,
};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const D: &str = "d.acme.example";
const P: &str = "p.globex.example";
const SERVICE: &str = "stock.acme.example";
/// The run of all nodes but this one.
const RUN: u32 = 7;
/// More than any node has said.
const FORGED: u32 = 4_000_000_000;

/// Numbers of the wire, nearest first; tests leak a few bytes for them.
fn numbers(counts: &[u32]) -> Seqnos<'static> {
    let (mut value, mut buf) = ([0u8; 512], [0u8; 600]);
    let mut out = Writer::new(&mut value);
    out.u64(counts.len() as u64).unwrap();
    for count in counts {
        out.raw(&RUN.to_be_bytes()).unwrap();
        out.u64(u64::from(*count)).unwrap();
    }
    let mut attr = Writer::new(&mut buf);
    attr.u64(127).unwrap();
    attr.u8(1).unwrap();
    attr.bytes(out.written()).unwrap();
    let bytes: &'static [u8] = Box::leak(attr.written().to_vec().into_boxed_slice());
    Attrs::read(bytes).unwrap().seqnos
}

/// A route by these nodes, with the numbers of their words.
fn said(nodes: &[(&str, u32)]) -> Attrs<'static> {
    let names: Vec<&str> = nodes.iter().map(|(node, _)| *node).collect();
    let counts: Vec<u32> = nodes.iter().map(|(_, count)| *count).collect();
    Attrs { node_path: path(&names), seqnos: numbers(&counts), ..Attrs::default() }
}

/// News of `x` and nothing else.
fn news(node: &str, count: u32) -> Vec<u8> {
    let (mut element, mut buf) = ([0u8; 512], [0u8; 1024]);
    let seqno = Seqno { run: RUN, count };
    let told = Overtaken { service: SERVICE, origin: "x", node, seqno };
    let mut out = UpdateWriter::new(&mut buf).unwrap();
    out.overtake(write_overtaken(&mut element, &told).unwrap()).unwrap();
    out.finish().unwrap().to_vec()
}

/// Neighbours B and C inside, who have no timers; D hears what is made of it.
fn bench() -> Bench {
    let mut bench = Bench::new();
    for (session, node) in [(1, B), (2, C), (3, D)] {
        bench.feed(quiet(node, None));
        bench.up(session, node);
    }
    bench
}

impl Bench {
    fn numbered(&mut self, session: u64, nodes: &[(&str, u32)]) {
        self.announce(session, &[(SERVICE, "x", said(nodes))]);
        self.check();
    }

    /// The neighbour that has the best way, with what D was told of it.
    fn way(&self) -> Option<String> {
        let state = self.core.state();
        let key = state.table().key(SERVICE, "x")?;
        let best = state.table().best(key).map(|(best, _)| state.table().text(best.best).to_string());
        assert_eq!(self.remote(3).services().contains(&SERVICE), best.is_some(), "D hears what is so");
        best
    }

    /// Lets so many milliseconds pass.
    fn pass(&mut self, ms: u64) {
        self.run_until(self.now + ms);
        self.check();
    }
}

#[test]
fn a_newer_word_of_a_node_voids_older_paths_through_it() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    assert_eq!(bench.way().as_deref(), Some(B));
    bench.numbered(2, &[("c", 5), ("y", 9), ("x", 4)]);
    assert_eq!(bench.way().as_deref(), Some(C), "the way of B leads through what X has given up");
    bench.numbered(1, &[("b", 6), ("x", 4)]);
    assert_eq!(bench.way().as_deref(), Some(B), "B has heard");
    bench.frame(2, news("x", 5));
    assert_eq!(bench.way(), None);
}

#[test]
fn what_forged_news_hides_comes_back() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    bench.frame(2, news("x", FORGED));
    assert_eq!(bench.way(), None);
    // What B says next is taken for old, too, for as long as the news is remembered.
    bench.pass(1_000);
    bench.numbered(1, &[("b", 6), ("x", 4)]);
    assert_eq!(bench.way(), None);
    bench.pass(Limits::OVERTAKEN_MS - 1);
    assert_eq!(bench.way(), None);
    bench.pass(1);
    assert_eq!(bench.way().as_deref(), Some(B));
    // It goes on as if nothing had been.
    bench.numbered(1, &[("b", 7), ("x", 5)]);
    assert_eq!(bench.way().as_deref(), Some(B));
    assert_eq!(bench.core.state.hold_down.len(), 0);
}

#[test]
fn what_counts_again_is_not_hidden_once_more_when_another_way_comes() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    bench.frame(2, news("x", FORGED));
    bench.pass(Limits::OVERTAKEN_MS - 500);
    bench.frame(2, news("x", FORGED));
    bench.pass(500);
    assert_eq!(bench.way().as_deref(), Some(B));
    // The news is remembered, and voids what comes now, not what counts again.
    bench.numbered(2, &[("c", 5), ("x", 3)]);
    assert_eq!(bench.way().as_deref(), Some(B));
    bench.withdraw(1, &[(SERVICE, "x")]);
    assert_eq!(bench.way(), None);
}

#[test]
fn news_is_forgotten_when_it_is_old() {
    let mut bench = bench();
    bench.frame(2, news("x", FORGED));
    bench.pass(Limits::WORDS_MS - 1);
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    assert_eq!(bench.way(), None);
    bench.pass(1);
    bench.numbered(1, &[("b", 6), ("x", 4)]);
    assert_eq!(bench.way().as_deref(), Some(B));
}

#[test]
fn what_forged_numbers_hide_comes_back_when_they_are_gone() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    bench.numbered(2, &[("c", 5), ("x", FORGED)]);
    assert_eq!(bench.way().as_deref(), Some(C));
    // While C goes on to say so it is believed.
    bench.pass(10 * Limits::OVERTAKEN_MS);
    assert_eq!(bench.way().as_deref(), Some(C));
    bench.withdraw(2, &[(SERVICE, "x")]);
    assert_eq!(bench.way(), None);
    bench.pass(Limits::OVERTAKEN_MS);
    assert_eq!(bench.way().as_deref(), Some(B));
    assert_eq!(bench.core.next_deadline(), None, "and nothing is left to be looked at");
}

#[test]
fn numbers_that_go_back_hide_a_node_for_no_longer() {
    let mut bench = bench();
    // X is C itself. It went back to a snapshot; a copy of what it had said before comes round by B, and even by this node.
    bench.numbered(2, &[("c", 90)]);
    bench.numbered(1, &[("b", 5), ("a", 9), ("c", 90)]);
    bench.numbered(2, &[("c", 40)]);
    assert_eq!(bench.way(), None, "what came back here hides it at first");
    bench.pass(Limits::OVERTAKEN_MS);
    assert_eq!(bench.way().as_deref(), Some(C), "what came back here is no way that is used instead");
}

#[test]
fn ways_that_void_each_other_do_not_do_so_for_ever() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3), ("y", 8)]);
    bench.numbered(2, &[("c", 5), ("x", 4), ("y", 7)]);
    assert_eq!(bench.way(), None);
    bench.pass(Limits::OVERTAKEN_MS);
    assert_eq!(bench.way().as_deref(), Some(B));
}

#[test]
fn a_way_that_is_really_old_stays_behind() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    bench.numbered(2, &[("c", 5), ("y", 2), ("x", 4)]);
    bench.heard(3);
    for _ in 0..5 {
        bench.pass(Limits::OVERTAKEN_MS);
        assert_eq!(bench.way().as_deref(), Some(C));
    }
    assert_eq!(bench.heard(3), [], "and nobody hears of it");
    assert!(bench.core.next_deadline().is_some_and(|at| at > bench.now), "it is looked at again");
}

#[test]
fn the_oldest_counts_again_when_there_are_too_many() {
    let mut bench = bench();
    let many = Limits::OVERTAKEN + 1;
    let name = |i: usize| format!("s{i}.acme.example");
    let tell = |bench: &mut Bench, session, nodes: &[(&str, u32)]| {
        let names: Vec<String> = (0..many).map(name).collect();
        let routes: Vec<Route<'_>> = names.iter().map(|name| (name.as_str(), "x", said(nodes))).collect();
        bench.announce(session, &routes);
    };
    tell(&mut bench, 1, &[("b", 5), ("x", 3)]);
    tell(&mut bench, 2, &[("c", 5), ("y", 2), ("x", 4)]);
    assert_eq!(bench.core.state.hold_down.len(), Limits::OVERTAKEN);
    let best = |bench: &Bench, service: &str| {
        let table = bench.core.state().table();
        let best = table.key(service, "x").and_then(|key| table.best(key));
        best.map(|(best, _)| table.text(best.best).to_string())
    };
    assert_eq!(best(&bench, &name(0)).as_deref(), Some(B));
    assert_eq!(best(&bench, &name(1)).as_deref(), Some(C));
    // Their time comes for all at once: a step looks at some.
    bench.down(2);
    bench.pass(Limits::OVERTAKEN_MS);
    assert_eq!(best(&bench, &name(many - 1)).as_deref(), Some(B));
    assert_eq!(bench.core.state.hold_down.len(), 0);
}

#[test]
fn another_organisation_numbers_nothing_here() {
    let mut bench = bench();
    bench.feed(rules(&["*<globex.example", "*.*>globex.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.up(4, P);
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    // Neither its news nor its numbers touch what is inside.
    bench.frame(4, news("x", FORGED));
    assert_eq!(bench.way().as_deref(), Some(B));
    // As many as a path may have: with one more it could not be told on.
    let attrs = Attrs { seqnos: numbers(&[FORGED; 32]), ..across("globex.example") };
    bench.announce(4, &[("mail.globex.example", "o1", attrs)]);
    let table = &bench.remote(3).table;
    let raw = table.get(&key("mail.globex.example", "o1")).expect("it is told inside");
    let attrs = Attrs::read(raw).unwrap();
    assert_eq!((attrs.node_path.len(), attrs.seqnos.len()), (1, 1), "with this node's number alone");
    assert_eq!(words(raw).map(|(node, _)| node).collect::<Vec<_>>(), ["a"]);
    // And nothing of the numbers inside leaves.
    let table = &bench.remote(4).table;
    let (_, raw) = table.iter().find(|((service, _), _)| service == SERVICE).expect("it is exported");
    assert!(Attrs::read(raw).unwrap().seqnos.is_empty());
    bench.check();
}

#[test]
fn news_that_cannot_be_read_costs_nothing() {
    let mut bench = bench();
    bench.numbered(1, &[("b", 5), ("x", 3)]);
    let whole = news("x", FORGED);
    for cut in 7..whole.len() {
        let mut frame = whole[..cut].to_vec();
        frame[2..4].copy_from_slice(&u16::try_from(cut - 4).unwrap().to_be_bytes());
        let body = &frame[4..];
        if Update::read(body).is_ok_and(|update| update.overtaken().next().is_none()) {
            bench.frame(1, frame.clone());
            assert_eq!(bench.way().as_deref(), Some(B), "{cut} bytes");
        }
    }
    bench.check();
}

#[test]
fn what_is_overtaken_when_it_comes_ends_no_withholding() {
    let mut bench = bench();
    for (session, node) in [(4, "e.acme.example"), (9, "x.acme.example")] {
        bench.feed(quiet(node, None));
        bench.up(session, node);
    }
    bench.numbered(9, &[("x", 4)]);
    for (session, node) in [(1, "b"), (2, "c"), (3, "d"), (4, "e")] {
        bench.numbered(session, &[(node, 5), ("x", 4)]);
    }
    bench.withdraw(1, &[(SERVICE, "x")]);
    bench.frame(2, news("b", 9));
    bench.down(9);
    bench.heard(3);
    assert!(!bench.remote(3).services().contains(&SERVICE));
    // Said before the withdrawal, and better than the way of C that is used.
    bench.numbered(1, &[("b", 6), ("x", 4)]);
    bench.heard(3);
    assert_eq!(bench.core.withheld().count(), 1);
    assert!(!bench.remote(3).services().contains(&SERVICE), "nothing has changed");
}
